"""boto3 against the SES fake, through a proxy: what it raises, and what it tries again unasked.

In its default retry mode (`standard`) one call makes up to three requests, in the one that used to be the
default (`legacy`) up to five. There is no setting for the waits in between, so the legacy rows take some
seconds; all cases of a mode run side by side.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from tests.providers.clients.observations import (
    SENT,
    Case,
    Observation,
    Table,
    outcome_of,
    version_major,
)
from tests.providers.clients.proxied import proxied
from tests.providers.running import Provider
from tests.providers.ses import ACCOUNT, email, put, ses
from tests.waiting import until

TABLE = "ses-v2"
READ_TIMEOUT_S, LATE_S = 1.0, 4.0
DOCUMENTED, UNKNOWN_KEY = "throttle, as documented", "auth failure, unknown key"
NOTES = {
    Case.RESET: "each attempt was taken: so many copies",
    Case.LATE_REPLY: "each attempt was taken: so many copies",
    DOCUMENTED: "ThrottlingException 400, as AWS's documentation has it",
}


@dataclass(frozen=True)
class Mode:
    client: str
    retries: dict[str, str]
    attempts: int


MODES = [Mode("boto3", {}, 3), Mode("boto3 in retry mode legacy", {"mode": "legacy"}, 5)]


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, settings or HTTP proxies of the machine that the tests run on."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


def client_of(port: int, mode: Mode, **changes: Any) -> Any:
    """A client for that port; `changes` are to its credentials or its read timeout."""
    settings: dict[str, Any] = {"retries": mode.retries} if mode.retries else {}
    if "read_timeout" in changes:
        settings["read_timeout"] = changes.pop("read_timeout")
    given = {
        "aws_access_key_id": ACCOUNT.username,
        "aws_secret_access_key": ACCOUNT.secret,
        "region_name": "eu-west-1",
        "endpoint_url": f"http://127.0.0.1:{port}",
        **changes,
    }
    return boto3.session.Session().client("sesv2", config=Config(**settings), **given)


@dataclass
class Seen:
    outcome: str
    fake: Provider
    default_timeout: float | None


async def play(stack: AsyncExitStack, mode: Mode, case: str) -> Seen:
    """One call to send_email, and what came of it."""
    fake, _ = await stack.enter_async_context(ses())
    port = await stack.enter_async_context(proxied(fake.port))
    faults: dict[str, dict[str, Any]] = {
        Case.THROTTLE: {"type": "refuse", "named": "too-many-requests"},
        DOCUMENTED: {"type": "refuse", "named": "sending-rate-exceeded"},
        Case.SERVER_ERROR: {"type": "refuse", "code": 503},
        Case.RESET: {"type": "ack-loss"},
        Case.LATE_REPLY: {"type": "slow-ack", "delay_s": LATE_S},
    }
    if case in faults:
        put(fake, **faults[case])
    changes: dict[str, dict[str, Any]] = {
        Case.AUTH_FAILURE: {"aws_secret_access_key": "x" * 40},
        UNKNOWN_KEY: {"aws_access_key_id": "AKIAUNKNOWNUNKNOWN22"},
        Case.LATE_REPLY: {"read_timeout": READ_TIMEOUT_S},
    }
    usual = client_of(port, mode).meta.config.read_timeout
    client = client_of(port, mode, **changes.get(case, {}))
    try:
        answer = await asyncio.to_thread(client.send_email, **email())
    except botocore.exceptions.ClientError as error:
        outcome = outcome_of(error, error.response["Error"]["Code"])
        assert error.response["ResponseMetadata"]["RequestId"]
    except botocore.exceptions.BotoCoreError as error:
        outcome = outcome_of(error)
    else:
        outcome = SENT
        assert answer["MessageId"] == fake.receipts[-1].text
    finally:
        client.close()
    await until(lambda: not any(fake.running.engine.connections().values()), 30)  # then all is recorded
    return Seen(outcome, fake, usual)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.client)
async def test_what_a_caller_gets_and_what_the_provider_sees(mode: Mode, observed: Table) -> None:
    cases = [*Case, DOCUMENTED, UNKNOWN_KEY]
    async with AsyncExitStack() as stack:
        seen = dict(
            zip(cases, await asyncio.gather(*(play(stack, mode, case) for case in cases)), strict=True)
        )
        for case, each in seen.items():
            invocations = {receipt.sdk_retry for receipt in each.fake.receipts}
            assert len(invocations) == 1 and None not in invocations, case
            observed.record(
                Observation(
                    client=mode.client,
                    version_major=version_major("boto3"),
                    case=case,
                    outcome=each.outcome,
                    retries=len(each.fake.receipts) - 1,
                    default_timeout=each.default_timeout,
                    note=NOTES.get(case, ""),
                )
            )
    retried = {Case.THROTTLE, DOCUMENTED, Case.SERVER_ERROR, Case.RESET, Case.LATE_REPLY}
    for case, each in seen.items():
        assert len(each.fake.receipts) == (mode.attempts if case in retried else 1), case
    for case in (Case.RESET, Case.LATE_REPLY):
        results = [receipt.result for receipt in seen[case].fake.receipts]
        assert set(results) <= {"accepted", "ack-lost"} and len(results) == mode.attempts


async def test_a_second_call_is_another_invocation() -> None:
    async with ses() as (fake, _), proxied(fake.port) as port:
        client = client_of(port, MODES[0])
        for _ in range(2):
            await asyncio.to_thread(client.send_email, **email())
        client.close()
    assert len({receipt.sdk_retry for receipt in fake.receipts}) == 2


async def test_errors_are_the_classes_of_the_service_where_it_has_them() -> None:
    async with ses() as (fake, _), proxied(fake.port) as port:
        client = client_of(port, MODES[0])
        for name in ("MessageRejected", "AccountSuspendedException", "SendingPausedException"):
            named = {"MessageRejected": "message-rejected", "AccountSuspendedException": "account-suspended"}
            put(fake, type="refuse", named=named.get(name, "sending-paused"))
            with pytest.raises(getattr(client.exceptions, name)):
                await asyncio.to_thread(client.send_email, **email())
        client.close()


async def test_bulk_raw_and_the_account_are_understood() -> None:
    async with ses() as (fake, _), proxied(fake.port) as port:
        client = client_of(port, MODES[0])
        raw = {"Raw": {"Data": b"From: a@shop.example\r\nTo: b@customer.example\r\n\r\nhello\r\n"}}
        sent = await asyncio.to_thread(client.send_email, Content=raw)
        entries = [{"Destination": {"ToAddresses": [to]}} for to in ("c@customer.example", "nobody")]
        bulk = await asyncio.to_thread(
            client.send_bulk_email,
            FromEmailAddress="shop@shop.example",
            DefaultContent={"Template": {"TemplateName": "t", "TemplateData": "{}"}},
            BulkEmailEntries=entries,
        )
        account = await asyncio.to_thread(client.get_account)
        client.close()
    assert sent["MessageId"] and fake.receipts[0].recipient == "b@customer.example"
    assert [each["Status"] for each in bulk["BulkEmailEntryResults"]] == ["SUCCESS", "INVALID_PARAMETER"]
    assert account["SendQuota"]["MaxSendRate"] == 14.0
