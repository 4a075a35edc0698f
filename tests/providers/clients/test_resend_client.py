"""The resend library against the fake, through a proxy: what it raises, and what it does unasked.

It tries nothing again, and it raises one type for whatever has no answer: the code is 500, as if the provider
had said so. A key makes the caller's own retry safe.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest
import resend
from resend.http_client_requests import RequestsClient

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
from tests.providers.clients.observations import SENT, Case, Observation, Table, version_major
from tests.providers.clients.proxied import proxied
from tests.providers.running import RECIPIENT, recipient

TABLE = "resend"
COPY = "taken: a copy, if it is sent again without a key"

TRIALS = [
    Trial(case=Case.SUCCESS),
    Trial(case=Case.AUTH_FAILURE, secret="re_wrong"),
    Trial(
        case="auth failure, as on the newest page",
        fault={"type": "refuse", "named": "api-key-is-invalid"},
        note="the library knows it under another status and name",
    ),
    Trial(case=Case.THROTTLE, fault={"type": "refuse", "named": "rate-limit-exceeded"}),
    Trial(
        case="daily quota",
        fault={"type": "refuse", "named": "daily-quota-exceeded"},
        note="the same type as a throttle; error_type tells them apart",
    ),
    Trial(case=Case.SERVER_ERROR, fault={"type": "refuse", "named": "application-error"}),
    Trial(case="refused", fault={"type": "refuse", "named": "validation-error"}),
    Trial(case="security error", fault={"type": "refuse", "named": "security-error"}),
    Trial(case=Case.RESET, fault={"type": "ack-loss"}, note=f"looks like a 500; {COPY}"),
    Trial(
        case=Case.LATE_REPLY,
        fault={"type": "slow-ack", "delay_s": LATE_S},
        timeout_s=TIMEOUT_S,
        note=f"looks like a 500; {COPY}",
    ),
]


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library keeps its settings in its module."""
    leave_out_proxies(monkeypatch)
    before = resend.api_key, resend.api_url, resend.default_http_client
    yield
    resend.api_key, resend.api_url, resend.default_http_client = before


def settings(url: str, trial: Trial) -> None:
    resend.api_key, resend.api_url = trial.secret, url
    resend.default_http_client = RequestsClient(timeout=int(trial.timeout_s))


def email(to: str = RECIPIENT) -> resend.Emails.SendParams:
    return {"from": "shop@shop.example", "to": [to], "subject": "Your order", "text": "Thank you."}


def send(url: str, trial: Trial) -> object:
    settings(url, trial)
    return resend.Emails.send(email())


def send_with_key(url: str, trial: Trial) -> object:
    settings(url, trial)
    return resend.Emails.send(email(), {"idempotency_key": "order-17"})


def library(send: Callable[[str, Trial], object]) -> Library:
    error = resend.exceptions.ResendError
    return Library(send=send, errors=(error,), code_of=lambda raised: getattr(raised, "code", None))


def record(observed: Table, case: str, outcome: str, retries: int, note: str = "") -> None:
    observed.record(
        Observation(
            client="resend",
            version_major=version_major("resend"),
            case=case,
            outcome=outcome,
            retries=retries,
            default_timeout=inspect.signature(RequestsClient).parameters["timeout"].default,
            note=note,
        )
    )


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.id)
async def test_what_it_makes_of_an_answer(trial: Trial, observed: Table) -> None:
    found = await tried("resend", trial, library(send))
    record(observed, trial.case, found.outcome, found.retries, trial.note)


async def test_a_retry_with_its_key_makes_no_second_copy(observed: Table) -> None:
    trial = Trial(case="reset, and the caller's retry with its idempotency key")
    async with api_fake("resend") as fake, proxied(fake.port) as port:
        fake.put(type="ack-loss", count=1)
        url = f"http://127.0.0.1:{port}"
        assert await library(send_with_key).outcome(url, trial) != SENT
        outcome = await library(send_with_key).outcome(url, trial)
        found = await seen(fake, outcome)
    assert found.results == ["ack-lost", "repeated"]
    record(observed, trial.case, outcome, found.retries - 1, "the second request is answered as the first")


async def test_a_batch_is_taken_in_part_where_it_asks_for_that(observed: Table) -> None:
    said: list[resend.Batch.SendResponse] = []

    def send_batch(url: str, trial: Trial) -> object:
        settings(url, trial)
        options: resend.Batch.SendOptions = {"batch_validation": "permissive"}
        said.append(resend.Batch.send([email(recipient(1)), email("nobody")], options))
        return said

    trial = Trial(case="batch, refused in part")
    found = await tried("resend", trial, library(send_batch))
    assert found.results == [ReceiptResult.ACCEPTED, ReceiptResult.REFUSED]
    assert [each["index"] for each in said[0]["errors"]] == [1]
    note = "permissive: no exception; `errors` has what was refused"
    record(observed, trial.case, found.outcome, found.retries, note)


async def test_what_is_left_of_the_rate_reaches_the_caller() -> None:
    errors: list[resend.exceptions.RateLimitError] = []

    def send_twice(url: str, trial: Trial) -> None:
        settings(url, trial)
        first = resend.Emails.send(email())
        assert first["http_headers"]["ratelimit-remaining"] == "0"
        with pytest.raises(resend.exceptions.RateLimitError) as raised:
            resend.Emails.send(email())
        errors.append(raised.value)

    limits = {"rate": 0.00001, "burst": 1}
    await tried("resend", Trial(case="limits"), library(send_twice), limits=limits)
    (error,) = errors
    assert error.headers["ratelimit-remaining"] == "0"
    assert error.headers["retry-after"] == error.headers["ratelimit-reset"]
