"""The life story of what counts against a verdict: of a message, all that the history knows of it; of an
incident, a fault or a route, what happened to it; each in order, with the faults that were in force.

Offenders and a run's facts flow in, lines flow out that each report lays out in its own way. Failures lead
with the story of their worst offender, because a number convinces nobody who has not seen how it came
about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.checks.finding import Offender
from harness.history.events import ReceiptResult, Submitted
from harness.history.story import StoryLine as Told
from harness.history.story import stories as told_of_messages
from harness.history.story import surroundings, within
from harness.report.facts import FaultWindow, RunFacts
from harness.report.words import Tone, clock, count, printable, seconds, span_ns

MAX_LINES = 40
_FIRST_LINES = 12  # of a story that is too long; the rest of its room is for how it ended
_HANDOFFS = (ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST)
_WHOLE = ("the system", "the queue")
_ENDS = ("killed", "exited")


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
    """`key` is the token of a message, or the subject that is no message."""

    key: str
    title: str
    lines: list[StoryLine]
    class_: str = ""  # of a message; empty where the harness did not submit it
    of_message: bool = True


def stories_of(facts: RunFacts, offenders: Iterable[Offender]) -> dict[str, Story]:
    """The stories of those of whom there is one, by token or subject, in the order of the offenders."""
    keys = list(dict.fromkeys((each.token, each.subject) for each in offenders))
    tokens = list(dict.fromkeys(token for token, _ in keys if token))
    messages = told_of_messages(facts.history.con, facts.run, tokens)
    subjects = [subject for token, subject in keys if subject and not token]
    around = surroundings(facts.history.con, facts.run) if subjects else []
    found: dict[str, Story] = {}
    for token, subject in keys:
        if token:
            found[token] = _of_message(facts, token, messages[token])
        elif subject and (story := _of_subject(facts, subject, around)) is not None:
            found[subject] = story
    return found


def key_of(offender: Offender) -> str:
    """By which `stories_of` knows an offender."""
    return offender.token or offender.subject or ""


def _of_message(facts: RunFacts, token: str, told: Sequence[Told]) -> Story:
    lines: list[StoryLine] = []
    copies = 0
    for each in told:
        copies += (
            each.kind == "receipt" and each.event.get("result") in _HANDOFFS and "notice" not in each.event
        )
        line = _line(facts, each, copies)
        if line is not None:
            lines.append(_in_flight(line, each, told))
    first = next((each.event for each in told if each.kind == "message.submitting"), {})
    recipient = next((each.event["recipient"] for each in told if "recipient" in each.event), "")
    return Story(
        key=token, title=str(recipient) or token, lines=_shortened(lines), class_=str(first.get("class", ""))
    )


def _of_subject(facts: RunFacts, subject: str, around: Sequence[Told]) -> Story | None:
    """What happened to an incident, a fault or a route, or led to a release; None for all else."""
    kind, _, name = subject.partition(" ")
    faults = [fault for fault in facts.faults if _is_of(fault, kind, name)]
    if not faults:
        return _without_faults(facts, subject, around)
    incidents = {fault.incident for fault in faults}
    one = len({fault.incident for fault in facts.faults}) == 1
    moments = [
        StoryLine(instant.at_ns, "run", instant.name, tone=Tone.UNSURE)
        for instant in facts.instants
        if one or instant.incident.removeprefix("incident ") in incidents
    ]
    from_ns = min(fault.from_ns for fault in faults)
    until_ns = max([fault.to_ns for fault in faults] + [moment.at_ns for moment in moments])
    told = within(around, from_ns + facts.t0_ns, until_ns + facts.t0_ns)
    lines = [line for each in told if (line := _line(facts, each, 0)) is not None]
    lines += [line for fault in faults if (line := _unproved(fault)) is not None]
    return Story(
        key=subject,
        title=subject,
        lines=_shortened(sorted(lines + moments, key=lambda line: line.at_ns)),
        of_message=False,
    )


def _without_faults(facts: RunFacts, subject: str, around: Sequence[Told]) -> Story | None:
    """What went on around a route that was never broken, or around the system as a whole."""
    kind, _, name = subject.partition(" ")
    if kind == "route":
        about = [
            each for each in around if each.event.get("route", name) == name and "target" not in each.event
        ]
    elif subject in _WHOLE:
        about = list(around)
    else:
        return None
    lines = [line for each in about if (line := _line(facts, each, 0)) is not None]
    return Story(key=subject, title=subject, lines=_shortened(lines), of_message=False) if lines else None


def _is_of(fault: FaultWindow, kind: str, name: str) -> bool:
    match kind:
        case "incident":
            return fault.incident == name
        case "fault":
            return fault.id == name
        case "route":
            return fault.target.partition(".")[0] == name
        case "release":
            return True  # what waited for it waited for all that was broken before
        case _:
            return False


def _unproved(fault: FaultWindow) -> StoryLine | None:
    if fault.failed:
        return StoryLine(fault.from_ns, "fault", f"{fault.name} failed: {fault.failed}", tone=Tone.BAD)
    if not fault.acted:
        said = f"{fault.name} was never seen to act by the harness's canary"
        return StoryLine(fault.to_ns, "fault", said, tone=Tone.UNSURE)
    return None


def _shortened(lines: list[StoryLine]) -> list[StoryLine]:
    """How it began and how it ended; what is left out in between is counted."""
    if len(lines) <= MAX_LINES:
        return lines
    last = MAX_LINES - _FIRST_LINES - 1
    left_out = lines[_FIRST_LINES:-last]
    gap = StoryLine(left_out[0].at_ns, "…", f"{count(len(left_out), 'event')} left out")
    return [*lines[:_FIRST_LINES], gap, *lines[-last:]]


def _in_flight(line: StoryLine, told: Told, all_told: Sequence[Told]) -> StoryLine:
    """A system that ended during an attempt, or while it said that it was sending, cannot know its fate."""
    if told.kind != "system.process" or told.event.get("change") not in _ENDS:
        return line
    attempt = any(
        each.kind == "receipt" and each.event.get("begin_ns", each.t_ns) <= told.t_ns <= each.t_ns
        for each in all_told
    )
    states = [
        each.event["state"] for each in all_told if each.kind == "system.state" and each.t_ns <= told.t_ns
    ]
    if not attempt and states[-1:] != ["sending"]:
        return line
    return StoryLine(line.at_ns, line.actor, f"{line.text}, with an attempt in flight", tone=Tone.BAD)


def story_text(story: Story) -> list[str]:
    """Plain lines, for JUnit and logs."""
    about = f" ({story.class_ or 'not submitted by the harness'})" if story.of_message else ""
    lines = [f"{story.title}{about}"]
    for line in story.lines:
        where = f" [{line.route}]" if line.route else ""
        faults = f"  (in force: {', '.join(line.faults)})" if line.faults else ""
        lines.append(printable(f"  {clock(line.at_ns):>12}  {line.actor}{where}: {line.text}{faults}"))
    return lines


def story_data(story: Story) -> list[dict[str, Any]]:
    """For programs: times in seconds from the end of the baseline."""
    return [
        {
            "at_s": round(line.at_ns / 1e9, 6),
            "actor": line.actor,
            "route": line.route or None,
            "text": line.text,
            "in_force": list(line.faults),
        }
        for line in story.lines
    ]


def _line(facts: RunFacts, told: Told, copies: int) -> StoryLine | None:
    event, at = told.event, told.t_ns - facts.t0_ns
    match told.kind:
        case "message.submitting":
            return _offer(facts, at, event)
        case "message.submitted":
            return _answer(at, event)
        case "receipt":
            return _receipt(facts, at, event, copies)
        case "connections.closed":
            return _cut(at, event)
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
        case "signal" | "system.process" | "operator" | "endpoint.called":
            return StoryLine(at, str(told.about), told.text)
        case _:
            return None  # the steps of putting a fault in place and taking it away


def _cut(at: int, event: dict[str, Any]) -> StoryLine:
    why = f" ({event['reason']})" if event.get("reason") else ""
    after = event.get("after_ns")
    when = f", {span_ns(after)} after its answer" if isinstance(after, int) and after >= 0 else ""
    text = f"its connection is cut{when}{why}"
    return StoryLine(at, str(event["provider"]), text, str(event["route"]), Tone.UNSURE)


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
