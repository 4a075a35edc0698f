"""Mailgun's documented requests by httpx, through a proxy: what a caller gets who asks for exceptions.

Mailgun has no client of its own for Python that is kept up; its pages show requests by hand. httpx tries
nothing again. A path that does not exist looks like success.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.providers.api_fake import api_fake
from tests.providers.clients.http_trials import LATE_S, TIMEOUT_S, Library, Trial, leave_out_proxies, tried
from tests.providers.clients.observations import SENT, Case, Observation, Table, version_major
from tests.providers.clients.proxied import proxied
from tests.providers.running import RECIPIENT

TABLE = "mailgun"
COPY = "taken: a copy, if it is sent again"

TRIALS = [
    Trial(case=Case.SUCCESS),
    Trial(case=Case.AUTH_FAILURE, secret="wrong", note="the body is the plain word Forbidden"),
    Trial(case=Case.THROTTLE, fault={"type": "refuse", "named": "too-many-requests"}),
    Trial(
        case="recipient limit",
        fault={"type": "refuse", "named": "recipient-limit-exceeded"},
        note="a status that HTTP does not know; it ends by itself after an hour",
    ),
    Trial(case=Case.SERVER_ERROR, fault={"type": "refuse", "named": "internal-error"}),
    Trial(case="refused", fault={"type": "refuse", "named": "invalid-recipient"}),
    Trial(case="domain not found", fault={"type": "refuse", "named": "domain-not-found"}),
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


def post(url: str, trial: Trial, path: str) -> httpx.Response:
    fields = {
        "from": "shop@mg.shop.example",
        "to": [RECIPIENT],
        "subject": "Your order",
        "text": "Thank you.",
    }
    auth = ("api", trial.secret)
    answer = httpx.post(url + path, data=fields, auth=auth, timeout=trial.timeout_s)
    answer.raise_for_status()
    return answer


def send(url: str, trial: Trial) -> object:
    return post(url, trial, "/v3/mg.shop.example/messages").json()["id"]


def code_of(error: Exception) -> int | None:
    return error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None


def library(send: Callable[[str, Trial], object]) -> Library:
    return Library(send=send, errors=(httpx.HTTPError,), code_of=code_of)


def record(observed: Table, case: str, outcome: str, retries: int, note: str = "") -> None:
    with httpx.Client() as client:
        default_timeout = client.timeout.read
    observed.record(
        Observation(
            client="httpx",
            version_major=version_major("httpx"),
            case=case,
            outcome=outcome,
            retries=retries,
            default_timeout=default_timeout,
            note=note,
        )
    )


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.id)
async def test_what_it_makes_of_an_answer(trial: Trial, observed: Table) -> None:
    found = await tried("mailgun", trial, library(send))
    record(observed, trial.case, found.outcome, found.retries, trial.note)


async def test_the_wrong_path_looks_like_success(observed: Table) -> None:
    trial = Trial(case="wrong path")
    bodies: list[str] = []

    def send_astray(url: str, trial: Trial) -> None:
        bodies.append(post(url, trial, "/v3/messages").text)

    async with api_fake("mailgun") as fake, proxied(fake.port) as port:
        outcome = await library(send_astray).outcome(f"http://127.0.0.1:{port}", trial)
        assert fake.receipts == []
    assert (outcome, bodies) == (SENT, ["Mailgun Magnificent API"])
    record(observed, trial.case, outcome, 0, "200 in plain text, and nothing was taken")
