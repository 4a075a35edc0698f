"""The life story of one message: all that happened to it, and what went on around it, in order.

Tokens flow in, lines flow out: the message's own events, the connections that were cut under it, and the
faults, signal changes, restarts, operator's words and announcements between its first moment and its last,
and the next announcement, which is how its recipient learns of it where it never left. What went on around it
is also the story of an incident. Reports show them beside a finding; people read them to see why.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import duckdb
import msgspec

_MARGIN_NS = 1_000_000_000


class About(StrEnum):
    MESSAGE = "message"
    FAULT = "fault"
    SIGNAL = "signal"
    SYSTEM = "system"
    OPERATOR = "operator"


class StoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `event` holds the fields that were set; times are nanoseconds from the run's start."""

    t_ns: int
    seq: int
    kind: str
    about: About
    text: str
    event: dict[str, Any] = {}


_COLUMNS = (
    "t_ns", "seq", "kind", "token", "recipient", "stream", "class", "scheduled_ns", "offer", "within_ns",
    "expires_ns", "result", "code", "text", "source", "n", "provider", "route", "endpoint", "attempt",
    "begin_ns", "end_ns", "connection", "canary", "notice", "fault", "incident", "type", "target", "stage",
    "error", "signal", "value", "previous_read_ns", "state", "change", "pid", "action", "by",
    "event", "webhook", "reason", "announced",
)  # fmt: skip

_FIELDS = ", ".join(f'e."{name}"' for name in _COLUMNS)

_OWN = f"""
select e.token, {_FIELDS} from events e
where e.run = $run and e.token in (select unnest($tokens)) order by e.t_ns, e.seq
"""

# A connection ends for all that went through it; it matters to an attempt that had only just been answered.
_CLOSED = f"""
with closed as (
    select seq, source, t_ns, unnest(connections) as connection from events
    where run = $run and kind = 'connections.closed'
)
select distinct r.token, e.t_ns - max(r.end_ns) over (partition by r.token, e.seq) as after_ns, {_FIELDS}
from closed c
join events r on r.run = $run and r.kind = 'receipt' and r.token in (select unnest($tokens))
     and r.source = c.source and r.connection = c.connection and r.begin_ns <= c.t_ns
     and c.t_ns - r.end_ns <= {_MARGIN_NS}
join events e on e.run = $run and e.seq = c.seq
"""

_AROUND = f"""
with changed as (
    select seq from (
        select seq, value is distinct from lag(value) over told as new
        from events where run = $run and kind = 'signal' and signal <> 'queue_depth'
        window told as (partition by signal, route order by t_ns, seq)
    ) where new
)
select {_FIELDS} from events e
where e.run = $run
  and (e.token is null and (e.kind like 'fault.%' or e.kind in ('system.process', 'operator'))
       or e.kind = 'signal' and e.seq in (from changed)
       or e.kind = 'endpoint.called' and e.announced is not null and e.canary is distinct from 'harness')
order by e.t_ns, e.seq
"""


def story(con: duckdb.DuckDBPyConnection, run: str, token: str) -> list[StoryLine]:
    """In order of time; empty if the run does not know the token."""
    return stories(con, run, [token])[token]


def stories(con: duckdb.DuckDBPyConnection, run: str, tokens: Sequence[str]) -> dict[str, list[StoryLine]]:
    """Those of several messages, in as many questions as for one."""
    told: dict[str, list[StoryLine]] = {token: [] for token in tokens}
    if not told:
        return told
    asked = {"run": run, "tokens": list(told)}
    for token, *row in con.execute(_OWN, asked).fetchall():
        told[token].append(_line(_event(row)))
    for token, after_ns, *row in con.execute(_CLOSED, asked).fetchall():
        told[token].append(_line(_event(row) | {"after_ns": after_ns}))
    around = surroundings(con, run)
    for token, lines in told.items():
        if lines:
            from_ns, until_ns = min(each.t_ns for each in lines), max(each.t_ns for each in lines)
            lines += within(around, from_ns, until_ns) + _next_announced(around, until_ns)
            told[token] = sorted(lines, key=lambda line: (line.t_ns, line.seq))
    return told


def surroundings(con: duckdb.DuckDBPyConnection, run: str) -> list[StoryLine]:
    """What is about no one message, in order: faults, changes of signals, the system's life, the operator's
    words, and what it told on a status page."""
    return [_line(_event(row)) for row in con.execute(_AROUND, {"run": run}).fetchall()]


def within(lines: Sequence[StoryLine], from_ns: int, until_ns: int) -> list[StoryLine]:
    """Those from shortly before a time to shortly after another."""
    return [line for line in lines if from_ns - _MARGIN_NS <= line.t_ns <= until_ns + _MARGIN_NS]


def _next_announced(lines: Sequence[StoryLine], until_ns: int) -> list[StoryLine]:
    """The first that comes too late for `within`."""
    after = until_ns + _MARGIN_NS
    return next(([line] for line in lines if line.event.get("announced") and line.t_ns > after), [])


def _event(row: Sequence[Any]) -> dict[str, Any]:
    return {name: value for name, value in zip(_COLUMNS, row, strict=True) if value is not None}


def _line(event: dict[str, Any]) -> StoryLine:
    kind = str(event["kind"])
    return StoryLine(
        t_ns=event["t_ns"],
        seq=event["seq"],
        kind=kind,
        about=_about(kind),
        text=_text(kind, event),
        event=event,
    )


def _about(kind: str) -> About:
    match kind.split(".")[0]:
        case "fault":
            return About.FAULT
        case "signal":
            return About.SIGNAL
        case "operator":
            return About.OPERATOR
        case "endpoint":
            return About.SYSTEM
    return About.SYSTEM if kind == "system.process" else About.MESSAGE


def _text(kind: str, event: dict[str, Any]) -> str:
    match kind:
        case "message.submitting":
            again = "" if event.get("offer", 1) == 1 else f" again (offer {event['offer']})"
            return f"offered to the system{again}, {event.get('class')}, to {event['recipient']}"
        case "message.submitted":
            return f"the system answered: {event['result']}{_answer(event)}"
        case "receipt":
            what = f", a notice ({event['notice']}) to {event.get('recipient')}" if "notice" in event else ""
            return f"{event['provider']} by {event['route']}: {event['result']}{_answer(event)}{what}"
        case "provider.event":
            return f"{event['provider']}: {event['event']}, webhook {event.get('webhook', 'none')}"
        case "connections.closed":
            why = f" ({event['reason']})" if event.get("reason") else ""
            return f"{event['provider']} by {event['route']}: the connection of its attempt is cut{why}"
        case "system.state":
            return f"the system says: {event['state']}"
        case "system.process":
            return f"the system's process: {event['change']}"
        case "signal":
            told = event.get("value", f"no sense ({event.get('error')})")
            return f"signal {event['signal']}{_of(event)}: {told}"
        case "endpoint.called":
            told = "announces an outage" if event["announced"] else "calls its outage over"
            return f"{told} on {event['route']}"
        case "operator":
            about = f" of {event['class']}" if "class" in event else ""
            return f"operator {event['by']}: {event['action']}{about}"
        case _ if kind.startswith("fault."):
            change = kind.removeprefix("fault.")
            return f"fault {event['fault']} ({event['type']} on {event['target']}): {change}"
        case _:
            return kind


def _answer(event: dict[str, Any]) -> str:
    said = " ".join(str(event[name]) for name in ("code", "text") if event.get(name))
    return f" ({said})" if said else ""


def _of(event: dict[str, Any]) -> str:
    return f" of {event['route']}" if "route" in event else ""
