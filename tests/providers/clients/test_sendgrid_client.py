"""The sendgrid library against the fake, through a proxy: what it raises, and what it does unasked.

It tries nothing again and, unless it is told otherwise, waits for ever. What the provider answers comes as an
exception for each status; what it does not answer comes as whatever the sockets below raise.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any

import pytest
import python_http_client
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail

from harness.history.events import Receipt, ReceiptResult
from tests.providers.clients.observations import (
    SENT,
    Case,
    Observation,
    Table,
    outcome_of,
    version_major,
)
from tests.providers.clients.proxied import proxied
from tests.providers.http_provider import KEY, TOKEN, sendgrid
from tests.waiting import until

TABLE = "sendgrid"
PATIENCE_S = 30.0  # of a client whose answer comes in time
TIMEOUT_S, LATE_S = 3.0, 60.0  # a client waits so long for an answer that comes so late
COPY = "taken: a copy, if it is sent again"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What the provider does, and what is to be said of it."""

    case: str
    result: ReceiptResult
    fault: dict[str, Any] = field(default_factory=dict)
    key: str = KEY
    timeout_s: float = PATIENCE_S
    note: str = ""


TRIALS = [
    Trial(case=Case.SUCCESS, result=ReceiptResult.ACCEPTED),
    Trial(case=Case.AUTH_FAILURE, result=ReceiptResult.DEFERRED, key="SG.wrong"),
    Trial(
        case="limits exceeded",
        result=ReceiptResult.DEFERRED,
        fault={"type": "refuse", "named": "limits-exceeded"},
    ),
    Trial(
        case=Case.THROTTLE,
        result=ReceiptResult.DEFERRED,
        fault={"type": "throttle", "quota": 0},
        note="when to come back is in the headers of the exception",
    ),
    Trial(
        case=Case.SERVER_ERROR,
        result=ReceiptResult.DEFERRED,
        fault={"type": "refuse", "named": "internal-error"},
    ),
    Trial(
        case="web server's own error",
        result=ReceiptResult.DEFERRED,
        fault={"type": "refuse", "named": "service-unavailable"},
        note="the body is HTML; `to_dict` of the exception raises",
    ),
    Trial(case=Case.RESET, result=ReceiptResult.ACK_LOST, fault={"type": "ack-loss"}, note=COPY),
    Trial(
        case="error after it was taken",
        result=ReceiptResult.ACK_LOST,
        fault={"type": "ack-loss", "code": 504},
        note=COPY,
    ),
    Trial(
        case=Case.LATE_REPLY,
        result=ReceiptResult.ACK_LOST,
        fault={"type": "slow-ack", "delay_s": LATE_S},
        timeout_s=TIMEOUT_S,
        note=COPY,
    ),
]


def send(port: int, key: str, timeout_s: float) -> BaseException | None:
    """What was raised, if anything."""
    client = SendGridAPIClient(api_key=key, host=f"http://127.0.0.1:{port}")
    client.client.timeout = timeout_s
    mail = Mail(
        from_email="shop@shop.example",
        to_emails=f"c.{TOKEN}@customer.example",
        subject="Your order",
        plain_text_content="Thank you.",
    )
    try:
        answer = client.send(mail)
    except (python_http_client.HTTPError, OSError) as error:
        return error
    assert answer.status_code == 202 and answer.headers["X-Message-Id"]
    return None


async def tried(trial: Trial) -> tuple[BaseException | None, list[Receipt]]:
    """What the client made of it, and what the provider recorded."""
    async with sendgrid() as fake, proxied(fake.port) as port:
        if trial.fault:
            fake.put(**trial.fault)
        raised = await asyncio.to_thread(send, port, trial.key, trial.timeout_s)
        # The provider has its record later than the client its answer, where that one was lost.
        await until(lambda: bool(fake.receipts()))
        return raised, fake.receipts()


@pytest.fixture(autouse=True)
def without_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.case.replace(" ", "-"))
async def test_what_it_makes_of_an_answer(trial: Trial, observed: Table) -> None:
    raised, receipts = await tried(trial)
    assert {receipt.result for receipt in receipts} == {trial.result}
    observed.record(
        Observation(
            client="sendgrid",
            version_major=version_major("sendgrid"),
            case=trial.case,
            outcome=SENT if raised is None else outcome_of(raised, getattr(raised, "status_code", None)),
            retries=len(receipts) - 1,
            default_timeout=SendGridAPIClient(api_key=KEY).client.timeout,
            note=trial.note,
        )
    )


def trial_of(case: str) -> Trial:
    return next(trial for trial in TRIALS if trial.case == case)


async def test_a_throttle_says_when_to_come_back() -> None:
    raised, _ = await tried(trial_of(Case.THROTTLE))
    assert isinstance(raised, python_http_client.HTTPError)
    assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(raised.headers.keys())


async def test_a_web_server_s_own_error_has_no_json_for_who_expects_it() -> None:
    raised, _ = await tried(trial_of("web server's own error"))
    assert isinstance(raised, python_http_client.HTTPError)
    with pytest.raises(ValueError, match="Expecting value"):
        _ = raised.to_dict
