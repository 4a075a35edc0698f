"""The provider that docs/adding-a-provider.md writes, put where presets are found, and used.

What is here is the example for the tests of a new one as well: answers, a limit, an event with its signature.
"""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.preset import ApiRequest, Preset
from tests.providers.api_fake import ApiFake, api_fake, event_inbox
from tests.providers.running import CANARY, RECIPIENT, ROUTE, TOKEN
from tests.test_docs import ROOT, blocks

NAME = "paperplane"
KEY = {"Authorization": f"Bearer {ROUTE.secret}"}
MAIL = {"to": RECIPIENT, "from": "shop@shop.example", "subject": "Your order", "text": "Thank you."}


def example() -> str:
    """The document's pieces as one file."""
    return "\n\n".join(each.text for each in blocks("python") if each.mark == f"example: {NAME}.py")


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Preset]:
    (tmp_path / f"{NAME}.py").write_text(example(), encoding="utf-8")
    monkeypatch.setattr(presets, "__path__", [*presets.__path__, str(tmp_path)])
    yield presets.load(NAME)
    del sys.modules[f"{presets.__name__}.{NAME}"]
    delattr(presets, NAME)


async def post(fake: ApiFake, **changes: Any) -> tuple[int, Any]:
    answer = await fake.http.post("/v1/messages", json=MAIL | changes, headers=KEY)
    return answer.status_code, answer.json()


def test_it_keeps_the_rules_of_the_folder() -> None:
    ruff = Path(sys.executable).with_name("ruff")
    for check in (["check"], ["format", "--check"]):
        command = [ruff, *check, "--stdin-filename", f"harness/providers/presets/{NAME}.py", "-"]
        done = subprocess.run(command, input=example(), cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_found_by_being_there(preset: Preset) -> None:
    assert NAME in presets.names()
    assert (preset.name, preset.carries_mail) == (NAME, True)
    assert preset.answers["over-quota"] == "402 over_quota: Your plan's messages are used up."


async def test_a_message_has_its_receipt_and_its_id(preset: Preset) -> None:
    async with api_fake(NAME) as fake:
        status, answer = await post(fake)
        (receipt,) = fake.receipts
    assert status == 202
    assert (receipt.result, receipt.text) == (ReceiptResult.ACCEPTED, answer["id"])
    assert (receipt.token, receipt.recipient) == (TOKEN, RECIPIENT)


@pytest.mark.parametrize("wrong", [{"to": "nobody"}, {"from": 17}])
async def test_what_is_wrong_with_a_message_is_for_good(preset: Preset, wrong: dict[str, Any]) -> None:
    async with api_fake(NAME) as fake:
        status, answer = await post(fake, **wrong)
        (receipt,) = fake.receipts
    assert (status, answer["error"]["code"], receipt.result) == (400, "bad_address", ReceiptResult.REFUSED)


async def test_another_key_opens_nothing(preset: Preset) -> None:
    async with api_fake(NAME) as fake:
        answer = await fake.http.post("/v1/messages", json=MAIL, headers={"Authorization": "Bearer other"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad_key")


async def test_a_named_answer_comes_to_the_letter_and_goes_again(preset: Preset) -> None:
    async with api_fake(NAME) as fake:
        fake.put(type="refuse", named="over-quota")
        refused = await post(fake)
        fake.clear()
        assert (await post(fake))[0] == 202
        results = [each.result for each in fake.receipts]
    assert refused == (402, {"error": {"code": "over_quota", "message": "Your plan's messages are used up."}})
    assert results == [ReceiptResult.DEFERRED, ReceiptResult.ACCEPTED]


async def test_who_is_too_fast_is_told_how_long_to_wait(preset: Preset) -> None:
    async with api_fake(NAME, limits={"rate": 0.001}) as fake:
        assert (await post(fake))[0] == 202
        answer = await fake.http.post("/v1/messages", json=MAIL, headers=KEY)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 100


async def test_the_canary_gets_in_and_its_mail_is_marked(preset: Preset) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@harness.example", RECIPIENT, "canary"
    message.set_content("hello")
    assert preset.canary is not None
    asked: list[ApiRequest] = [preset.canary.login(CANARY), preset.canary.message(CANARY, message)]
    async with api_fake(NAME) as fake:
        answers = [
            await fake.http.request(each.method, each.path, headers=dict(each.headers), content=each.body)
            for each in asked
        ]
        (receipt,) = fake.receipts
    assert [each.status_code for each in answers] == [200, 202]
    assert receipt.canary == "harness"


async def test_its_events_name_the_message_and_are_signed(preset: Preset) -> None:
    assert preset.events is not None
    secret = "pps_of-this-test"
    async with (
        event_inbox() as inbox,
        api_fake(NAME, events_url=inbox.url, events_secret=secret) as fake,
    ):
        _, answer = await post(fake)
        await fake.until_events("accepted", "delivered")
    assert [(each["event"], each["message"]) for each in inbox.objects] == [
        ("accepted", answer["id"]),
        ("delivered", answer["id"]),
    ]
    for headers, body in zip(inbox.headers, inbox.bodies, strict=True):
        timestamp, signature = headers["paperplane-signature"].split(",")
        signed = f"{timestamp.removeprefix('t=')}.".encode() + body
        key = preset.events.verifies_with(secret).encode()
        assert signature == f"v1={hmac.digest(key, signed, hashlib.sha256).hex()}"
