"""Each planted bug shows itself, where other tests show its absence in the right router."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from mailrouter.config import Config, Throttle, Waves
from mailrouter.defects import Defect
from mailrouter.message import Message
from mailrouter.outbox import Outbox

from tests.systems.running import CLOCK, running, submission
from tests.systems.stubs import Mood, SendGridStub, SmtpStub
from tests.systems.test_router import WIDE, fail_over, most_in_a_window, submit_many, times_of


async def _true(condition: bool) -> bool:
    return condition


def planted(*defects: Defect) -> dict[str, Any]:
    return {"defects": frozenset(defects)}


async def test_blind_resend_makes_a_second_copy(config: Config, smtp: SmtpStub, api: SendGridStub) -> None:
    smtp.mood = Mood.CLOSES_AFTER
    async with running(config, defects=frozenset({Defect.BLIND_RESEND})) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "sent")
    assert (smtp.copies() + api.copies())["c.one@customer.example"] == 2


async def test_no_throttle_dumps_the_backlog_at_once(config: Config, smtp: SmtpStub) -> None:
    async with running(config, defects=frozenset({Defect.NO_THROTTLE})) as client:
        await fail_over(client, smtp)
        await submit_many(client, 30)
        await smtp.become(Mood.WELL)
        await client.until_quiet()
    wave = math.ceil(config.waves.share * 30)
    assert most_in_a_window(times_of(smtp, "m."), config.waves.every_s) > 2 * wave


async def test_slow_detect_leaves_receipts_waiting(
    config: Config, smtp: SmtpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailrouter.serve.SLOW_DETECT_S", 1.2)
    async with running(config, defects=frozenset({Defect.SLOW_DETECT})) as client:
        await smtp.become(Mood.REFUSES_LOGIN)
        await client.until_route("primary", "down")
        opened = re.search(r"route opened route=primary after_s=([\d.]+)", client.log.getvalue())
    assert opened is not None and float(opened[1]) > 3 * config.detect_after_s


async def test_forgets_on_restart_loses_what_it_had_accepted(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    forgetful = replace(config, defects=frozenset({Defect.FORGETS_ON_RESTART}))
    async with running(forgetful) as client:
        await fail_over(client, smtp)
        await submit_many(client, 5)
    async with running(forgetful) as client:
        listed = (await client.http.get("/messages")).json()["messages"]
    assert [message["key"] for message in listed] == ["c.trigger"]


@pytest.mark.parametrize(
    ("defect", "mood", "state", "is_right"),
    [
        (Defect.RETRIES_UNKNOWN_FATE, Mood.CLOSES_AFTER, "sent", False),
        (Defect.TIMEOUT_IS_FAILURE, Mood.HANGS_AFTER, "sent", False),
        (Defect.TIMEOUT_IS_FAILURE, Mood.CLOSES_AFTER, "held", True),  # a cut line is no timeout
        (Defect.SDK_RETRIES, Mood.CLOSES_AFTER, "held", False),
    ],
)
async def test_what_may_have_been_taken_is_sent_again(
    config: Config, smtp: SmtpStub, api: SendGridStub, defect: Defect, mood: Mood, state: str, is_right: bool
) -> None:
    smtp.mood = mood
    async with running(config, **planted(defect)) as client:
        await client.submit("c.one")
        await client.until_state("c.one", state)
    assert ((smtp.copies() + api.copies())["c.one@customer.example"] == 1) is is_right


async def test_sdk_retries_are_three_requests_for_one_attempt(config: Config, api: SendGridStub) -> None:
    api.mood = Mood.BUSY
    async with running(config, **planted(Defect.SDK_RETRIES), probe_every_s=60, max_retry_s=60) as client:
        await client.http.post("/operator/switch", json={"route": "backup"})
        await client.submit("c.one")
        await client.until(lambda: _true("outcome=trouble" in client.log.getvalue()))
        assert len(api.attempts) == 3


async def test_never_switches_on_451(config: Config, smtp: SmtpStub) -> None:
    async with running(config, **planted(Defect.NEVER_SWITCHES_ON_451)) as client:
        await smtp.become(Mood.NO_TRANSACTIONS)
        await client.submit("c.one")
        await client.until(lambda: _true(client.log.getvalue().count("code=451") > 5))
        assert (await client.status())["routes"]["primary"]["state"] == "up"
        assert await client.state_of("c.one") in ("pending", "sending")


async def test_auth_is_permanent(config: Config, smtp: SmtpStub, api: SendGridStub) -> None:
    smtp.mood = Mood.REFUSES_LOGIN
    async with running(config, **planted(Defect.AUTH_IS_PERMANENT), detect_after_s=60.0) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "failed")
    assert not api.copies() and not smtp.copies()


async def test_shops_refusals(config: Config, smtp: SmtpStub, api: SendGridStub) -> None:
    smtp.mood = Mood.REJECTS
    async with running(config, **planted(Defect.SHOPS_REFUSALS)) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "sent")
    assert api.copies() == {"c.one@customer.example": 1}


async def test_a_refusal_that_is_shopped_and_refused_again_is_final(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    smtp.mood = api.mood = Mood.REJECTS
    async with running(config, **planted(Defect.SHOPS_REFUSALS)) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "failed")
    assert (len(smtp.attempts), len(api.attempts)) == (1, 1)


async def test_ignores_suppression(config: Config, smtp: SmtpStub) -> None:
    smtp.mood = Mood.REJECTS
    async with running(config, **planted(Defect.IGNORES_SUPPRESSION)) as client:
        for name in ("c.one", "c.two"):
            await client.submit(name, to="c.one@customer.example")
            await client.until_state(name, "failed")
    assert len(smtp.attempts) == 2


async def test_dumps_backlog_keeps_to_the_throttle_and_not_to_the_waves(
    config: Config, smtp: SmtpStub
) -> None:
    waves = {"waves": Waves(0.1, 60.0), "throttle": WIDE}
    async with running(config, **planted(Defect.DUMPS_BACKLOG), **waves) as client:
        await fail_over(client, smtp)
        await submit_many(client, 20)
        await smtp.become(Mood.WELL)
        await client.until_quiet()
    assert len(times_of(smtp, "m.")) == 20


async def test_ignores_retry_after(config: Config, api: SendGridStub) -> None:
    api.mood, api.retry_after_s = Mood.TOO_FAST, 60
    async with running(config, **planted(Defect.IGNORES_RETRY_AFTER)) as client:
        await client.http.post("/operator/switch", json={"route": "backup"})
        await client.submit("c.one")
        await client.until(lambda: _true(len(api.attempts) > 3))


async def test_cold_backup_ignored(config: Config, smtp: SmtpStub, api: SendGridStub) -> None:
    slow = {"throttle": Throttle(5.0, 8)}
    async with running(config, **planted(Defect.COLD_BACKUP_IGNORED), **slow) as client:
        await fail_over(client, smtp)
        await submit_many(client, 40, "transactional")
        await client.until_quiet()
    window_s = 2.0
    assert most_in_a_window(api.attempts, window_s) > 8 + 5.0 * window_s


async def test_flaps(config: Config, smtp: SmtpStub) -> None:
    """Each sign of life takes the route back at once."""
    async with running(config, **planted(Defect.FLAPS), failback_after_s=60.0) as client:
        for _ in range(2):
            await smtp.become(Mood.REFUSES_LOGIN)
            await client.until_route("primary", "down")
            await smtp.become(Mood.WELL)
            await client.until_route("primary", "up")


async def test_forgets_what_was_in_flight(config: Config, smtp: SmtpStub) -> None:
    config.state_dir.mkdir()
    outbox = Outbox(config.state_dir / "outbox.sqlite", CLOCK)
    message = Message.submitted("c.one", submission("c.one"))
    outbox.accept(message, None)
    due = outbox.next_due(bulk=False)
    assert due is not None
    outbox.claim(due, "primary")
    outbox.close()
    async with running(config, **planted(Defect.FORGETS_IN_FLIGHT)) as client:
        await client.submit("c.two")
        await client.until_state("c.two", "sent")
        assert await client.state_of("c.one") == "sending"


async def test_marketing_first(config: Config, smtp: SmtpStub) -> None:
    slow = {"senders": 1, "throttle": Throttle(30.0, 4)}
    async with running(config, **planted(Defect.MARKETING_FIRST), **slow) as client:
        await submit_many(client, 20)
        await submit_many(client, 5, "transactional")
        await client.until_quiet()
    assert times_of(smtp, "m.")[-1] < times_of(smtp, "t.")[-3]


async def test_loses_events_that_come_late(config: Config) -> None:
    async with running(config, **planted(Defect.LOSES_EVENTS)) as client:
        told = {"sg_event_id": "e1", "key": "c.one", "event": "delivered", "timestamp": 1_800_000_000}
        late = {**told, "timestamp": 1_799_999_990, "sg_event_id": "e2"}
        now = {**told, "timestamp": 1_900_000_000}
        assert (await client.http.post("/events/sendgrid", json=[late, now])).json() == {"new": 1}
