"""Every way in which an attempt can end, and what the router may do then: the fate table, row by row."""

from __future__ import annotations

import pytest
from mailrouter.config import Config

from tests.systems.running import running, with_routes
from tests.systems.stubs import Mood, SendGridStub, SmtpStub, Stub

NOT_TAKEN = [
    *(("smtp", mood) for mood in (Mood.CLOSES_BEFORE, Mood.HANGS_BEFORE)),
    *((route, mood) for route in ("smtp", "api") for mood in (Mood.REFUSES_LOGIN, Mood.BUSY, Mood.TOO_FAST)),
]
# An HTTP request leaves in one go, so a line that closes before it was read may as well have closed after.
MAY_BE_TAKEN = [
    *((route, mood) for route in ("smtp", "api") for mood in (Mood.CLOSES_AFTER, Mood.HANGS_AFTER)),
    *(("api", mood) for mood in (Mood.GATEWAY_TIMEOUT, Mood.CLOSES_BEFORE)),
]


@pytest.fixture(params=["smtp", "api"])
def primary(request: pytest.FixtureRequest, smtp: SmtpStub, api: SendGridStub) -> Stub:
    return smtp if request.param == "smtp" else api


@pytest.mark.parametrize(("primary", "mood"), NOT_TAKEN, indirect=["primary"])
async def test_a_message_that_was_not_taken_is_sent_again_until_it_is(
    config: Config, primary: Stub, smtp: SmtpStub, api: SendGridStub, mood: Mood
) -> None:
    backup = api if primary is smtp else smtp
    primary.mood = mood
    patient = {"detect_after_s": 60.0, "max_retry_s": 30.0}
    async with running(with_routes(config, primary, backup), **patient) as client:
        await client.submit("c.one")
        await client.until(lambda: _logged(client, "key=c.one route=primary outcome="))
        assert await client.state_of("c.one") in ("pending", "sending")
        primary.mood = Mood.WELL  # and no line is cut: an attempt may be on it
        await client.until_state("c.one", "sent")
    assert primary.copies() == {"c.one@customer.example": 1}
    assert not backup.copies()


@pytest.mark.parametrize(("primary", "mood"), MAY_BE_TAKEN, indirect=["primary"])
async def test_a_message_of_unknown_fate_is_held_and_never_sent_again(
    config: Config, primary: Stub, smtp: SmtpStub, api: SendGridStub, mood: Mood
) -> None:
    backup = api if primary is smtp else smtp
    primary.mood = mood
    # Long enough for the message to come before the probes have found it out.
    async with running(with_routes(config, primary, backup), detect_after_s=2.0) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "held")
        await client.until_route("primary", "down")
        await client.submit("c.two")
        await client.until_state("c.two", "sent")
        assert await client.state_of("c.one") == "held"
    taken = 0 if mood is Mood.CLOSES_BEFORE else 1
    assert primary.copies()["c.one@customer.example"] == primary.copies().total() == taken
    assert backup.copies() == {"c.two@customer.example": 1}


async def test_a_message_refused_for_good_fails_and_is_not_shopped_to_the_other_route(
    config: Config, primary: Stub, smtp: SmtpStub, api: SendGridStub
) -> None:
    backup = api if primary is smtp else smtp
    primary.mood = Mood.REJECTS
    async with running(with_routes(config, primary, backup)) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "failed")
        assert (await client.status())["routes"]["primary"]["state"] == "up"
    assert not backup.copies()


async def test_a_route_that_swallowed_one_message_gets_no_other_until_it_took_a_canary(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    smtp.mood = Mood.CLOSES_AFTER
    async with running(config, senders=1) as client:
        for number in range(10):
            await client.submit(f"c.{number}")
        await client.until_quiet()
        assert (await client.status())["queue"]["held"] == 1
    assert smtp.copies().total() == 1
    assert api.copies().total() == 9


async def test_a_dead_route_is_left_for_the_other_one_when_nothing_listens(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    await smtp.stop()
    async with running(config) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "sent")
    assert api.copies() == {"c.one@customer.example": 1}


async def _logged(client: object, words: str) -> bool:
    return words in client.log.getvalue()  # type: ignore[attr-defined]
