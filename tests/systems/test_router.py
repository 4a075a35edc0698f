"""The router between two stub providers: idempotency, priority, failover, failback, waves, an operator."""

from __future__ import annotations

import asyncio
import io
import math
from dataclasses import replace
from typing import Any

import pytest
from mailrouter.clock import Clock
from mailrouter.config import Config, Throttle, Waves, WhenPrimaryIsDown
from mailrouter.fate import Outcome, Result
from mailrouter.lane import RouteName
from mailrouter.log import Log
from mailrouter.message import Message
from mailrouter.outbox import Outbox
from mailrouter.serve import assemble

from tests.systems.running import Client, running, submission
from tests.systems.stubs import Mood, SendGridStub, SmtpStub

WIDE = Throttle(1000.0, 200)


async def submit_many(client: Client, count: int, class_: str = "marketing") -> None:
    await asyncio.gather(*(client.submit(f"{class_[0]}.{number}", class_) for number in range(count)))


def most_in_a_window(times: list[float], every: float) -> int:
    return max(sum(start <= time < start + every for time in times) for start in times)


def times_of(stub: SmtpStub | SendGridStub, prefix: str) -> list[float]:
    return [time for time, recipient in stub.taken if recipient.startswith(prefix)]


async def test_the_same_key_is_one_message_however_often_it_comes(config: Config, smtp: SmtpStub) -> None:
    async with running(config) as client:
        answers = await asyncio.gather(*(client.submit("c.one") for _ in range(5)))
        await client.until_quiet()
        late = await client.submit("c.one")
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [202]
    assert late.json() == {"id": answers[0].json()["id"], "state": "sent"}
    assert smtp.copies() == {"c.one@customer.example": 1}


async def test_a_bad_submission_is_400_and_stores_nothing(config: Config) -> None:
    async with running(config) as client:
        assert (await client.submit("c.one", to="nobody")).status_code == 400
        assert (await client.http.post("/messages", content=b"{")).status_code == 400
        assert (await client.http.get("/messages")).json() == {"messages": []}


async def test_connections_are_few_and_kept(config: Config, smtp: SmtpStub) -> None:
    async with running(config, throttle=WIDE, senders=8) as client:
        await submit_many(client, 40, "transactional")
        await client.until_quiet()
    assert smtp.copies().total() == 40
    assert smtp.connections <= 3


async def test_receipts_go_before_newsletters(config: Config, smtp: SmtpStub) -> None:
    async with running(config, senders=1, throttle=Throttle(60.0, 4)) as client:
        await submit_many(client, 30)
        await submit_many(client, 10, "transactional")
        await client.until_quiet()
    # One newsletter may be on its way already when the last receipt comes in.
    last_receipt = times_of(smtp, "t.")[-1]
    assert sum(time > last_receipt for time in times_of(smtp, "m.")) >= 10


async def test_attempts_keep_to_the_throttle_and_retries_count(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    smtp.mood, api.mood = Mood.TOO_FAST, Mood.REFUSES_LOGIN
    async with running(config, throttle=Throttle(40.0, 10)) as client:
        await client.until_route("backup", "down")
        await submit_many(client, 20, "transactional")
        await client.until(lambda: _true(len(smtp.attempts) > 25))
        await smtp.become(Mood.WELL)
        await client.until_quiet()
    for first in range(len(smtp.attempts)):
        for last in range(first, len(smtp.attempts)):
            elapsed = smtp.attempts[last] - smtp.attempts[first]
            assert last - first + 1 <= 10 + 40 * elapsed + 1e-6


async def test_retry_after_is_kept_and_a_receipt_does_not_wait_for_it(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    api.mood, api.retry_after_s = Mood.TOO_FAST, 6
    swapped = replace(config, primary=config.backup, backup=config.primary)
    async with running(swapped) as client:
        await client.submit("c.one")
        assert await client.until_state("c.one", "sent") < 4
        assert (await client.status())["routes"]["primary"]["state"] == "up"
    assert len(api.attempts) == 1
    assert smtp.copies() == {"c.one@customer.example": 1}


async def test_a_route_that_only_says_too_fast_is_no_outage_and_a_receipt_leaves_it_all_the_same(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    smtp.mood = Mood.TOO_FAST
    async with running(config) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "sent")
        assert (await client.status())["routes"]["primary"]["state"] == "up"
    assert api.copies() == {"c.one@customer.example": 1}


@pytest.mark.parametrize(
    "mood", [Mood.REFUSES_LOGIN, Mood.BUSY, Mood.NO_TRANSACTIONS, Mood.HANGS_BEFORE, Mood.CLOSES_AFTER]
)
async def test_a_dead_primary_is_noticed_without_traffic_lost_and_given_back(
    config: Config, smtp: SmtpStub, api: SendGridStub, mood: Mood
) -> None:
    async with running(config) as client:
        await client.submit("c.before")
        await client.until_state("c.before", "sent")
        await smtp.become(mood)
        begun = asyncio.get_running_loop().time()
        await client.submit("c.during")
        await client.until_route("primary", "down")
        took = asyncio.get_running_loop().time() - begun
        assert config.detect_after_s <= took < config.detect_after_s + 5.0
        assert (await client.status())["active"] == "backup"
        await client.submit("c.later")
        await client.until_state("c.later", "sent")
        if mood is not Mood.CLOSES_AFTER:
            await client.until_state("c.during", "sent")
        await smtp.become(Mood.WELL)
        assert await client.until_route("primary", "up") >= config.failback_after_s - 0.1
        assert await client.state_of("c.during") == ("held" if mood is Mood.CLOSES_AFTER else "sent")
        await client.submit("c.after")
        await client.until_state("c.after", "sent")
    assert api.copies()["c.later@customer.example"] == 1
    assert smtp.copies()["c.after@customer.example"] == 1
    assert max((smtp.copies() + api.copies()).values()) == 1


async def test_an_attempt_that_fails_after_the_switch_is_not_made_to_wait(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailrouter.router.FIRST_RETRY_S", 30.0)
    config, clock = replace(config, max_retry_s=60.0), Clock(epoch_s=0.0)
    config.state_dir.mkdir()
    outbox = Outbox(config.state_dir / "outbox.sqlite", clock)
    router = assemble(config, clock, outbox, Log(clock, io.StringIO()))
    outbox.accept(Message.submitted("c.one", submission("c.one")), None)
    for switched in (False, True):
        due = outbox.next_due(bulk=False)
        assert due is not None
        attempt = outbox.claim(due, RouteName.PRIMARY)
        refused = Result(Outcome.TROUBLE, 535)
        router.settle(due, router.lanes[RouteName.PRIMARY], attempt, refused, switched=switched)
        due_in_s = outbox.next_due_in_s(bulk=False)
        assert due_in_s is not None and (due_in_s <= 0) is switched
        outbox.hurry()


async def fail_over(client: Client, smtp: SmtpStub) -> None:
    await smtp.become(Mood.REFUSES_LOGIN)
    await client.submit("c.trigger")
    await client.until_route("primary", "down")


async def test_newsletters_wait_for_failback_and_leave_in_waves(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    waves = Waves(0.25, 0.3)
    async with running(config, waves=waves, throttle=WIDE) as client:
        await fail_over(client, smtp)
        await submit_many(client, 30)
        assert (await client.status())["queue"]["pending"] == 30
        await smtp.become(Mood.WELL)
        await client.until_route("primary", "up")
        for number in range(4):
            await client.submit(f"c.{number}")  # receipts do not wait for waves
        await client.until_quiet()
        assert (await client.status())["marketing"]["replay"] is None
    newsletters = times_of(smtp, "m.")
    assert len(newsletters) == 30
    assert most_in_a_window(newsletters, waves.every_s) <= math.ceil(0.25 * 30)
    assert max(times_of(smtp, "c.")) < newsletters[-1]
    assert not times_of(api, "m.")


async def test_newsletters_without_a_backlog_are_not_slowed_down(config: Config, smtp: SmtpStub) -> None:
    async with running(config, throttle=WIDE, waves=Waves(0.1, 60.0)) as client:
        await submit_many(client, 20)
        await client.until_quiet()
    assert smtp.copies().total() == 20


async def test_newsletters_may_go_by_the_backup_and_then_in_waves_as_well(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    change: dict[str, Any] = {"marketing": WhenPrimaryIsDown.SEND, "waves": Waves(0.25, 0.3)}
    change["detect_after_s"] = 2.0  # all of it is to be there when the route is left
    async with running(config, throttle=WIDE, **change) as client:
        await smtp.become(Mood.REFUSES_LOGIN)
        await client.submit("c.trigger")
        await client.until(lambda: _true("route in doubt" in client.log.getvalue()))
        await submit_many(client, 12)
        await client.until_quiet()
    assert len(times_of(api, "m.")) == 12
    assert most_in_a_window(times_of(api, "m."), 0.3) <= 3


async def test_a_restart_forgets_neither_the_outage_nor_the_waves(config: Config, smtp: SmtpStub) -> None:
    config = replace(config, waves=Waves(0.2, 0.3), throttle=WIDE)
    async with running(config) as client:
        await fail_over(client, smtp)
        await submit_many(client, 20)
    async with running(config) as client:
        status = await client.status()
        assert status["routes"]["primary"]["state"] == "down"
        assert status["queue"]["pending"] == 20
        await smtp.become(Mood.WELL)
        await client.until(lambda: _true(len(times_of(smtp, "m.")) >= 6))
    async with running(config) as client:
        await client.until_quiet()
    assert smtp.copies().total() == 20
    assert most_in_a_window(times_of(smtp, "m."), 0.3) <= 4


async def test_a_replay_can_need_approval_and_be_paused(config: Config, smtp: SmtpStub) -> None:
    async with running(config, approval=True, waves=Waves(1.0, 0.1)) as client:
        await fail_over(client, smtp)
        await submit_many(client, 5)
        await smtp.become(Mood.WELL)
        await client.until_route("primary", "up")
        await client.submit("c.after")
        await client.until_state("c.after", "sent")
        assert (await client.status())["marketing"]["waits_for_approval"]
        await client.http.post("/operator/pause")
        await client.http.post("/operator/approve")
        assert not (await client.status())["marketing"]["may_go"]
        assert not times_of(smtp, "m.")
        await client.http.post("/operator/resume")
        await client.until_quiet()
    assert len(times_of(smtp, "m.")) == 5


async def test_an_operator_can_switch_the_route(config: Config, smtp: SmtpStub, api: SendGridStub) -> None:
    async with running(config) as client:
        assert (await client.http.post("/operator/switch", json={"route": "moon"})).status_code == 400
        assert (await client.http.post("/operator/switch", json={"route": "backup"})).json()[
            "active"
        ] == "backup"
        await client.submit("c.one")
        await client.until_quiet()
        await client.http.post("/operator/switch", json={"route": "auto"})
        await client.submit("c.two")
        await client.until_quiet()
    assert (api.copies().total(), smtp.copies().total()) == (1, 1)


async def test_metrics_tell_states_routes_and_results(config: Config) -> None:
    async with running(config) as client:
        await client.submit("c.one")
        await client.until_quiet()
        told = (await client.http.get("/metrics")).text
    assert 'mailrouter_messages{state="sent"} 1.0' in told
    assert 'mailrouter_route_up{route="primary"} 1.0' in told
    assert 'mailrouter_attempts_total{result="accepted",route="primary"}' in told
    assert "mailrouter_queue_depth 0.0" in told


async def _true(condition: bool) -> bool:
    return condition
