"""The life story of one message: all that happened to it, and what went on around it, in order.

Tokens flow in, lines flow out: the message's own events, the connections that were cut under it, and the
faults, signal changes, restarts, operator's words and announcements of its life, with the faults and
announcements in force when it began. The life of a message that no provider took goes on until the system
next ends and is back, and the next announcement is told, which is how its recipient learns of it. What went
on around it is also the story of an incident. Reports show them beside a finding, for people to see why.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import duckdb
import msgspec

_MARGIN_NS = 1_000_000_000
_HANDOFFS = ("accepted", "ack-lost")
_ENDS = ("killed", "exited", "stopped")
_UNTIL_IT_IS_BACK = ("kill", "restart")  # faults that last until the system has started again


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
        from events where run = $run and kind = 'signal' and signal not in ('queue_depth', 'events_seen')
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
            told[token] = sorted(lines + _alongside(lines, around), key=_order)
    return told


def _alongside(own: Sequence[StoryLine], around: Sequence[StoryLine]) -> list[StoryLine]:
    first, last = min(own, key=_order), max(own, key=_order)
    if any(_is_handoff(line) for line in own):
        return _in_force(around, first.t_ns) + within(around, first.t_ns, last.t_ns)
    until_ns = _back_after(around, last)
    told = _in_force(around, first.t_ns) + within(around, first.t_ns, until_ns)
    return told + _next_announced(around, until_ns)


def _order(line: StoryLine) -> tuple[int, int]:
    return line.t_ns, line.seq


def _is_handoff(line: StoryLine) -> bool:
    return (
        line.kind == "receipt" and line.event.get("result") in _HANDOFFS and line.event.get("notice") is None
    )


def _back_after(around: Sequence[StoryLine], last: StoryLine) -> int:
    """When the system had started again after its next end; else when that was, or the last line itself."""
    changes = [line for line in around if line.kind == "system.process" and _order(line) > _order(last)]
    ended = next((line for line in changes if line.event["change"] in _ENDS), None)
    if ended is None:
        return last.t_ns
    after = changes[changes.index(ended) :]
    return next((line.t_ns for line in after if line.event["change"] == "started"), ended.t_ns)


def _in_force(around: Sequence[StoryLine], from_ns: int) -> list[StoryLine]:
    """Where each fault and each announcement began that was not over when `within` begins to tell."""
    begun: dict[tuple[str, Any], StoryLine] = {}
    for line in around:
        if line.t_ns < from_ns - _MARGIN_NS:
            _turn(begun, line)
    return list(begun.values())


def _turn(begun: dict[tuple[str, Any], StoryLine], line: StoryLine) -> None:
    event = line.event
    match line.kind:
        case "fault.active":
            begun["fault", event["fault"]] = line
        case "fault.removed":
            begun.pop(("fault", event["fault"]), None)
        case "system.process" if event["change"] == "started":
            for key in [key for key, each in begun.items() if each.event.get("type") in _UNTIL_IT_IS_BACK]:
                del begun[key]
        case "endpoint.called" if event["announced"]:
            begun.setdefault(("page", event["route"]), line)
        case "endpoint.called":
            begun.pop(("page", event["route"]), None)


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
