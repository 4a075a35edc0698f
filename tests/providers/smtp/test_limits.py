"""Fixed minutes, days and connections of one account."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from harness.providers.presets import smtp as plain
from harness.providers.smtp.limits import DAY_S, AccountUse, FixedMinute, Greylist, SmtpLimits, Throttle
from harness.providers.wire import ProviderFault
from tests.providers.running import message, provider, raw, recipient, token


def test_the_excess_waits_for_the_next_minutes_in_order() -> None:
    minute = FixedMinute(2)
    assert [minute.wait_s(50.0) for _ in range(6)] == [0, 0, 10, 10, 70, 70]


def test_a_new_minute_begins_with_all_its_places() -> None:
    minute = FixedMinute(1)
    assert minute.wait_s(59.9) == 0
    assert minute.wait_s(60.0) == 0
    assert minute.wait_s(61.0) == 59


@given(st.integers(1, 5), st.lists(st.floats(0, 50), max_size=60))
def test_no_minute_ever_holds_more_than_its_share_and_nobody_overtakes(
    per_minute: int, gaps: list[float]
) -> None:
    minute, now_s, begun = FixedMinute(per_minute), 0.0, []
    for gap in gaps:
        now_s += gap
        wait_s = minute.wait_s(now_s)
        # A place in a later minute is at its very beginning; float error must not put it before that.
        begun.append(now_s if wait_s == 0 else round((now_s + wait_s) / 60) * 60.0)
    assert begun == sorted(begun)
    for number in {at // 60 for at in begun}:
        assert sum(at // 60 == number for at in begun) <= per_minute


def test_those_who_logged_in_first_keep_their_place() -> None:
    use = AccountUse(SmtpLimits(connections=2))
    for connection in ("c1", "c2", "c3"):
        use.logged_in(connection)
    assert [use.too_many_connections(name) for name in ("c1", "c2", "c3")] == [False, False, True]
    use.gone("c1")
    assert not use.too_many_connections("c3")
    use.gone("c1")  # once more does no harm


def test_a_day_is_full_for_the_message_that_does_not_fit() -> None:
    use = AccountUse(SmtpLimits(recipients_per_day=10))
    assert [use.over_quota(count, 1.0) for count in (6, 5, 4, 1)] == [False, True, False, True]
    assert not use.over_quota(10, DAY_S + 1)


async def test_the_answer_to_the_excess_comes_in_a_later_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "PRESET", dataclasses.replace(plain.PRESET, minute_s=0.4))
    async with provider(limits={"messages_per_minute": 2}) as fake:

        async def send(number: int) -> None:
            async with raw(fake.port) as client:
                await client.ask("MAIL FROM:<sender@sender.example>")
                await client.ask(f"RCPT TO:<{recipient(number)}>")
                await client.ask("DATA")
                assert (await client.ask(message(token(number)) + b".\r\n")).startswith("250")
                await client.ask("QUIT")

        await asyncio.gather(*(send(number) for number in range(6)))
        receipts = fake.receipts
    assert {receipt.result for receipt in receipts} == {ReceiptResult.ACCEPTED}
    minutes = [receipt.end_ns // 400_000_000 for receipt in receipts]
    assert max(minutes.count(minute) for minute in minutes) <= 2
    assert max(receipt.end_ns - receipt.begin_ns for receipt in receipts) > 400_000_000


@pytest.mark.parametrize("to", ["c.canary0001@canary.example"])
async def test_the_harness_canary_waits_for_no_minute(to: str) -> None:
    async with provider(limits={"messages_per_minute": 1}) as fake, raw(fake.port) as client:
        for _ in range(3):
            await client.ask("MAIL FROM:<sender@sender.example>")
            await client.ask(f"RCPT TO:<{to}>")
            await client.ask("DATA")
            assert (await client.ask(message() + b".\r\n")).startswith("250")


@pytest.mark.parametrize(
    ("limits", "lines", "code"),
    [
        (
            {"recipients_per_message": 1},
            ["RCPT TO:<one@customer.example>", "RCPT TO:<two@customer.example>"],
            452,
        ),
        ({"message_bytes": 1000}, ["RSET", "MAIL FROM:<sender@sender.example> SIZE=1001"], 552),
    ],
)
async def test_what_is_too_much_is_refused(limits: dict[str, Any], lines: list[str], code: int) -> None:
    async with provider(limits=limits) as fake, raw(fake.port) as client:
        answers = [await client.ask(line) for line in ("MAIL FROM:<sender@sender.example>", *lines)]
        assert int(answers[-1][:3]) == code
        assert fake.receipts[-1].code == code


async def test_a_body_that_is_too_big_is_read_to_its_end_and_refused() -> None:
    async with provider(limits={"message_bytes": 1000}) as fake, raw(fake.port) as client:
        await client.ask("MAIL FROM:<sender@sender.example>")
        await client.ask(f"RCPT TO:<{recipient(1)}>")
        await client.ask("DATA")
        assert (await client.ask(b"x" * 200_000 + b"\r\n.\r\n")).startswith("552")
        assert (await client.ask("NOOP")).startswith("250")
        assert (fake.receipts[0].result, fake.receipts[0].token) == (ReceiptResult.REFUSED, token(1))


def throttle(**attributes: Any) -> Throttle:
    return Throttle(ProviderFault(id="f", type="throttle", **attributes))


def test_a_throttle_lets_a_burst_through_and_then_one_every_so_often() -> None:
    use = throttle(rate=2, burst=3)
    assert [use.exceeded(1, 10.0) for _ in range(5)] == [False, False, False, True, True]
    assert [use.exceeded(1, 10.5), use.exceeded(1, 10.5)] == [False, True]
    assert [use.exceeded(1, 100.0) for _ in range(4)] == [False, False, False, True]


def test_where_the_excess_waits_it_waits_in_order() -> None:
    use = throttle(rate=2, burst=2)
    assert [use.wait_s(10.0) for _ in range(5)] == [0, 0, 0.5, 1.0, 1.5]
    assert use.wait_s(11.0) == 1.0


@given(st.integers(1, 4), st.lists(st.floats(0, 2), max_size=40))
def test_no_throttle_lets_more_through_than_its_bucket(burst: int, gaps: list[float]) -> None:
    use, now_s, through = throttle(rate=2, burst=burst), 0.0, []
    for gap in gaps:
        now_s += gap
        if not use.exceeded(1, now_s):
            through.append(now_s)
    for first in range(len(through)):
        for last in range(first, len(through)):
            assert last - first + 1 <= burst + 2 * (through[last] - through[first]) + 1e-6


def test_a_stranger_is_greylisted_by_sender_and_recipient_until_so_long_after_the_first_try() -> None:
    greylist = Greylist(30)
    assert [greylist.left_s("A@x", "b@y", now_s) for now_s in (0, 10, 30, 31)] == [30, 20, 0, 0]
    assert greylist.left_s("a@X", "B@y", 40) == 0
    assert greylist.left_s("a@x", "c@y", 40) == 30


def test_a_greylist_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Greylist, "MOST", 3)
    greylist = Greylist(30)
    for number in range(4):
        greylist.left_s("a@x", f"{number}@y", 0)
    assert [greylist.left_s("a@x", f"{number}@y", 30) for number in (3, 2, 0)] == [0, 0, 30]


async def test_a_greylisted_message_is_deferred_and_taken_when_it_comes_again() -> None:
    async with provider(limits={"greylist_s": 0.3}) as fake, raw(fake.port) as client:
        await client.ask("MAIL FROM:<sender@sender.example>")
        answer = await client.ask(f"RCPT TO:<{recipient(1)}>")
        assert answer == "451 4.7.1 Greylisting in action, please come back in 00:00:01"
        assert (await client.ask("DATA")).startswith("554")
        await asyncio.sleep(0.35)
        assert (await client.ask(f"RCPT TO:<{recipient(1)}>")).startswith("250")
        assert (await client.ask(f"RCPT TO:<{recipient(2)}>")).startswith("451")
        assert (await client.ask("RCPT TO:<c.canary0001@canary.example>")).startswith("250")
        assert [(each.token, each.result.value) for each in fake.receipts] == [
            (token(1), "deferred"),
            (token(2), "deferred"),
        ]
