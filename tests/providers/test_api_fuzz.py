"""Whatever reaches the APIs of SES and Twilio: no crash, each request to send leaves its receipts, and each
2xx has one that says so.

Bodies are JSON and forms that are nearly right, and bytes that are nothing; signatures are cut, doubled and
made of anything that a header may hold.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from harness.providers.http.accounts import Accounts
from harness.providers.http.messages import HttpRequest
from harness.providers.http.scenario_rate import ScenarioRate
from harness.providers.presets._ses_signature import Flaw, signer
from harness.providers.presets.ses_v2 import SesApi, SesLimits
from harness.providers.presets.twilio_sms import TwilioApi
from tests.providers import ses as ses_requests
from tests.providers import twilio as twilio_requests
from tests.providers.running import RECIPIENT, Provider, message

FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.text(max_size=30) | st.sampled_from(
    [
        RECIPIENT,
        f"N <{RECIPIENT}>",
        "@",
        "a@b",
        "",
        "[",
        '{"ref": "hn-aaaaaaaaaaaaaaaa-nh"}',
        "\x00",
        "\ud800",
    ]
)
RAW = (st.binary(max_size=200) | st.just(message())).map(lambda raw: base64.b64encode(raw).decode())
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def nearly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What belongs there, or now and then anything else."""
    return st.one_of(*[strategy] * 7, ANY)


def object_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return nearly(st.fixed_dictionaries({}, optional={name: nearly(each) for name, each in fields.items()}))


ADDRESSES = st.lists(TEXT, max_size=4)
DESTINATION = object_of(ToAddresses=ADDRESSES, CcAddresses=ADDRESSES, BccAddresses=ADDRESSES)
HEADERS = st.lists(object_of(Name=TEXT | st.just("X-Harness-Token"), Value=TEXT), max_size=3)
DATA = object_of(Data=TEXT)
TEMPLATE = object_of(
    TemplateName=TEXT, TemplateData=TEXT, TemplateContent=object_of(Text=TEXT), Headers=HEADERS
)
CONTENT = object_of(
    Simple=object_of(Subject=DATA, Body=object_of(Text=DATA, Html=DATA), Headers=HEADERS),
    Raw=object_of(Data=RAW),
    Template=TEMPLATE,
)
ENTRY = object_of(
    Destination=DESTINATION,
    ReplacementHeaders=HEADERS,
    ReplacementTags=HEADERS,
    ReplacementEmailContent=object_of(ReplacementTemplate=object_of(ReplacementTemplateData=TEXT)),
)
EMAILS = object_of(FromEmailAddress=TEXT, Destination=DESTINATION, Content=CONTENT, EmailTags=HEADERS)
BULKS = object_of(
    FromEmailAddress=TEXT,
    DefaultContent=object_of(Template=TEMPLATE),
    BulkEmailEntries=st.lists(ENTRY, max_size=4),
    DefaultEmailTags=HEADERS,
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80)


def encoded(content: Any) -> bytes:
    """As JSON, lone surrogates and all: they are what a careless client sends."""
    return json.dumps(content).encode()


def check(api: SesApi | TwilioApi, request: HttpRequest) -> None:
    """Read, and, if nothing is wrong with it, take it: an answer that can be sent, with a text for each."""
    submission = api.read(request)
    assert submission.messages
    ids = ["ab" * 16 for _ in submission.messages]
    answer = submission.declined or api.accepted(request, submission, ids)
    assert 200 <= answer.status < 600 and msgspec.json.decode(answer.body) is not None
    assert len(answer.texts) in (0, len(submission.messages))
    if answer.status < 300:
        assert answer.result is ReceiptResult.ACCEPTED and answer.text
    msgspec.json.encode([(each.recipient, each.echo) for each in submission.messages])
    assert api.glimpse(request).messages


class TestSes:
    @FUZZ
    @given(content=EMAILS)
    def test_any_email(self, content: Any) -> None:
        request = HttpRequest(method="POST", path=ses_requests.SEND, headers={}, body=encoded(content))
        check(SesApi(SesLimits()), request)

    @FUZZ
    @given(content=BULKS)
    def test_any_bulk(self, content: Any) -> None:
        request = HttpRequest(method="POST", path=ses_requests.SEND_BULK, headers={}, body=encoded(content))
        check(SesApi(SesLimits()), request)

    @FUZZ
    @given(body=st.binary(max_size=300), path=st.sampled_from([ses_requests.SEND, ses_requests.SEND_BULK]))
    def test_any_bytes(self, body: bytes, path: str) -> None:
        check(SesApi(SesLimits()), HttpRequest(method="POST", path=path, headers={}, body=body))

    @FUZZ
    @given(
        authorization=HEADER
        | st.builds(
            "AWS4-HMAC-SHA256 Credential={}/{}/{}/{}/{}, SignedHeaders={}, Signature={}".format,
            st.just(ses_requests.ACCOUNT.username) | HEADER,
            HEADER | st.just("20261127"),
            HEADER,
            HEADER | st.just("ses"),
            HEADER | st.just("aws4_request"),
            HEADER | st.just("host;x-amz-date"),
            HEADER,
        ),
        date=HEADER | st.just("20261127T120000Z"),
        query=HEADER,
        body=st.binary(max_size=50),
        whole=st.booleans(),
    )
    def test_no_signature_that_was_not_made_with_the_secret_is_right(
        self, authorization: str, date: str, query: str, body: bytes, whole: bool
    ) -> None:
        headers = {"authorization": authorization, "x-amz-date": date, "host": "x"}
        request = HttpRequest(
            method="POST", path="/é%", headers=headers, query=query, body=body, whole=whole, now_s=1.8e9
        )
        found = signer(request, Accounts([ses_requests.ACCOUNT]))
        assert isinstance(found, Flaw) or (not whole and found is ses_requests.ACCOUNT)


class TestTwilio:
    FIELDS = st.dictionaries(
        st.sampled_from(["To", "From", "Body", "MessagingServiceSid", "StatusCallback"])
        | st.text(max_size=8),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
        | st.sampled_from(["+12025550123", "+15005550006", "hn-aaaaaaaaaaaaaaaa-nh", ""]),
        max_size=6,
    )

    @FUZZ
    @given(fields=FIELDS)
    def test_any_form(self, fields: Mapping[str, str]) -> None:
        check(TwilioApi(ScenarioRate()), self.request(urlencode(fields, errors="replace").encode()))

    @FUZZ
    @given(body=st.binary(max_size=300))
    def test_any_bytes(self, body: bytes) -> None:
        check(TwilioApi(ScenarioRate()), self.request(body))

    def test_too_many_fields_are_none(self) -> None:
        submission = TwilioApi(ScenarioRate()).read(self.request(b"&".join([b"a=1"] * 2000)))
        assert submission.declined is not None
        assert submission.messages[0].recipient is None

    @staticmethod
    def request(body: bytes) -> HttpRequest:
        sid = twilio_requests.SID
        path = f"{twilio_requests.ACCOUNTS}/{sid}/Messages.json"
        return HttpRequest(method="POST", path=path, headers={}, path_params={"account": sid}, body=body)


class TestOverTheWire:
    """The same through the engine: what is answered 2xx has its receipts, and the fake goes on."""

    @pytest.mark.parametrize("path", [ses_requests.SEND, ses_requests.SEND_BULK])
    async def test_signed_rubbish_and_then_a_good_request(self, path: str) -> None:
        bodies = [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"\xff" * 50,
            b'{"Content":' * 500,
            encoded(ses_requests.email()),
        ]
        async with ses_requests.ses(max_send_rate=10_000) as (fake, client):
            for body in bodies:
                before = len(fake.receipts)
                answer = await client.ask(path, body or b" ")
                told = fake.receipts[before:]
                assert told and all(each.code == answer.status_code for each in told)
                assert (answer.status_code == 200) == any(each.result == "accepted" for each in told)
            assert (await client.ask(content=ses_requests.email())).status_code == 200

    async def test_huge_and_strange_headers_end_in_an_answer(self) -> None:
        signed = AWSRequest(method="POST", url="http://x" + ses_requests.SEND, data=b"{}")
        credentials = Credentials(ses_requests.ACCOUNT.username, ses_requests.ACCOUNT.secret)
        SigV4Auth(credentials, "ses", "eu-west-1").add_auth(signed)
        right = signed.headers["Authorization"]
        async with ses_requests.ses() as (fake, _):
            commas = "AWS4-HMAC-SHA256 " + "," * 9000
            for spoilt in (right * 100, right[:60], "\xff" * 2000, f"{right}, {right}", commas):
                assert 400 <= await status_of(fake, ses_requests.SEND, spoilt) < 500
            assert len(fake.receipts) == 5

    async def test_a_body_that_never_ends_leaves_a_receipt_of_what_it_named(self) -> None:
        async with ses_requests.ses() as (fake, _):
            _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            body = encoded(ses_requests.email())[:-20]
            writer.write(
                f"POST {ses_requests.SEND} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n".encode()
                + body
            )
            await writer.drain()
            writer.close()
            await fake.until_records(1)
        assert (fake.receipts[0].result, fake.receipts[0].recipient) == (ReceiptResult.ABORTED, RECIPIENT)


async def status_of(fake: Provider, path: str, authorization: str) -> int:
    """The status of an answer to a request with this header, as it is."""
    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {"Authorization": authorization.encode("latin-1")}
        url = f"http://127.0.0.1:{fake.port}{path}"
        answer = await http.post(url, content=b"{}", headers=headers)  # type: ignore[arg-type]
        return answer.status_code
