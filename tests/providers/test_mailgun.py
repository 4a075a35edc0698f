"""The Mailgun preset: forms of both kinds, whole messages, its answers to the letter, and its traps."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.http.messages import HttpRequest
from harness.providers.http.scenario_rate import ScenarioRate
from harness.providers.presets.mailgun import NAMED, MailgunApi
from tests.providers.api_fake import ApiFake, api_fake
from tests.providers.running import CANARY, RECIPIENT, ROUTE, TOKEN, recipient, token

AUTH = ("api", ROUTE.secret)
DOMAIN = "mg.shop.example"
MESSAGES = f"/v3/{DOMAIN}/messages"


def message(*to: str, **changes: Any) -> dict[str, Any]:
    return {
        "from": "Shop <shop@mg.shop.example>",
        "to": list(to or (RECIPIENT,)),
        "subject": "Your order",
        "text": f"Thank you.\nref: hn-{TOKEN}-nh\n",
        "h:X-Harness-Token": TOKEN,
        **changes,
    }


class Client:
    def __init__(self, fake: ApiFake) -> None:
        self.fake = fake

    async def post(self, data: dict[str, Any], path: str = MESSAGES, **request: Any) -> httpx.Response:
        request.setdefault("auth", AUTH)
        return await self.fake.http.post(path, data=data, **request)


@asynccontextmanager
async def mailgun(**config: Any) -> AsyncIterator[Client]:
    async with api_fake("mailgun", **config) as fake:
        yield Client(fake)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with mailgun() as client:
        yield client


class TestAnswers:
    async def test_a_message_that_was_taken(self, client: Client) -> None:
        answer = await client.post(message())
        assert (answer.status_code, list(answer.json())) == (200, ["id", "message"])
        assert answer.json()["message"] == "Queued. Thank you."
        assert re.fullmatch(r"<\d{14}\.[0-9a-f]{16}@mg\.shop\.example>", answer.json()["id"])
        (receipt,) = client.fake.receipts
        assert (receipt.text, receipt.recipient, receipt.token) == (answer.json()["id"], RECIPIENT, TOKEN)
        assert receipt.carriers == ["recipient", "header", "nonce"]

    @pytest.mark.parametrize("auth", [None, ("api", "other"), ("user", ROUTE.secret)])
    async def test_a_wrong_key_is_one_word_of_plain_text(
        self, client: Client, auth: tuple[str, str] | None
    ) -> None:
        answer = await client.post(message(), auth=auth)
        assert (answer.status_code, answer.text) == (401, "Forbidden")
        assert "json" not in answer.headers["content-type"]
        assert client.fake.receipts[-1].result is ReceiptResult.DEFERRED

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"from": ""}, "from parameter is missing"),
            ({"to": ""}, "to parameter is missing"),
            ({"to": "nobody"}, "to parameter is not a valid address. please check documentation"),
            ({"cc": "a@b.example, x"}, "cc parameter is not a valid address. please check documentation"),
            ({"from": "shop"}, "from parameter is not a valid address. please check documentation"),
            (
                {"text": ""},
                "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified",
            ),
            ({"recipient-variables": "{"}, "'recipient-variables' parameter is not a valid JSON"),
        ],
    )
    async def test_what_is_wrong_with_a_message_is_400(
        self, client: Client, change: dict[str, Any], words: str
    ) -> None:
        answer = await client.post(message() | change)
        assert (answer.status_code, answer.json()) == (400, {"message": words})
        assert {each.result for each in client.fake.receipts} == {ReceiptResult.REFUSED}

    async def test_no_subject_is_no_error(self, client: Client) -> None:
        assert (await client.post(message(subject=""))).status_code == 200

    async def test_what_is_no_domain_name_is_not_found(self, client: Client) -> None:
        answer = await client.post(message(), "/v3/undefined/messages")
        assert (answer.status_code, answer.json()) == (404, {"message": "Domain not found: undefined"})

    @pytest.mark.parametrize("path", ["/", "/v3/messages", f"/v3/{DOMAIN}/extra/messages", "/v2/x/messages"])
    async def test_the_trap_a_path_that_does_not_exist_is_200(self, client: Client, path: str) -> None:
        answer = await client.post(message(), path)
        assert (answer.status_code, answer.text) == (200, "Mailgun Magnificent API")
        assert client.fake.receipts == []

    async def test_the_probe_needs_the_key_and_leaves_no_record(self, client: Client) -> None:
        answer = await client.fake.http.get(f"/v3/domains/{DOMAIN}", auth=AUTH)
        assert (answer.status_code, answer.json()["domain"]["state"]) == (200, "active")
        assert (await client.fake.http.get(f"/v3/domains/{DOMAIN}")).status_code == 401
        assert client.fake.receipts == []

    async def test_too_large_and_too_many(self) -> None:
        async with mailgun(limits={"rate": 0.01, "burst": 1}) as client:
            answer = await client.post(message(text="x" * (25 * 1024 * 1024)))
            assert answer.status_code == 413
            assert (await client.post(message())).status_code == 200
            assert (await client.post(message())).status_code == 429


class TestForms:
    async def test_lists_of_recipients_have_a_receipt_each(self, client: Client) -> None:
        fields = message(
            f"{recipient(1)}, Two <{recipient(2)}>",
            recipient(3),
            cc=f'"D, E" <{recipient(4)}>',
            bcc=recipient(5),
        )
        answer = await client.post(fields)
        receipts = client.fake.receipts
        assert [each.token for each in receipts] == [token(n) for n in (1, 2, 3, 4, 5)]
        assert {each.text for each in receipts} == {answer.json()["id"]}

    async def test_multipart_with_an_attachment_reads_the_same(self, client: Client) -> None:
        files = [("attachment", ("a.pdf", b"%PDF\r\n--x\r\n", "application/pdf"))]
        answer = await client.post(message(recipient(1), recipient(2)), files=files)
        assert answer.status_code == 200
        assert [each.recipient for each in client.fake.receipts] == [recipient(1), recipient(2)]
        assert client.fake.receipts[0].carriers == ["recipient"]  # its header and body name another
        assert (await client.post(message(), files=files)).status_code == 200
        assert client.fake.receipts[-1].carriers == ["recipient", "header", "nonce"]

    @pytest.mark.parametrize("filename", ["message.mime", "message.txt"])
    async def test_a_whole_message_comes_as_a_file(self, client: Client, filename: str) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["X-Harness-Token"] = "shop@mg.shop.example", RECIPIENT, TOKEN
        mail["Subject"] = "Grüße"
        mail.set_content(f"Grüße\nref: hn-{TOKEN}-nh\n", cte="base64")
        mail.add_alternative("<p>Grüße</p>", subtype="html")
        answer = await client.post(
            {"to": "pool@customer.example"},
            f"{MESSAGES}.mime",
            files={"message": (filename, mail.as_bytes())},
        )
        assert answer.status_code == 200
        (receipt,) = client.fake.receipts
        assert (receipt.token, receipt.carriers) == (TOKEN, ["header", "nonce"])

    async def test_a_whole_message_that_is_missing(self, client: Client) -> None:
        assert (await client.post({"to": RECIPIENT}, f"{MESSAGES}.mime")).status_code == 400

    async def test_recipient_variables_make_a_message_for_each(self, client: Client) -> None:
        to = ["one@customer.example", "two@customer.example", "three@customer.example"]
        variables = {to[0]: {"ref": f"hn-{token(1)}-nh", "token": token(1)}, to[1]: {"ref": "x"}}
        fields = message(
            *to,
            text="ref: %recipient.ref%\n",
            **{"h:X-Harness-Token": "%recipient.token%", "recipient-variables": json.dumps(variables)},
        )
        assert (await client.post(fields)).status_code == 200
        named = [(each.token, each.carriers) for each in client.fake.receipts]
        assert named == [(token(1), ["header", "nonce"]), (None, []), (None, [])]

    async def test_test_mode_takes_and_does_not_send(self, client: Client) -> None:
        answer = await client.post(message(**{"o:testmode": "yes"}))
        assert (answer.status_code, answer.json()["message"]) == (200, "Queued. Thank you.")
        (receipt,) = client.fake.receipts
        assert (receipt.result, receipt.canary) == (ReceiptResult.REFUSED, "system")

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", b'{"to": "a@b.example"}'),
            ("multipart/form-data", b"--x\r\n"),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=to\r\n"),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: ;;name*0*="\r\n\r\n\xff\r\n--x--',
            ),
            ("application/x-www-form-urlencoded", b"\xff=%ff&&=&to"),
            ("application/x-www-form-urlencoded", b""),
        ],
    )
    async def test_whatever_comes_is_answered_and_recorded(
        self, client: Client, content_type: str, body: bytes
    ) -> None:
        answer = await client.fake.http.post(
            MESSAGES, content=body, headers={"Content-Type": content_type}, auth=AUTH
        )
        assert answer.status_code == 400
        assert [each.result for each in client.fake.receipts] == [ReceiptResult.REFUSED]

    async def test_parts_within_parts_without_an_end(self, client: Client) -> None:
        nested = b"".join(
            b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(3000)
        )
        answer = await client.fake.http.post(
            MESSAGES, content=nested, headers={"Content-Type": "multipart/form-data; boundary=b0"}, auth=AUTH
        )
        assert (answer.status_code, len(client.fake.receipts)) == (400, 1)


@settings(max_examples=300, deadline=None)
@given(
    head=st.sampled_from(["", "; boundary=x", '; boundary="', "; boundary*0*=utf-8''x"]),
    parts=st.lists(
        st.tuples(
            st.sampled_from(
                [b"name=to", b'name="message"', b"name*=''x", b'name=a; filename="b"', b"name=\xff"]
            ),
            st.sampled_from(
                [b"", b"text/plain", b"message/rfc822", b"multipart/mixed; boundary=x", b"\xff/\x00"]
            ),
            st.sampled_from([b"", b"base64", b"quoted-printable", b"x-uuencode", b"\xff"]),
            st.binary(max_size=60),
        ),
        max_size=5,
    ),
)
def test_no_body_breaks_the_reading(head: str, parts: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
    body = b"".join(
        b"--x\r\nContent-Disposition: form-data; %s\r\nContent-Type: %s\r\n"
        b"Content-Transfer-Encoding: %s\r\n\r\n%s\r\n" % part
        for part in parts
    )
    api = MailgunApi(ScenarioRate())
    request = HttpRequest(
        method="POST",
        path=MESSAGES,
        path_params={"domain": DOMAIN},
        headers={"content-type": f"multipart/form-data{head}"},
        body=body,
    )
    assert api.read(request).messages
    assert api.glimpse(request).messages


class TestPreset:
    async def test_every_named_answer_can_be_played_and_hands_nothing_over(self, client: Client) -> None:
        for name, expected in NAMED.items():
            client.fake.put(type="refuse", named=name)
            answer = await client.post(message())
            assert answer.status_code == expected.status
            assert "{" not in client.fake.receipts[-1].text
            assert client.fake.receipts[-1].result in (ReceiptResult.REFUSED, ReceiptResult.DEFERRED)
        assert client.fake.events == []

    async def test_a_named_answer_names_the_domain(self, client: Client) -> None:
        client.fake.put(type="refuse", named="domain-not-found")
        assert (await client.post(message())).json()["message"] == f"Domain not found: {DOMAIN}"
        client.fake.put(type="refuse", named="recipient-limit-exceeded")
        answer = await client.post(message())
        words = f"Domain {DOMAIN} is not allowed to send: recipient limit exceeded, try again after "
        assert answer.status_code == 420
        assert re.fullmatch(re.escape(words) + r"\w{3}, .* UTC", answer.json()["message"])

    async def test_mail_to_who_bounced_is_queued_all_the_same(self, client: Client) -> None:
        client.fake.put(type="bounce")
        await client.post(message())
        await client.fake.until_events("accepted", "bounced")
        client.fake.clear()
        assert (await client.post(message())).status_code == 200
        await client.fake.until_events("accepted", "bounced", "dropped")

    async def test_the_canary_gets_in_and_its_mail_is_marked(self, client: Client) -> None:
        canary = presets.load("mailgun").canary
        assert canary is not None
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "a@b.example", RECIPIENT, "canary"
        mail.set_content("ref\n")
        for request in (canary.login(CANARY), canary.message(CANARY, mail)):
            answer = await client.fake.http.request(
                request.method, request.path, content=request.body, headers=dict(request.headers)
            )
            assert answer.status_code == 200
        assert [each.canary for each in client.fake.receipts] == ["harness"]
