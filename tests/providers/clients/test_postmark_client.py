"""postmarker against the Postmark fake, through a proxy: what it raises, and what it does unasked.

It tries nothing again, and waits for an answer for ever. It knows an error by the `ErrorCode` in its JSON:
where there is none it raises something that is no error of its own, and what a batch refuses in part it does
not raise at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import requests
from postmarker.core import PostmarkClient
from postmarker.exceptions import ClientError

from harness.history.events import ReceiptResult
from tests.providers.api_fake import api_fake
from tests.providers.clients.http_trials import (
    LATE_S,
    TIMEOUT_S,
    Library,
    Trial,
    leave_out_proxies,
    seen,
    tried,
)
from tests.providers.clients.observations import Case, Observation, Table, version_major
from tests.providers.clients.proxied import proxied
from tests.providers.running import RECIPIENT, recipient

TABLE = "postmark"
COPY = "taken: a copy, if it is sent again"

TRIALS = [
    Trial(case=Case.SUCCESS),
    Trial(case=Case.AUTH_FAILURE, secret="wrong"),
    Trial(case=Case.THROTTLE, fault={"type": "refuse", "named": "rate-limit"}),
    Trial(case="maintenance", fault={"type": "refuse", "named": "maintenance"}),
    Trial(
        case=Case.SERVER_ERROR,
        fault={"type": "refuse", "named": "internal-error"},
        note="an HTML page: the error of requests, not its own",
    ),
    Trial(
        case="refused by the layer in front",
        fault={"type": "refuse", "named": "edge-forbidden"},
        note="an HTML page: the error of requests, not its own",
    ),
    Trial(
        case="JSON without an ErrorCode",
        fault={"type": "refuse", "named": "without-error-code"},
        note="its own lookup of the code fails",
    ),
    Trial(case="refused", fault={"type": "refuse", "named": "invalid-email"}),
    Trial(case=Case.RESET, fault={"type": "ack-loss"}, note=COPY),
    Trial(
        case=Case.LATE_REPLY,
        fault={"type": "slow-ack", "delay_s": LATE_S},
        timeout_s=TIMEOUT_S,
        note=COPY,
    ),
]


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_proxies(monkeypatch)


def client_of(url: str, trial: Trial) -> PostmarkClient:
    return PostmarkClient(server_token=trial.secret, root_api_url=url, timeout=trial.timeout_s)


def email(to: str = RECIPIENT, **changes: Any) -> dict[str, Any]:
    return {
        "From": "shop@shop.example",
        "To": to,
        "Subject": "Your order",
        "TextBody": "Thank you.",
        **changes,
    }


def send(url: str, trial: Trial) -> object:
    return client_of(url, trial).emails.send(**email())


def code_of(error: Exception) -> int | None:
    if isinstance(error, ClientError):
        return int(error.error_code)
    if isinstance(error, requests.HTTPError):
        return error.response.status_code
    return None


def library(send: Callable[[str, Trial], object]) -> Library:
    return Library(send=send, errors=(ClientError, requests.RequestException, KeyError), code_of=code_of)


def record(observed: Table, case: str, outcome: str, retries: int, note: str = "") -> None:
    observed.record(
        Observation(
            client="postmarker",
            version_major=version_major("postmarker"),
            case=case,
            outcome=outcome,
            retries=retries,
            default_timeout=inspect.signature(PostmarkClient).parameters["timeout"].default,
            note=note,
        )
    )


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.id)
async def test_what_it_makes_of_an_answer(trial: Trial, observed: Table) -> None:
    found = await tried("postmark", trial, library(send))
    record(observed, trial.case, found.outcome, found.retries, trial.note)


async def test_a_batch_that_is_refused_in_part_raises_nothing(observed: Table) -> None:
    said: list[Any] = []

    def send_batch(url: str, trial: Trial) -> None:
        said.extend(client_of(url, trial).emails.send_batch(email(recipient(1)), email("nobody")))

    trial = Trial(case="batch, refused in part")
    found = await tried("postmark", trial, library(send_batch))
    assert found.results == [ReceiptResult.ACCEPTED, ReceiptResult.REFUSED]
    assert [each["ErrorCode"] for each in said] == [0, 300]
    record(observed, trial.case, found.outcome, found.retries, "no exception: each item has an ErrorCode")


async def test_an_inactive_recipient_is_known_by_its_code(observed: Table) -> None:
    trial = Trial(case="inactive recipient")
    async with api_fake("postmark") as fake, proxied(fake.port) as port:
        url = f"http://127.0.0.1:{port}"
        fake.put(type="bounce")
        await library(send).outcome(url, trial)
        await fake.until_events("bounced")
        fake.clear()
        found = await seen(fake, await library(send).outcome(url, trial))
    assert found.results == [ReceiptResult.ACCEPTED, ReceiptResult.REFUSED]
    record(observed, trial.case, found.outcome, found.retries - 1)


async def test_the_server_can_be_asked_for_its_health() -> None:
    names: list[str] = []

    def ask(url: str, trial: Trial) -> None:
        names.append(client_of(url, trial).server.get().Name)

    async with api_fake("postmark") as fake, proxied(fake.port) as port:
        await library(ask).outcome(f"http://127.0.0.1:{port}", Trial(case="probe"))
        assert fake.receipts == []
    assert len(names) == 1
