"""The life story of one message: everything the history knows of it, in order, with the faults that were in
force.

A token and a run's facts flow in, lines flow out that each report lays out in its own way. Failures lead
with the story of their worst offender, because a number convinces nobody who has not seen how it came
about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.history.events import ReceiptResult, Submitted
from harness.history.story import StoryLine as Told
from harness.report.facts import RunFacts
from harness.report.words import Tone, clock, printable, seconds

MAX_LINES = 40
_HANDOFFS = (ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST)


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


def story_of(facts: RunFacts, token: str) -> Story:
    """The story of `token`; empty lines when the history does not know it."""
    told = facts.history.events_of(token, facts.run)
    lines: list[StoryLine] = []
    copies = 0
    for each in told:
        copies += (
            each.kind == "receipt" and each.event.get("result") in _HANDOFFS and "notice" not in each.event
        )
        line = _line(facts, each, copies)
        if line is not None:
            lines.append(line)
    first = next((each.event for each in told if each.kind == "message.submitting"), {})
    recipient = next((each.event["recipient"] for each in told if "recipient" in each.event), "")
    return Story(
        token=token,
        recipient=str(recipient),
        stream=str(first.get("stream", "")),
        class_=str(first.get("class", "")),
        lines=lines[:MAX_LINES],
        left_out=max(0, len(lines) - MAX_LINES),
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


def _line(facts: RunFacts, told: Told, copies: int) -> StoryLine | None:
    event, at = told.event, told.t_ns - facts.t0_ns
    match told.kind:
        case "message.submitting":
            return _offer(facts, at, event)
        case "message.submitted":
            return _answer(at, event)
        case "receipt":
            return _receipt(facts, at, event, copies)
        case "system.state":
            return StoryLine(at, "system", f"says: {event['state']}")
        case "provider.event":
            hook = event.get("webhook", "none")
            told_of = "" if hook == "none" else f", webhook {hook}"
            return StoryLine(at, str(event["provider"]), f"{event['event']}{told_of}")
        case "fault.active":
            return StoryLine(at, "fault", f"{event['type']} on {event['target']} begins")
        case "fault.removed":
            return StoryLine(at, "fault", f"{event['type']} on {event['target']} ends")
        case "signal" | "system.process" | "operator":
            return StoryLine(at, str(told.about), told.text)
        case _:
            return None  # the steps of putting a fault in place and taking it away


def _offer(facts: RunFacts, at: int, event: dict[str, Any]) -> StoryLine:
    if event.get("offer", 1) > 1:
        return StoryLine(at, "driver", f"offers it again (offer {event['offer']})")
    due = clock(int(event["scheduled_ns"]) - facts.t0_ns)
    within = f", due within {seconds(event['within_ns'] / 1e9)}" if "within_ns" in event else ""
    return StoryLine(at, "driver", f"offers it, scheduled for {due}{within}")


def _answer(at: int, event: dict[str, Any]) -> StoryLine:
    code = f" ({event['code']})" if "code" in event else ""
    match event["result"]:
        case Submitted.ACCEPTED:
            return StoryLine(at, "system", f"takes it{code}")
        case Submitted.REFUSED:
            return StoryLine(at, "system", f"refuses it{code}", tone=Tone.BAD)
        case _:
            return StoryLine(at, "system", f"gives no clear answer{code}; it may have it", tone=Tone.UNSURE)


def _receipt(facts: RunFacts, at: int, event: dict[str, Any], copies: int) -> StoryLine:
    route = str(event["route"])
    begin = int(event.get("begin_ns", at + facts.t0_ns)) - facts.t0_ns
    faults = tuple(fault.name for fault in facts.in_force(begin) if fault.target in (route, "system"))
    said = " ".join(str(event[name]) for name in ("code", "text") if event.get(name))
    said = f" ({said})" if said else ""
    if (notice := event.get("notice")) and event["result"] in _HANDOFFS:
        tone = Tone.BAD if notice == "failed" else Tone.UNSURE
        to = f"to {event['recipient']}{said}"
        return StoryLine(at, str(event["provider"]), f"takes a notice, {notice}, {to}", route, tone, faults)
    nth, again = (f"copy {copies}", True) if copies > 1 else ("the first copy", False)
    match event["result"]:
        case ReceiptResult.ACCEPTED:
            text, tone = f"takes {nth}{said}", Tone.BAD if again else Tone.GOOD
        case ReceiptResult.ACK_LOST:
            text = f"takes {nth}; the acknowledgement is lost{said}"
            tone = Tone.BAD if again else Tone.UNSURE
        case ReceiptResult.DEFERRED:
            text, tone = f"turns it away for now{said}", Tone.UNSURE
        case ReceiptResult.REFUSED:
            text, tone = f"refuses it for good{said}", Tone.BAD
        case _:
            text, tone = f"the attempt is cut off before the end{said}", Tone.UNSURE
    return StoryLine(at, str(event["provider"]), text, route, tone, faults)
