"""The life story of one message: everything the history knows of it, in order, with the faults that were in
force.

A token and a run's facts flow in, lines flow out that each report lays out in its own way. Failures lead
with the story of their worst offender, because a number convinces nobody who has not seen how it came
about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.history import events as ev
from harness.report.facts import RunFacts
from harness.report.words import Tone, clock, printable, seconds

MAX_LINES = 40


@dataclass(frozen=True)
class StoryLine:
    at_ns: int  # from t0
    actor: str  # driver, system, a provider, fault
    text: str
    route: str = ""
    tone: Tone | None = None
    faults: tuple[str, ...] = ()  # in force at that moment, on this line's route where it has one


@dataclass(frozen=True)
class Story:
    token: str
    recipient: str
    stream: str
    class_: str
    lines: list[StoryLine]
    left_out: int = 0


_COLUMNS = (
    "kind, t_ns, recipient, stream, class, scheduled_ns, offer, within_ns, result, code, text, provider, "
    "route, state, event, webhook, begin_ns, carriers"
)


def story_of(facts: RunFacts, token: str) -> Story:
    """The story of `token`; empty lines when the history does not know it."""
    rows = facts.history.con.execute(
        f"select {_COLUMNS} from events where run = ? and token = ? order by t_ns, seq",
        [facts.run, token],
    ).fetchall()
    names = [name.strip() for name in _COLUMNS.split(",")]
    events = [dict(zip(names, row, strict=True)) for row in rows]
    lines: list[StoryLine] = []
    copies = 0
    for event in events:
        if event["kind"] == ev.Receipt.__struct_config__.tag and event["result"] in ("accepted", "ack-lost"):
            copies += 1
        line = _line(facts, event, copies)
        if line is not None:
            lines.append(line)
    lines += _edges(facts, lines)
    lines.sort(key=lambda line: line.at_ns)
    first = next((event for event in events if event["kind"] == "message.submitting"), None)
    any_recipient = next((str(event["recipient"]) for event in events if event["recipient"]), "")
    left_out = max(0, len(lines) - MAX_LINES)
    return Story(
        token=token,
        recipient=str(first["recipient"]) if first else any_recipient,
        stream=str(first["stream"] or "") if first else "",
        class_=str(first["class"] or "") if first else "",
        lines=lines[:MAX_LINES],
        left_out=left_out,
    )


def story_text(story: Story) -> list[str]:
    """Plain lines, for JUnit and logs."""
    head = f"{story.recipient} ({story.class_ or 'not submitted by the harness'})"
    lines = [head]
    for line in story.lines:
        where = f" [{line.route}]" if line.route else ""
        faults = f"  (in force: {', '.join(line.faults)})" if line.faults else ""
        lines.append(printable(f"  {clock(line.at_ns):>12}  {line.actor}{where}: {line.text}{faults}"))
    if story.left_out:
        lines.append(f"  … and {story.left_out} more")
    return lines


def _line(facts: RunFacts, event: dict[str, Any], copies: int) -> StoryLine | None:
    at = int(event["t_ns"]) - facts.t0_ns
    match event["kind"]:
        case "message.submitting":
            due = int(event["scheduled_ns"]) - facts.t0_ns
            if (event["offer"] or 1) > 1:
                return StoryLine(at, "driver", f"offers it again (offer {event['offer']})")
            within = f", due within {seconds(event['within_ns'] / 1e9)}" if event["within_ns"] else ""
            return StoryLine(at, "driver", f"offers it, scheduled for {clock(due)}{within}")
        case "message.submitted":
            return _answer(at, event)
        case "receipt":
            return _receipt(facts, at, event, copies)
        case "system.state":
            return StoryLine(at, "system", f"says: {event['state']}")
        case "provider.event":
            hook = f", webhook {event['webhook']}" if event["webhook"] not in (None, "none") else ""
            return StoryLine(at, str(event["provider"]), f"{event['event']}{hook}")
        case _:
            return None


def _answer(at: int, event: dict[str, Any]) -> StoryLine:
    code = f" ({event['code']})" if event["code"] is not None else ""
    match event["result"]:
        case "accepted":
            return StoryLine(at, "system", f"takes it{code}")
        case "refused":
            return StoryLine(at, "system", f"refuses it{code}", tone=Tone.BAD)
        case _:
            return StoryLine(at, "system", f"gives no clear answer{code}; it may have it", tone=Tone.UNSURE)


def _receipt(facts: RunFacts, at: int, event: dict[str, Any], copies: int) -> StoryLine:
    route = str(event["route"])
    faults = tuple(
        fault.name
        for fault in facts.in_force(int(event["begin_ns"] or event["t_ns"]) - facts.t0_ns)
        if fault.target in (route, "system")
    )
    said = " ".join(str(part) for part in (event["code"], event["text"]) if part not in (None, ""))
    said = f" ({said})" if said else ""
    nth = f"copy {copies}" if copies > 1 else "the first copy"
    match event["result"]:
        case "accepted":
            text, tone = f"takes {nth}{said}", Tone.BAD if copies > 1 else Tone.GOOD
        case "ack-lost":
            text, tone = (
                f"takes {nth}; the acknowledgement is lost{said}",
                Tone.BAD if copies > 1 else Tone.UNSURE,
            )
        case "deferred":
            text, tone = f"turns it away for now{said}", Tone.UNSURE
        case "refused":
            text, tone = f"refuses it for good{said}", Tone.BAD
        case _:
            text, tone = f"the attempt is cut off before the end{said}", Tone.UNSURE
    return StoryLine(at, str(event["provider"]), text, route, tone, faults)


def _edges(facts: RunFacts, lines: list[StoryLine]) -> list[StoryLine]:
    """The beginnings and ends of faults, and the detections, between the message's first and last line."""
    if not lines:
        return []
    first, last = min(line.at_ns for line in lines), max(line.at_ns for line in lines)
    edges = []
    for fault in facts.faults:
        if first <= fault.from_ns <= last:
            edges.append(StoryLine(fault.from_ns, "fault", f"{fault.name} begins"))
        if fault.to_ns > fault.from_ns and first <= fault.to_ns <= last:
            edges.append(StoryLine(fault.to_ns, "fault", f"{fault.name} ends"))
    edges += [
        StoryLine(instant.at_ns, "system", f"{instant.name}: {instant.detail}".rstrip(": "))
        for instant in facts.instants
        if instant.name == "detected" and first <= instant.at_ns <= last
    ]
    return edges
