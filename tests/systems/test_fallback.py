"""The other channel: an SMS for what has waited too long, while no mail goes out by either route."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mailrouter.config import Config, endpoint

from tests.systems.running import Client, running
from tests.systems.stubs import Mood, SendGridStub, SmtpStub, TwilioStub

PHONE = "+12025550123"


def with_sms(config: Config, sms: TwilioStub, **changes: Any) -> Config:
    return replace(config, fallback=endpoint(sms.url), **{"fallback_after_s": 0.5, **changes})


async def break_mail(client: Client, smtp: SmtpStub, api: SendGridStub) -> None:
    await smtp.become(Mood.REFUSES_LOGIN)
    await api.become(Mood.BUSY)
    await client.submit("c.trigger")
    await client.until_route("primary", "down")
    await client.until_route("backup", "down")


async def test_a_message_that_mail_cannot_carry_in_time_goes_out_by_sms_and_not_by_mail_later(
    config: Config, smtp: SmtpStub, api: SendGridStub, sms: TwilioStub
) -> None:
    async with running(with_sms(config, sms)) as client:
        await break_mail(client, smtp, api)
        await client.submit("c.one", phone=PHONE)
        took = await client.until_state("c.one", "sent")
        assert took >= 0.4
        await smtp.become(Mood.WELL)
        await client.until_state("c.trigger", "sent")  # without a number it waits for mail
        await client.until_quiet()
    assert sms.copies() == {PHONE: 1}
    assert (smtp.copies() + api.copies()) == {"c.trigger@customer.example": 1}


async def test_while_mail_goes_out_nobody_gets_an_sms(
    config: Config, smtp: SmtpStub, sms: TwilioStub
) -> None:
    async with running(with_sms(config, sms, fallback_after_s=0.0)) as client:
        await smtp.become(Mood.REFUSES_LOGIN)
        for number in range(5):
            await client.submit(f"c.{number}", phone=PHONE)
        await client.until_quiet()
        assert (await client.status())["routes"]["fallback"]["state"] == "up"
    assert not sms.attempts


async def test_newsletters_never_go_by_sms(
    config: Config, smtp: SmtpStub, api: SendGridStub, sms: TwilioStub
) -> None:
    async with running(with_sms(config, sms, fallback_after_s=0.0)) as client:
        await break_mail(client, smtp, api)
        await client.submit("m.one", "marketing", phone=PHONE)
        await client.submit("c.two", phone=PHONE)
        await client.until_state("c.two", "sent")
        assert await client.state_of("m.one") == "pending"


@pytest.mark.parametrize(("mood", "state"), [(Mood.REJECTS, "sent"), (Mood.HANGS_AFTER, "held")])
async def test_a_number_that_is_refused_leaves_the_mail_and_an_sms_of_unknown_fate_does_not(
    config: Config, smtp: SmtpStub, api: SendGridStub, sms: TwilioStub, mood: Mood, state: str
) -> None:
    sms.mood = mood
    async with running(with_sms(config, sms)) as client:
        await break_mail(client, smtp, api)
        await client.submit("c.one", phone=PHONE)
        await client.until(lambda: _true("key=c.one route=fallback outcome=" in client.log.getvalue()))
        await smtp.become(Mood.WELL)
        await client.until_state("c.one", state)
        await client.until_quiet()
    assert len(sms.attempts) == 1


async def test_an_operator_cannot_send_mail_by_sms(config: Config, sms: TwilioStub) -> None:
    async with running(with_sms(config, sms)) as client:
        answer = await client.http.post("/operator/switch", json={"route": "fallback"})
        assert answer.status_code == 400


async def _true(condition: bool) -> bool:
    return condition
