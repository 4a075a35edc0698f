"""The life story of one message: all that happened to it, and what went on around it, in order.

A token flows in, lines flow out: the message's own events, and the faults, signal changes, restarts,
releases and operator's words between its first moment and its last. Reports show it beside a finding;
people read it to see why.
"""

from __future__ import annotations

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
    "event", "webhook",
)  # fmt: skip

_QUERY = f"""
with own as (
    select t_ns, seq from events where run = $run and token = $token
), span as (
    select min(t_ns) as from_ns, max(t_ns) as until_ns from own
), around as (
    select e.t_ns, e.seq from events e, span
    where e.run = $run and e.token is null and span.from_ns is not null
      and (e.kind like 'fault.%' or e.kind in ('system.process', 'operator'))
      and e.t_ns between span.from_ns - {_MARGIN_NS} and span.until_ns + {_MARGIN_NS}
    union
    select s.t_ns, s.seq from (
        select t_ns, seq, value is distinct from lag(value) over (
            partition by signal, route order by t_ns, seq) as changed
        from events where run = $run and kind = 'signal'
          and (signal <> 'queue_depth')
    ) s, span
    where s.changed and s.t_ns between span.from_ns - {_MARGIN_NS} and span.until_ns + {_MARGIN_NS}
) select {", ".join('"' + name + '"' for name in _COLUMNS)} from events where run = $run and (t_ns, seq) in
(select (t_ns, seq) from own union select (t_ns, seq) from around) order by t_ns, seq
"""


def story(con: duckdb.DuckDBPyConnection, run: str, token: str) -> list[StoryLine]:
    """In order of time; empty if the run does not know the token."""
    lines = []
    for row in con.execute(_QUERY, {"run": run, "token": token}).fetchall():
        event = {name: value for name, value in zip(_COLUMNS, row, strict=True) if value is not None}
        kind = str(event["kind"])
        lines.append(
            StoryLine(
                t_ns=event["t_ns"],
                seq=event["seq"],
                kind=kind,
                about=_about(kind),
                text=_text(kind, event),
                event=event,
            )
        )
    return lines


def _about(kind: str) -> About:
    match kind.split(".")[0]:
        case "fault":
            return About.FAULT
        case "signal":
            return About.SIGNAL
        case "operator":
            return About.OPERATOR
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
        case "system.state":
            return f"the system says: {event['state']}"
        case "system.process":
            return f"the system's process: {event['change']}"
        case "signal":
            told = event.get("value", f"no sense ({event.get('error')})")
            return f"signal {event['signal']}{_of(event)}: {told}"
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
