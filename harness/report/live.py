"""The run as it happens, in the terminal. The journal's stream and the plan flow in; nothing flows back.

On a terminal it is one picture of at most 80×24, drawn four times a second. Without one it is a line for
each thing that matters, and a line of progress every ten seconds. It only ever reads: a slow terminal
cannot hold up the run, and cancelling the task leaves the cursor and the last picture in order.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from harness.history import events as ev
from harness.history.journal import Journal
from harness.report.live_picture import picture
from harness.report.live_state import LiveState, live_state
from harness.report.words import printable, seconds
from harness.scenario.timeline import Timeline

FRAME_S = 0.25
PROGRESS_S = 10.0


async def show_live(
    journal: Journal,
    timeline: Timeline,
    run_dir: Path | None = None,
    *,
    console: Console | None = None,
    after_seq: int = 0,
) -> None:
    """Follow a run until its journal is closed, as an observer of `run`. May be cancelled at any moment."""
    console = console or Console()
    state = live_state(timeline)
    if console.is_terminal and not console.is_dumb_terminal:
        await _draw(journal, state, console, after_seq)
    else:
        await _print_lines(journal, state, console, after_seq)


async def _draw(journal: Journal, state: LiveState, console: Console, after_seq: int) -> None:
    async def follow() -> None:
        async for _, event in journal.subscribe(after_seq):
            state.apply(event)

    def frame() -> RenderableType:
        return picture(state, journal.now_ns(), console)

    following = asyncio.create_task(follow())
    # No refresh thread: the picture is drawn from the loop, between events, so it never sees half of one.
    with Live(frame(), console=console, auto_refresh=False, transient=False) as live:
        try:
            while not following.done():
                await asyncio.wait({following}, timeout=FRAME_S)
                live.update(frame(), refresh=True)
            following.result()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _print_lines(journal: Journal, state: LiveState, console: Console, after_seq: int) -> None:
    async def follow() -> None:
        async for _, event in journal.subscribe(after_seq):
            seen = len(state.detections)
            state.apply(event)
            for line in lines_for(state, event, new_detections=state.detections[seen:]):
                say(event.t_ns, line)

    def say(t_ns: int, line: str) -> None:
        # How long setting up takes is nobody's plan, so it has no place before the baseline yet.
        setup = state.phase is ev.Phase.SETUP
        stamp = "[  setup  ]" if setup else f"[{state.since_t0(t_ns) / 1e9:7.1f} s]"
        console.print(f"{stamp} {printable(line)}", markup=False, highlight=False, soft_wrap=True)

    following = asyncio.create_task(follow())
    try:
        while not following.done():
            await asyncio.wait({following}, timeout=PROGRESS_S)
            if not following.done():
                say(journal.now_ns(), progress_line(state))
        following.result()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def lines_for(
    state: LiveState, event: ev.AnyEvent, *, new_detections: list[tuple[str, int, bool]]
) -> list[str]:
    """What is worth a line of its own when there is no picture. `state` has seen the event already."""
    match event:
        case ev.RunStarted():
            return [f"{event.scenario}, seed {event.seed}, on {event.testbed} with {event.proxy} proxies"]
        case ev.PhaseEntered():
            _, allowed = state.phase_progress(event.t_ns)
            upto = "at most " if event.phase is ev.Phase.DRAIN else ""
            return [f"phase {event.phase}" + (f", {upto}{seconds(allowed)}" if allowed else "")]
        case ev.FaultInjecting():
            return [f"fault {event.fault}: putting {event.type} on {event.target}"]
        case ev.FaultActed():
            return [f"fault {event.fault}: {event.type} on {event.target} acts, the canary met it"]
        case ev.FaultRemoved():
            return [f"fault {event.fault}: {event.type} on {event.target} is removed"]
        case ev.FaultFailed():
            return [
                f"fault {event.fault}: {event.type} on {event.target} failed to {event.stage}: {event.error}"
            ]
        case ev.Signal():
            return [
                f"detected: {route or 'a fault'}" if up else f"detected: {route or 'the fault'} is over"
                for route, _, up in new_detections
            ]
        case ev.SystemProcess():
            code = f" with code {event.code}" if event.code is not None else ""
            return [f"system {event.change}{code}"]
        case ev.Operator():
            about = f" of {event.class_}" if event.class_ else ""
            return [f"operator: {event.action}{about}, by {event.by}"]
        case ev.HarnessWarning():
            return [f"warning: {state.warnings[-1]}"]
        case ev.RunFinished():
            return [f"run {event.outcome}" + (f": {event.detail}" if event.detail else "")]
        case _:
            return []


def progress_line(state: LiveState) -> str:
    routes = ", ".join(f"{name} {count.accepted}" for name, count in sorted(state.routes.items()))
    return (
        f"{state.phase}: {state.offered} of {state.planned} offered, {state.taken} taken, "
        f"arrived {routes or 0}, backlog {state.backlog}, refused {state.refused}"
    )
