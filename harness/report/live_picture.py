"""One frame of the live view: a `LiveState` flows in, something that rich can print at 80×24 flows out.

Fault lanes share one time axis with a cursor for now; what is planned is thin, what is in force is solid.
Where the terminal cannot show block characters, plain ones stand in.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.history import events as ev
from harness.report.live_state import Lane, LiveState
from harness.report.words import printable, seconds

MAX_LANES = 6
MAX_ROUTES = 4
NAME_WIDTH = 13


@dataclass(frozen=True)
class Glyphs:
    solid: str
    planned: str
    done: str
    empty: str
    cursor: str
    bar: str
    rest: str
    dot: str


UNICODE = Glyphs("█", "░", "▓", "·", "┃", "━", "─", "·")
PLAIN = Glyphs("#", "-", "=", ".", "|", "=", "-", "-")


def glyphs_for(console: Console) -> Glyphs:
    return UNICODE if (console.encoding or "").lower().startswith("utf") else PLAIN


def picture(state: LiveState, now_ns: int, console: Console) -> RenderableType:
    """The frame at `now_ns` on the run's clock."""
    glyphs = glyphs_for(console)
    width = max(40, min(console.width, 100)) - 1
    parts: list[RenderableType] = [
        _title(state, width, glyphs),
        _progress(state, now_ns, width, glyphs),
        Text(),
        *_lanes(state, now_ns, width, glyphs),
        Text(),
        _routes(state, now_ns),
        Text(),
        _messages(state),
        _detected(state, glyphs),
        *_warnings(state, width),
    ]
    return Group(*parts)


def _title(state: LiveState, width: int, glyphs: Glyphs) -> Text:
    where = f" {glyphs.dot} ".join(part for part in (state.testbed, state.proxy) if part)
    right = f"seed {state.seed}" + (f" {glyphs.dot} {where}" if where else "")
    name = _fit(state.scenario, width - len(right) - 1)
    line = Text(name, style="bold")
    line.append(" " * max(1, width - len(name) - len(right)))
    line.append(right, style="dim")
    return line


def _progress(state: LiveState, now_ns: int, width: int, glyphs: Glyphs) -> Text:
    done_s, allowed_s = state.phase_progress(now_ns)
    line = Text()
    line.append(f"{state.phase!s:<9}", style="bold cyan")
    if state.finished is not None:
        line.append(str(state.finished) + (f": {printable(state.detail)}" if state.detail else ""))
        line.truncate(width, overflow="ellipsis")
        return line
    if not allowed_s:
        line.append(seconds(done_s), style="dim")
        return line
    if state.phase is ev.Phase.DRAIN:
        tail = f" {seconds(done_s)}, at most {seconds(allowed_s)}"
    else:
        tail = f" {seconds(min(done_s, allowed_s))} of {seconds(allowed_s)}"
        tail += f", {seconds(state.left_s(now_ns))} to drain"
    cells = max(8, width - 9 - len(tail))
    filled = min(cells, round(cells * min(1.0, done_s / allowed_s)))
    line.append(glyphs.bar * filled, style="cyan")
    line.append(glyphs.rest * (cells - filled), style="dim")
    line.append(tail)
    return line


def _lanes(state: LiveState, now_ns: int, width: int, glyphs: Glyphs) -> list[Text]:
    if not state.lanes:
        return [Text("no faults are planned", style="dim")]
    cells = width - NAME_WIDTH
    span = max(state.storm_ns, 1)
    now = state.since_t0(now_ns)
    axis = Text(" " * NAME_WIDTH, style="dim")
    end = seconds(span / 1e9)
    axis.append("0 s" + " " * max(1, cells - 3 - len(end)) + end, style="dim")
    shown = [axis]
    for lane in sorted(state.lanes, key=lambda lane: lane.planned_from_ns)[:MAX_LANES]:
        shown.append(_lane(lane, now, span, cells, glyphs))
    if len(state.lanes) > MAX_LANES:
        shown.append(Text(f"{'':<{NAME_WIDTH}}and {len(state.lanes) - MAX_LANES} more", style="dim"))
    return shown


def _lane(lane: Lane, now: int, span: int, cells: int, glyphs: Glyphs) -> Text:
    def cell(t_ns: int) -> int:
        return max(0, min(cells - 1, t_ns * cells // span))

    begin = lane.injected_ns if lane.injected_ns is not None else lane.planned_from_ns
    if lane.removed_ns is not None:
        end = lane.removed_ns
    elif lane.planned_to_ns is not None:
        end = max(lane.planned_to_ns, now if lane.injected_ns is not None else 0)
    else:
        end = begin
    first, last = cell(begin), max(cell(begin), cell(end) - 1)
    active = lane.injected_ns is not None and lane.removed_ns is None
    label = printable(lane.type)
    row: list[tuple[str, str]] = [(glyphs.empty, "dim")] * cells
    for at in range(first, last + 1):
        if lane.failed:
            row[at] = ("!", "bold yellow")
        elif lane.removed_ns is not None:
            row[at] = (glyphs.done, "red")
        elif active and at <= cell(now):
            row[at] = (glyphs.solid, "bold red")
        else:
            row[at] = (glyphs.planned, "red")
    room = last - first + 1 - 2
    begins = first + 1 if room >= len(label) else (last + 2 if last + 2 + len(label) < cells else -1)
    if begins < 0 <= first - 1 - len(label):
        begins = first - 1 - len(label)
    if begins >= 0:
        inside = room >= len(label)
        for offset, char in enumerate(label[: cells - begins]):
            row[begins + offset] = (char, "bold reverse red" if inside else "red")
    if 0 <= now <= span:
        row[cell(now)] = (glyphs.cursor, "bold cyan")
    text = Text(f"{_fit(printable(lane.target), NAME_WIDTH - 1):<{NAME_WIDTH}}")
    for char, style in row:
        text.append(char, style=style)
    return text


def _routes(state: LiveState, now_ns: int) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("route", max_width=24, no_wrap=True, overflow="ellipsis")
    for name in ("arrived", "per second", "turned away", "ack lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, count in list(state.routes.items())[:MAX_ROUTES]:
        table.add_row(
            Text(printable(name)),
            Text(f"{count.accepted:,}", style="bold green" if count.accepted else ""),
            f"{count.rate_per_s(now_ns):.1f}",
            Text(f"{count.turned_away:,}", style="red" if count.turned_away else "dim"),
            Text(f"{count.ack_lost:,}", style="yellow" if count.ack_lost else "dim"),
        )
    if not state.routes:
        table.add_row(Text("nothing has arrived yet", style="dim"), "", "", "", "")
    return table


def _messages(state: LiveState) -> Text:
    line = Text()
    for label, value, style in (
        ("offered", f"{state.offered:,} of {state.planned:,}", ""),
        ("taken", f"{state.taken:,}", ""),
        ("backlog", f"{state.backlog:,}", "bold yellow" if state.backlog > 10 else ""),
        ("refused", f"{state.refused:,}", "bold red" if state.refused else ""),
    ):
        line.append(f"{label} ", style="dim")
        line.append(value + "   ", style=style)
    return line


def _detected(state: LiveState, glyphs: Glyphs) -> Text:
    line = Text("detected ", style="dim")
    if not state.detections:
        line.append("nothing so far", style="dim")
    for route, at, up in state.detections[-3:]:
        name = printable(route) or "a fault"
        if up:
            line.append(f"{name} at {seconds(at / 1e9)}   ", style="bold magenta")
        else:
            line.append(f"{name} over at {seconds(at / 1e9)}   ", style="dim")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _warnings(state: LiveState, width: int) -> list[Text]:
    if not state.warned:
        return []
    more = f" ({state.warned} in all)" if state.warned > len(state.warnings) else ""
    lines = [Text(f"warnings{more}", style="yellow")]
    lines += [Text("  " + _fit(printable(text), width - 2), style="yellow") for text in state.warnings]
    return lines


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"
