"""Each provider's API, against the harness's own fake of it: how a message gets there, and how every answer
that the fake can give is understood.
"""

from __future__ import annotations

from collections import Counter

import pytest
from mailrouter.apis import Api, Reply
from mailrouter.config import Config, Kind, endpoint
from mailrouter.fate import Outcome, Result
from mailrouter.route import api_of

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.http.messages import Answer
from tests.providers.running import RECIPIENT, TOKEN
from tests.systems.fakes import events_secret, fake, message, real_clock, route_to
from tests.systems.running import running
from tests.systems.stubs import Mood, SendGridStub, SmtpStub
from tests.waiting import until

ACCEPTED, REJECTED, BUSY = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.BUSY
TROUBLE, UNKNOWN = Outcome.TROUBLE, Outcome.UNKNOWN

# Every named answer of each fake, and what it must mean to a sender.
JUDGED = {
    "mailgun": {
        BUSY: ["too-many-requests"],
        REJECTED: ["invalid-recipient", "missing-from", "too-large"],
        TROUBLE: ["account-disabled", "domain-not-found", "forbidden", "internal-error", "magnificent-api",
                  "recipient-limit-exceeded", "sandbox-domain", "service-unavailable"],
    },
    "microsoft-graph": {
        BUSY: ["throttled", "throttled-without-retry-after"],
        REJECTED: ["me-not-delegated", "mime-not-base64"],
        TROUBLE: ["access-denied", "mailbox-missing", "send-as-denied", "service-unavailable",
                  "token-expired", "token-invalid"],
        UNKNOWN: ["gateway-timeout"],
    },
    "postmark": {
        BUSY: ["rate-limit"],
        REJECTED: ["inactive-recipient", "invalid-email"],
        TROUBLE: ["account-pending", "bad-token", "edge-forbidden", "internal-error", "maintenance",
                  "not-allowed", "without-error-code"],
    },
    "resend": {
        BUSY: ["rate-limit-exceeded"],
        REJECTED: ["invalid-idempotency-key", "missing-required-field", "security-error", "validation-error"],
        TROUBLE: ["api-key-is-invalid", "application-error", "daily-quota-exceeded", "domain-not-verified",
                  "internal-server-error", "invalid-api-key", "missing-api-key", "monthly-quota-exceeded",
                  "restricted-api-key", "service-unavailable"],
        # Something with this key may have been taken.
        UNKNOWN: ["concurrent-idempotent-requests", "invalid-idempotent-request"],
    },
    "sendgrid": {
        BUSY: ["too-many-requests"],
        TROUBLE: ["bad-gateway", "credits-exceeded", "forbidden", "internal-error", "limits-exceeded",
                  "service-unavailable", "unauthorized"],
    },
    "ses-v2": {
        BUSY: ["sending-rate-exceeded", "too-many-requests"],
        REJECTED: ["bad-request", "message-rejected"],
        TROUBLE: ["account-suspended", "concurrent-modification", "daily-quota-exceeded",
                  "email-address-not-verified", "internal-failure", "invalid-client-token-id",
                  "limit-exceeded", "mail-from-domain-not-verified", "not-found", "sending-paused",
                  "service-unavailable", "signature-does-not-match", "unrecognized-client"],
    },
    "in-app": {
        BUSY: ["too-many-requests"],
        REJECTED: ["unknown-user"],
        TROUBLE: ["unauthorized", "unavailable"],
    },
    "twilio-sms": {
        BUSY: ["queue-full", "too-many-requests"],
        REJECTED: ["invalid-to", "unsubscribed"],
        TROUBLE: ["authenticate", "internal-error", "no-permission", "service-unavailable"],
    },
}  # fmt: skip
PRESETS = sorted(set(JUDGED) & set(presets.names()))
BY_ITSELF = [name for name in PRESETS if name not in ("in-app", "microsoft-graph", "twilio-sms")]
"""Those that take mail and need nothing but their URL; test_entra.py has the other that does."""
SMS = sorted(set(PRESETS) - {"in-app", "microsoft-graph", *BY_ITSELF})
QUERY = {"mailgun": "?domain=shop.example", "microsoft-graph": "?token_url=https://127.0.0.1:1/token",
         "twilio-sms": "?from=%2B15005550006"}  # fmt: skip


def api_for(preset: str) -> Api:
    return api_of(endpoint(f"{presets.load(preset).scheme}://127.0.0.1:1{QUERY.get(preset, '')}"))


def judged(preset: str, answer: Answer) -> Result:
    headers = {name.lower(): value for name, value in answer.headers}
    return api_for(preset).judge(Reply(answer.status, headers, answer.body.decode(), wall_s=1_800_000_000.0))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_answer_that_a_fake_has_a_name_for_is_understood(preset: str) -> None:
    named = presets.load(preset).named
    meant = {name: outcome for outcome, names in JUDGED[preset].items() for name in names}
    of_sending = {name: answer for name, answer in named.items() if not name.startswith("entra-")}
    assert {name: judged(preset, answer).outcome for name, answer in of_sending.items()} == meant


def test_every_fake_that_the_router_has_a_route_for_is_among_them() -> None:
    spoken = {kind.value for kind in Kind} - {Kind.SMTP.value}
    found = {name for name in presets.names() if presets.load(name).scheme.partition("+")[0] in spoken}
    assert found == set(PRESETS)


@pytest.mark.parametrize("preset", BY_ITSELF)
async def test_a_message_arrives_whole_and_the_provider_s_name_for_it_is_kept(preset: str) -> None:
    async with fake(preset, query=QUERY.get(preset, "")) as provider, route_to(provider.url) as route:
        assert (await route.check_login()).outcome is ACCEPTED
        result = await route.send(message(), lambda: None)
        (receipt,) = provider.receipts
    assert (result.outcome, result.provider_id.strip("<>")) == (ACCEPTED, receipt.text.strip("<>"))
    assert (receipt.result, receipt.token, receipt.recipient) == (ReceiptResult.ACCEPTED, TOKEN, RECIPIENT)
    assert set(receipt.carriers or ()) == {"recipient", "header", "nonce"}


@pytest.mark.parametrize("preset", BY_ITSELF)
async def test_a_credential_that_opens_nothing_is_the_route_s_trouble(preset: str) -> None:
    async with (
        fake(preset, query=QUERY.get(preset, "")) as provider,
        route_to(provider.rejecting_url) as route,
    ):
        assert (await route.check_login()).outcome is TROUBLE
        assert (await route.send(message(), lambda: None)).outcome is TROUBLE


@pytest.mark.parametrize("preset", BY_ITSELF)
async def test_a_message_that_no_route_could_send_is_rejected(preset: str) -> None:
    async with fake(preset, query=QUERY.get(preset, "")) as provider, route_to(provider.url) as route:
        result = await route.send(message(to="not an address", text=""), lambda: None)
    assert result.outcome is REJECTED


@pytest.mark.parametrize("preset", BY_ITSELF)
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"type": "refuse", "code": 503}, TROUBLE),
        ({"type": "refuse", "code": 429, "retry_after_s": 7.0}, BUSY),
        ({"type": "throttle", "quota": 0}, BUSY),
        ({"type": "refuse", "code": 504}, UNKNOWN),
        ({"type": "ack-loss"}, UNKNOWN),
        ({"type": "ack-loss", "stage": "mid-reply"}, UNKNOWN),
        ({"type": "disconnect"}, UNKNOWN),
        ({"type": "hang"}, UNKNOWN),
        ({"type": "slow-ack", "delay_s": 4.0}, UNKNOWN),
    ],
    ids=str,
)
async def test_the_fate_of_a_message_that_meets_a_fault(
    preset: str, fault: dict[str, object], outcome: Outcome
) -> None:
    silent = fault["type"] in ("hang", "slow-ack")
    crossed = []
    async with (
        fake(preset, query=QUERY.get(preset, "")) as provider,
        route_to(provider.url, 1.0 if silent else 10.0) as route,
    ):
        provider.put(**fault)
        result = await route.send(message(), lambda: crossed.append(True))
        assert (result.outcome, result.timed_out, len(crossed)) == (outcome, silent, 1)
        if fault.get("retry_after_s"):
            assert result.retry_after_s == 7.0
        # A late answer is recorded when it is given or its client has left.
        await until(lambda: len(provider.receipts) == 1)
    assert len(provider.receipts) == 1  # nothing is repeated behind the router's back


WITH_EVENTS = [name for name in BY_ITSELF if presets.load(name).events is not None]


@pytest.mark.parametrize("preset", WITH_EVENTS)
async def test_events_are_genuine_find_their_message_and_free_it(preset: str, config: Config) -> None:
    """The acknowledgement gets lost, the message is held, and the provider's own events tell its fate."""
    secret, key = events_secret(preset)
    hook = f"http://127.0.0.1:{config.port}/events/{presets.load(preset).scheme.partition('+')[0]}"
    async with fake(preset, events_url=hook, events_secret=secret) as provider:
        provider.put(type="ack-loss", class_="transactional")
        routes = {"primary": endpoint(provider.url), "send_timeout_s": 10.0}
        keys = {"events_key_primary": key or None, "detect_after_s": 60.0, "failback_after_s": 60.0}
        async with running(config, real_clock(), **routes, **keys) as client:
            headers = {"X-Harness-Class": "transactional"}
            await client.submit(TOKEN, to=RECIPIENT, headers=headers)
            await client.until_state(TOKEN, "sent", deadline_s=20)
            await client.until_event("delivered", deadline_s=20)
            assert "state=held" in client.log.getvalue()
            told = await client.http.post(hook, content=b"{}")
            assert told.status_code == (401 if key else 400)
    taken = [each for each in provider.receipts if each.result is not ReceiptResult.REPEATED]
    assert Counter(receipt.token for receipt in taken if receipt.token) == {TOKEN: 1}


REPEATING = [name for name in BY_ITSELF if api_for(name).repeats_for_s]


@pytest.mark.parametrize("preset", REPEATING)
async def test_where_the_provider_knows_a_message_again_it_is_asked_for_again_and_taken_once(
    preset: str, config: Config
) -> None:
    async with fake(preset) as provider:
        provider.put(type="ack-loss", count=1, class_="transactional")
        routes = {"primary": endpoint(provider.url), "send_timeout_s": 10.0}
        async with running(config, real_clock(), **routes) as client:
            await client.submit(TOKEN, to=RECIPIENT, headers={"X-Harness-Class": "transactional"})
            await client.until_state(TOKEN, "held")
            await client.until_state(TOKEN, "sent")
    attempts = [receipt for receipt in provider.receipts if receipt.token == TOKEN]
    assert [each.result for each in attempts] == [ReceiptResult.ACK_LOST, ReceiptResult.REPEATED]
    assert {each.idempotency_key for each in attempts} == {TOKEN}


@pytest.mark.parametrize("preset", REPEATING)
async def test_what_it_knows_again_is_not_offered_to_the_other_route_while_it_is_down(
    preset: str, config: Config, smtp: SmtpStub
) -> None:
    """The first attempt is lost, and the route dies: the message waits for it, others do not."""
    async with fake(preset) as provider:
        provider.put(type="ack-loss", count=1, class_="transactional")
        routes = {"primary": endpoint(provider.url), "backup": endpoint(smtp.url), "send_timeout_s": 10.0}
        async with running(config, real_clock(), **routes) as client:
            await client.submit(TOKEN, to=RECIPIENT, headers={"X-Harness-Class": "transactional"})
            await client.until(lambda: _true(bool(provider.receipts)))
            provider.clear()
            provider.put(type="refuse", code=503)
            await client.until_route("primary", "down")
            await client.submit("c.two")
            await client.until_state("c.two", "sent")
            assert await client.state_of(TOKEN) == "held"
            provider.clear()
            await client.until_state(TOKEN, "sent")
    assert smtp.copies() == {"c.two@customer.example": 1}


@pytest.mark.parametrize("preset", SMS)
async def test_an_sms_goes_out_in_place_of_the_mail_and_its_callbacks_find_it(
    preset: str, config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    await smtp.become(Mood.REFUSES_LOGIN)
    await api.become(Mood.REFUSES_LOGIN)
    secret, key = events_secret(preset)
    hook = f"http://127.0.0.1:{config.port}/events/twilio"
    async with fake(preset, query=QUERY[preset], events_url=hook, events_secret=secret) as provider:
        async with route_to(provider.rejecting_url) as stranger:
            assert (await stranger.check_login()).outcome is TROUBLE
        channel = {"fallback": endpoint(provider.url), "fallback_after_s": 0.0, "events_key_fallback": key}
        async with running(config, real_clock(), **channel) as client:
            await client.submit(TOKEN, text=message().text, phone="+12025550123")
            await client.until_state(TOKEN, "sent", deadline_s=20)
            await client.until_event("delivered", deadline_s=20)
            assert (await client.http.post(hook, content=b"MessageSid=SM1")).status_code == 401
        (receipt,) = provider.receipts
    assert (receipt.token, receipt.result) == (TOKEN, ReceiptResult.ACCEPTED)


async def test_a_note_in_the_application_goes_out_in_place_of_the_mail(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    await smtp.become(Mood.REFUSES_LOGIN)
    await api.become(Mood.REFUSES_LOGIN)
    async with fake("in-app") as provider:
        channel = {"fallback": endpoint(provider.url), "fallback_after_s": 0.0}
        async with running(config, real_clock(), **channel) as client:
            await client.submit("c.without-a-user", text=message().text, phone="+12025550123")
            await client.submit(TOKEN, text=message().text, user="user-17")
            await client.until_state(TOKEN, "sent", deadline_s=20)
            assert await client.state_of("c.without-a-user") == "pending"
        (receipt,) = provider.receipts
    assert (receipt.token, receipt.recipient, receipt.result) == (TOKEN, "user-17", ReceiptResult.ACCEPTED)


async def _true(condition: bool) -> bool:
    return condition
