"""The in-app preset: who a note is for, what is wrong with one, and how its message is known."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from harness.history.events import ReceiptResult
from tests.providers.api_fake import ApiFake, api_fake
from tests.providers.running import CANARY, ROUTE, TOKEN


def note(**changes: Any) -> dict[str, Any]:
    text = f"We could not reach you by mail.\nref: hn-{TOKEN}-nh\n"
    return {"user": "user-17", "title": "Your order", "text": text, **changes}


async def post(fake: ApiFake, content: Any, secret: str = ROUTE.secret) -> httpx.Response:
    return await fake.http.post("/v1/notes", json=content, headers={"Authorization": f"Bearer {secret}"})


async def test_a_note_is_taken_recorded_first_and_known_by_the_nonce_in_its_text() -> None:
    async with api_fake("in-app") as fake:
        answer = await post(fake, note())
        (receipt,) = fake.receipts
    assert answer.status_code == 201 and answer.json() == {"id": receipt.text}
    assert (receipt.result, receipt.recipient, receipt.token) == (ReceiptResult.ACCEPTED, "user-17", TOKEN)
    assert receipt.carriers == ["nonce"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (note(user=""), "`user` is missing"),
        (note(title=7), "`title` is missing"),
        (note(text=" "), "`text` is missing"),
        (note(user="c@customer.example"), "`user` is an id of the application's own, not an address"),
        ([], "`user` is missing"),
    ],
)
async def test_what_is_no_note_is_refused_for_good(content: Any, said: str) -> None:
    async with api_fake("in-app") as fake:
        answer = await post(fake, content)
        (receipt,) = fake.receipts
    assert (answer.status_code, answer.json()) == (422, {"error": said})
    assert receipt.result is ReceiptResult.REFUSED


async def test_a_key_that_nobody_has_is_refused_and_its_message_named_all_the_same() -> None:
    async with api_fake("in-app") as fake:
        answer = await post(fake, note(), secret="app_of_somebody_else")
        (receipt,) = fake.receipts
    assert (answer.status_code, receipt.result) == (401, ReceiptResult.DEFERRED)
    assert receipt.token == TOKEN


@pytest.mark.parametrize(
    ("named", "status", "result"),
    [("unknown-user", 404, ReceiptResult.REFUSED), ("unavailable", 503, ReceiptResult.DEFERRED)],
)
async def test_it_plays_faults_by_name(named: str, status: int, result: ReceiptResult) -> None:
    async with api_fake("in-app") as fake:
        fake.put(type="refuse", named=named)
        assert (await post(fake, note())).status_code == status
        assert fake.receipts[0].result is result
        fake.clear()
        assert (await post(fake, note())).status_code == 201


async def test_more_than_the_scenario_allows_at_once_are_told_to_wait() -> None:
    async with api_fake("in-app", limits={"rate": 1, "burst": 1}) as fake:
        assert (await post(fake, note())).status_code == 201
        answer = await post(fake, note())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


async def test_a_probe_sends_nothing_and_leaves_no_receipt() -> None:
    async with api_fake("in-app") as fake:
        for account in (ROUTE, CANARY):
            headers = {"Authorization": f"Bearer {account.secret}"}
            assert (await fake.http.get("/v1/status", headers=headers)).json() == {"status": "ok"}
        assert fake.receipts == []
