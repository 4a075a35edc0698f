"""Signature Version 4 at the SES fake: what botocore signs is taken, and each spoilt part is refused in AWS's
words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import botocore.auth
import httpx
import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.http.accounts import Accounts
from harness.providers.http.messages import HttpRequest
from harness.providers.presets import _ses_signature
from harness.providers.presets._ses_signature import CANARY_DATE, signer
from harness.providers.wire import Account
from tests.providers.running import CANARY, Provider
from tests.providers.ses import ACCOUNT, GET_ACCOUNT, Client, email, put, ses

WRONG = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
    " Access Key and signing method. Consult the service documentation for details."
)


@pytest.fixture
async def fake() -> AsyncIterator[tuple[Provider, Client]]:
    async with ses() as running:
        yield running


def said(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["x-amzn-ErrorType"], answer.json()["message"]


class TestWhatIsRight:
    async def test_botocores_signature_is_taken_for_any_host_and_region(
        self, fake: tuple[Provider, Client]
    ) -> None:
        provider, client = fake
        for region, host in (
            ("eu-west-1", "https://email.eu-west-1.amazonaws.com"),
            ("us-east-1", "http://127.0.0.1:4000"),
            ("ap-southeast-2", "http://ses.shop.example:8080"),
        ):
            assert (await client.ask(content=email(), region=region, signed_for=host)).status_code == 200
        assert {receipt.account for receipt in provider.receipts} == {ACCOUNT.username}
        assert {receipt.tenant for receipt in provider.receipts} == {"eu-west-1"}

    async def test_a_get_without_a_body_and_with_a_query_is_taken(
        self, fake: tuple[Provider, Client]
    ) -> None:
        _, client = fake
        assert (await client.ask(GET_ACCOUNT)).status_code == 200
        assert (await client.ask(f"{GET_ACCOUNT}?b=2%20x&a=1&a=0")).status_code == 200

    async def test_a_session_token_is_not_looked_at(self, fake: tuple[Provider, Client]) -> None:
        _, client = fake
        assert (await client.ask(content=email(), **{"X-Amz-Security-Token": "any"})).status_code == 200

    async def test_a_payload_that_is_left_unsigned_is_taken_as_it_comes(
        self, fake: tuple[Provider, Client]
    ) -> None:
        _, client = fake
        unsigned = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
        answer = await client.ask(content=email(), body=b'{"Content": {}}', **unsigned)
        assert answer.status_code == 400 and "Exactly one of" in answer.text

    async def test_after_a_rotation_the_next_secret_is_right_and_the_old_one_is_not(
        self, fake: tuple[Provider, Client]
    ) -> None:
        provider, client = fake
        assert (await client.ask(content=email(), secret="n" * 40)).status_code == 403
        put(provider, type="key-rotated")
        assert (await client.ask(content=email(), secret="n" * 40)).status_code == 200
        assert said(await client.ask(content=email())) == (403, "SignatureDoesNotMatch", WRONG)
        assert [each.account for each in provider.receipts] == [ACCOUNT.username] * 3


class TestWhatIsWrong:
    async def test_the_secret(self, fake: tuple[Provider, Client]) -> None:
        provider, client = fake
        answer = await client.ask(content=email(), secret="x" * 40)
        assert said(answer) == (403, "SignatureDoesNotMatch", WRONG)
        (receipt,) = provider.receipts
        assert (receipt.code, receipt.result, receipt.account) == (403, ReceiptResult.DEFERRED, "")

    async def test_the_key_is_unknown(self, fake: tuple[Provider, Client]) -> None:
        _, client = fake
        answer = await client.ask(content=email(), key="AKIAUNKNOWNUNKNOWN22")
        message = "The security token included in the request is invalid."
        assert said(answer) == (403, "InvalidClientTokenId", message)

    async def test_the_rejecting_listener_knows_nobody(self, fake: tuple[Provider, Client]) -> None:
        _, client = fake
        answer = await client.ask(content=email(), base_url=client.rejecting_url)
        assert said(answer)[:2] == (403, "InvalidClientTokenId")

    async def test_there_is_no_signature(self, fake: tuple[Provider, Client]) -> None:
        _, client = fake
        answer = await client.ask(content=email(), spoilt={"Authorization": ""})
        assert said(answer) == (403, "MissingAuthenticationToken", "Missing Authentication Token")

    @pytest.mark.parametrize(
        ("authorization", "message"),
        [
            ("Bearer x", "Unsupported AWS 'algorithm': 'Bearer'."),
            ("AWS4-HMAC-SHA256", "Authorization header requires 'Credential' parameter."),
            ("AWS4-HMAC-SHA256 Credential=a/b, Signature=c", "requires 'SignedHeaders' parameter."),
            ("AWS4-HMAC-SHA256 Credential=a/b, Signature=c, SignedHeaders=host", "exactly 5 slash-delimited"),
        ],
    )
    async def test_it_is_incomplete(
        self, fake: tuple[Provider, Client], authorization: str, message: str
    ) -> None:
        _, client = fake
        answer = await client.ask(content=email(), spoilt={"Authorization": authorization})
        assert said(answer)[:2] == (400, "IncompleteSignature")
        assert message in answer.text

    async def test_the_service_is_another(self, fake: tuple[Provider, Client]) -> None:
        _, client = fake
        answer = await client.ask(content=email(), service="email")
        assert said(answer)[1:] == (
            "SignatureDoesNotMatch",
            "Credential should be scoped to correct service: 'ses'.",
        )

    @pytest.mark.parametrize("header", ["Host", "Content-Type", "X-Amz-Date"])
    async def test_a_signed_header_was_changed(self, fake: tuple[Provider, Client], header: str) -> None:
        _, client = fake
        changed = {"X-Amz-Date": f"{datetime.now(UTC):%Y%m%d}T000001Z"}.get(header, "else.example")
        answer = await client.ask(content=email(), spoilt={header: changed})
        assert said(answer) == (403, "SignatureDoesNotMatch", WRONG)

    async def test_the_body_was_changed(self, fake: tuple[Provider, Client]) -> None:
        _, client = fake
        assert said(await client.ask(content=email(), body=b"{}")) == (403, "SignatureDoesNotMatch", WRONG)

    async def test_the_date_is_missing_or_none(self, fake: tuple[Provider, Client]) -> None:
        _, client = fake
        for given, message in (("", "either a 'X-Amz-Date' or a 'Date'"), ("yesterday", "ISO-8601")):
            answer = await client.ask(content=email(), spoilt={"X-Amz-Date": given})
            assert said(answer)[:2] == (400, "IncompleteSignature") and message in answer.text

    @pytest.mark.parametrize(
        ("minutes", "message"), [(-6, "Signature expired: "), (6, "Signature not yet current: ")]
    )
    async def test_the_clock_is_off_by_more_than_five_minutes(
        self,
        fake: tuple[Provider, Client],
        minutes: int,
        message: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        _, client = fake
        monkeypatch.setattr(
            botocore.auth, "get_current_datetime", lambda: datetime.now(UTC) + timedelta(minutes=minutes)
        )
        answer = await client.ask(content=email())
        assert said(answer)[:2] == (403, "SignatureDoesNotMatch")
        assert said(answer)[2].startswith(message) and "5 min.)" in answer.text

    @pytest.mark.parametrize("minutes", [-4, 4])
    async def test_four_minutes_are_forgiven(
        self, fake: tuple[Provider, Client], minutes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, client = fake
        monkeypatch.setattr(
            botocore.auth, "get_current_datetime", lambda: datetime.now(UTC) + timedelta(minutes=minutes)
        )
        assert (await client.ask(content=email())).status_code == 200


class TestCanary:
    """It has no clock; so its account alone is not held to one."""

    async def test_it_gets_in_with_its_fixed_date_and_a_wrong_secret_does_not(
        self, fake: tuple[Provider, Client]
    ) -> None:
        provider, client = fake
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = (
            "h@canary.example",
            "c.canary1@canary.example",
            "x",
        )
        message["X-Harness-Token"] = "canary1"
        message.set_content("ref: hn-canary1-nh\n")
        canary = presets.load("ses-v2").canary
        assert canary is not None
        wrong = Account(username=CANARY.username, secret="else", canary=True)
        async with httpx.AsyncClient(base_url=client.base_url) as http:
            codes = [
                (
                    await http.request(each.method, each.path, headers=dict(each.headers), content=each.body)
                ).status_code
                for account in (CANARY, wrong)
                for each in (canary.login(account), canary.message(account, message))
            ]
        assert codes == [200, 200, 403, 403]
        assert [(each.canary, each.token, each.code) for each in provider.receipts] == [
            ("harness", "canary1", 200),
            ("harness", "canary1", 403),
        ]

    async def test_nobody_else_gets_in_with_that_date(
        self, fake: tuple[Provider, Client], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, client = fake
        then = datetime.strptime(CANARY_DATE, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: then)
        assert said(await client.ask(content=email()))[2].startswith("Signature expired: ")


def test_the_published_example_of_the_algorithm_is_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's own, which is for its service `iam`."""
    request = HttpRequest(
        method="GET",
        path="/",
        query="Action=ListUsers&Version=2010-05-08",
        headers={
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "host": "iam.amazonaws.com",
            "x-amz-date": "20150830T123600Z",
            "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request,"
            " SignedHeaders=content-type;host;x-amz-date, Signature="
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        },
        now_s=datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp(),
    )
    owner = Account(username="AKIDEXAMPLE", secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setattr(_ses_signature, "SERVICE", "iam")
    assert signer(request, Accounts([owner])) is owner
