"""The live view: what it counts, what it draws at 80×24, and its lines where there is no terminal."""

from __future__ import annotations

import asyncio
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.history import events as ev
from harness.history.journal import Journal
from harness.report.live import show_live
from harness.report.live_picture import picture
from harness.report.live_state import LiveState, live_state
from harness.scenario import timeline as tl
from tests.report.router import T0, Router, S, history

PLAN = tl.Timeline(
    scenario="m365-auth-outage",
    seed=7,
    baseline_ns=10 * S,
    storm_ns=45 * S,
    drain_deadline_ns=60 * S,
    entries=[
        tl.Fault(
            at_ns=10 * S, until_ns=35 * S, id="f1", incident="f1", type="auth-failure", target="primary"
        ),
        tl.Fault(at_ns=20 * S, until_ns=25 * S, id="f2", incident="f1", type="latency", target="backup"),
        tl.Fault(at_ns=30 * S, id="f3", incident="f3", type="kill", target="system"),
        *(
            tl.Message(
                at_ns=number * S // 5,
                token=str(number),
                recipient="c.x@customer.example",
                stream="receipts",
                class_="transactional",
                subject="",
                body="",
            )
            for number in range(325)
        ),
    ],
)


def state_at(seconds_from_t0: float, router: Router | None = None) -> LiveState:
    state = live_state(PLAN)
    for event in history(router or Router())[0]:
        if event.t_ns <= T0 + seconds_from_t0 * S:
            state.apply(event)
    return state


def drawn(state: LiveState, seconds_from_t0: float, *, width: int = 80, encoding: str = "utf-8") -> str:
    class Out(StringIO):
        @property
        def encoding(self) -> str:  # type: ignore[override]
            return encoding

    console = Console(file=Out(), width=width, height=24, color_system=None)
    with console.capture() as captured:
        console.print(picture(state, T0 + round(seconds_from_t0 * S), console))
    return captured.get()


def test_it_counts_what_matters_and_leaves_the_baseline_out() -> None:
    state = state_at(30)
    assert (state.offered, state.taken, state.refused) == (250, 250, 0)
    assert state.backlog == 100, "a hundred newsletters are held"
    assert state.routes["primary"].turned_away == 11
    assert state.detections == [("primary", 12_100_000_000, True)]
    assert state_at(60).backlog == 0


def test_a_message_offered_again_is_one_message() -> None:
    state = live_state(PLAN)
    for offer, result in ((1, ev.Submitted.REFUSED), (2, ev.Submitted.ACCEPTED)):
        state.apply(
            ev.MessageSubmitting(
                t_ns=offer,
                token="t",
                recipient="r",
                stream="s",
                class_="c",
                scheduled_ns=0,
                offer=offer,
            )
        )
        state.apply(ev.MessageSubmitted(t_ns=offer, token="t", recipient="r", offer=offer, result=result))
    assert (state.offered, state.taken, state.refused, state.backlog) == (1, 1, 1, 1)


def test_a_canary_is_not_mail() -> None:
    state = live_state(PLAN)
    state.apply(
        ev.Receipt(
            t_ns=1,
            source="m365",
            n=1,
            provider="m365",
            route="primary",
            endpoint="smtp",
            result=ev.ReceiptResult.ACCEPTED,
            attempt="a",
            begin_ns=0,
            end_ns=1,
            canary="harness",
        )
    )
    assert state.routes == {}


@pytest.mark.parametrize("moment", [-5, 8.8, 23.8, 48, 65])
def test_every_frame_fits_80_by_24(moment: float) -> None:
    warnings = [ev.HarnessWarning(t_ns=T0 + n, warning="late-driver", detail="x" * 200) for n in range(9)]
    frame = drawn(state_at(moment, Router(warnings=warnings, scenario="s" * 200)), moment)
    lines = frame.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80


def test_lanes_show_planned_active_and_past_faults_and_the_time() -> None:
    frame = drawn(state_at(23.8), 23.8)
    primary = next(line for line in frame.splitlines() if line.startswith("primary"))
    assert re.search(r"█auth-failure█+┃░+·", primary)
    assert "storm" in frame and "23.8 s of 45.0 s" in frame
    assert "detected primary at 12.1 s" in frame
    later = drawn(state_at(48), 48)
    assert "▓auth-failure▓" in later and "drain" in later


def test_plain_characters_where_the_terminal_knows_no_others() -> None:
    frame = drawn(state_at(23.8), 23.8, encoding="ascii")
    assert frame.isascii() and "#auth-failure#" in frame


async def test_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    text = await followed(tmp_path, Console(file=StringIO(), width=80, color_system=None))
    lines = text.splitlines()
    assert lines[0] == "[  setup  ] m365-auth-outage, seed 7, on local with toxiproxy proxies"
    assert "[  -10.0 s] phase baseline, 10.0 s" in lines
    assert "[   10.0 s] fault f1: putting auth-failure on primary" in lines
    assert "[   10.1 s] fault f1: auth-failure on primary acts, the canary met it" in lines
    assert "[   12.1 s] detected: primary" in lines
    assert "[   35.0 s] fault f1: auth-failure on primary is removed" in lines
    assert "[   38.0 s] detected: primary is over" in lines
    assert lines[-1].endswith("run completed")
    assert "\x1b" not in text


async def test_a_picture_on_a_terminal(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=80, height=24, force_terminal=True, color_system="standard")
    text = await followed(tmp_path, console)
    assert "\x1b[?25l" in text and "\x1b[?25h" in text, "the cursor is hidden, and comes back"
    assert "325 of 325" in text and "completed" in text


async def test_no_colour_where_none_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=StringIO(), width=80, height=24, force_terminal=True, color_system="standard")
    text = await followed(tmp_path, console)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)


async def test_cancelling_gives_the_cursor_back(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=80, height=24, force_terminal=True)
    journal = Journal(tmp_path / "history.jsonl", "r", lambda: 1)
    showing = asyncio.create_task(show_live(journal, PLAN, console=console))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    showing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await showing
    journal.close()
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().count("\x1b[?25l") == console.file.getvalue().count("\x1b[?25h") == 1


async def followed(tmp_path: Path, console: Console) -> str:
    """What a whole run shows, played as fast as it goes."""
    now = 0
    journal = Journal(tmp_path / "history.jsonl", "r", lambda: now)
    showing = asyncio.create_task(show_live(journal, PLAN, console=console))
    for event in history(Router())[0]:
        now = event.t_ns
        journal.append(event)
    journal.close()
    await asyncio.wait_for(showing, timeout=20)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
