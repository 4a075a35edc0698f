"""Scenario and seed to a timeline: every message, fault and marker at an absolute time.

Pure: the same scenario and seed give the same bytes, on every machine and in every process. Random choices
come from generators seeded by (seed, scenario, stream), so that a change to one stream leaves the others as
they were.
"""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from collections.abc import Iterator
from fractions import Fraction
from random import Random

import msgspec

from harness.checks.units import NS_PER_S
from harness.scenario.letters import write_letter
from harness.scenario.models import Scenario
from harness.scenario.operator import OperatorStep
from harness.scenario.timeline import AnyEntry, Fault, Marker, Message, Operator, Timeline
from harness.scenario.workload import Stream

BASELINE_RATE = Fraction(2)  # messages per second, where the baseline's stream has no rate of its own
RECIPIENT_DOMAIN = "customer.example"
CANARY_PREFIX = "canary"


def plan(scenario: Scenario, seed: int | None = None) -> Timeline:
    """The timeline of a scenario; `seed` in place of the scenario's own."""
    seed = scenario.seed if seed is None else seed
    tokens = _Tokens(f"{seed}/{scenario.scenario}")
    baseline_ns = scenario.baseline.for_
    deadline_ns = scenario.storm_ns + scenario.drain.deadline
    entries: list[AnyEntry] = [
        Marker(at_ns=-baseline_ns, marker="baseline"),
        Marker(at_ns=0, marker="storm"),
        *_faults(scenario),
        *(
            Operator(at_ns=step.at, action=step.action, detail=_how(scenario, step), class_=step.class_)
            for step in scenario.operator
        ),
    ]
    entries += _baseline(scenario, tokens)
    for stream in scenario.workload:
        entries += _stream(stream, tokens)
    entries.append(Marker(at_ns=scenario.storm_ns, marker="heal"))
    entries.append(Marker(at_ns=deadline_ns, marker="drain-deadline"))
    return Timeline(
        scenario=scenario.scenario,
        seed=seed,
        baseline_ns=baseline_ns,
        storm_ns=scenario.storm_ns,
        drain_deadline_ns=scenario.drain.deadline,
        entries=sorted(entries, key=lambda entry: entry.at_ns),
    )


def timeline_json(timeline: Timeline) -> bytes:
    """A timeline as it is stored: one entry a line, so that two of them can be compared line by line."""
    head = msgspec.to_builtins(timeline)
    entries = head.pop("entries")
    lines = [f'  "{key}": {msgspec.json.encode(value).decode()},' for key, value in head.items()]
    body = ",\n".join("    " + msgspec.json.encode(entry).decode() for entry in entries)
    return ("{\n" + "\n".join(lines) + '\n  "entries": [\n' + body + "\n  ]\n}\n").encode()


class _Tokens:
    """Tokens that are unique in the run and depend on nothing but the seed, the scenario and the message."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._given: set[str] = set()

    def token(self, stream: str, index: int) -> str:
        """16 characters of [a-z2-7]; never one that looks like a canary's."""
        for attempt in range(1000):
            digest = hashlib.sha256(f"{self.root}/{stream}/{index}/{attempt}".encode()).digest()
            token = base64.b32encode(digest)[:16].decode().lower()
            if token not in self._given and not token.startswith(CANARY_PREFIX):
                self._given.add(token)
                return token
        raise AssertionError("sha256 gave the same 80 bits a thousand times")

    def random(self, purpose: str) -> Random:
        """A generator of its own; seeded by text, which Python hashes alike in every process."""
        return Random(f"{self.root}/{purpose}")


def _stream(stream: Stream, tokens: _Tokens) -> Iterator[Message]:
    random = tokens.random(f"stream/{stream.stream}")
    for index, offset_ns in enumerate(_arrivals(stream, random)):
        yield _message(stream, stream.stream, index, stream.at + offset_ns, tokens, random, baseline=False)


def _baseline(scenario: Scenario, tokens: _Tokens) -> Iterator[Message]:
    """Evenly spaced messages of the baseline's stream, all before time 0."""
    stream, length_ns = scenario.baseline_stream, scenario.baseline.for_
    rate = stream.exact_rate or BASELINE_RATE
    random = tokens.random("baseline")
    name = f"{stream.stream}/baseline"
    for index, offset_ns in enumerate(_steady(rate, length_ns)):
        yield _message(stream, name, index, offset_ns - length_ns, tokens, random, baseline=True)


def _message(
    stream: Stream, key: str, index: int, at_ns: int, tokens: _Tokens, random: Random, *, baseline: bool
) -> Message:
    token = tokens.token(key, index)
    pool = stream.recipients.pool if stream.recipients else None
    letter = write_letter(stream.class_, token, random)
    return Message(
        at_ns=at_ns,
        token=token,
        recipient=random.choice(pool) if pool else f"c.{token}@{RECIPIENT_DOMAIN}",
        stream=stream.stream,
        class_=stream.class_,
        subject=letter.subject,
        body=letter.body,
        headers={"X-Harness-Token": token, "X-Harness-Class": stream.class_},
        within_ns=stream.within,
        expires_ns=None if stream.expires is None else at_ns + stream.expires,
        baseline=baseline,
    )


def _arrivals(stream: Stream, random: Random) -> Iterator[int]:
    """Offsets from the stream's beginning, in order."""
    rate, count, length_ns = stream.exact_rate, stream.count, stream.length_ns
    if stream.arrivals == "poisson":
        if rate is None:
            assert count is not None  # the stream's own model saw to that
            return iter(sorted(int(random.random() * length_ns) for _ in range(count)))
        return _poisson(float(rate), length_ns, count, random)
    if rate is None or count is not None:
        assert count is not None
        return ((2 * index + 1) * length_ns // (2 * count) for index in range(count))
    return _steady(rate, length_ns)


def _steady(rate: Fraction, length_ns: int) -> Iterator[int]:
    """As many as fit into the length, in its middle.

    A message at a round time would meet a fault at the same round time in flight, and whether it is cut
    would be a matter of milliseconds.
    """
    count = math.ceil(rate * length_ns / NS_PER_S)
    slack_ns = length_ns - (count - 1) * NS_PER_S / rate
    return (int(index * NS_PER_S / rate + slack_ns / 2) for index in range(count))


def _poisson(rate: float, length_ns: int, count: int | None, random: Random) -> Iterator[int]:
    """Until the length is over, or, for a counted stream, until there are that many."""
    offset_s, made = 0.0, 0
    while count is None or made < count:
        offset_s += random.expovariate(rate)
        offset_ns = int(offset_s * NS_PER_S)
        if count is None and offset_ns >= length_ns:
            return
        yield offset_ns
        made += 1


def _faults(scenario: Scenario) -> Iterator[Fault]:
    for index, (fault, incident) in enumerate(zip(scenario.faults, incidents(scenario), strict=True)):
        yield Fault(
            at_ns=fault.at,
            id=f"f{index + 1}",
            incident=incident,
            type=fault.kind,
            target=fault.on,
            until_ns=fault.end_ns,
            attributes=fault.attributes(),
        )


def _how(scenario: Scenario, step: OperatorStep) -> str:
    """How an action is done, for people who read the plan."""
    action = scenario.system.operator[step.action]
    return action.http or shlex.join(action.command or ())


def incidents(scenario: Scenario) -> list[str]:
    """The incident of each fault: those that overlap in time, or carry one label, belong together.

    A fault on which no mail depends ties no others together; only a label makes it part of an incident.
    Incidents are numbered by their first fault's time: i1, i2, …
    """
    faults = scenario.faults
    aside = [scenario.is_aside(fault) for fault in faults]
    group = list(range(len(faults)))

    def root(index: int) -> int:
        while group[index] != index:
            index = group[index]
        return index

    for later in range(len(faults)):
        for earlier in range(later):
            a, b = faults[earlier], faults[later]
            tied = not aside[later] and not aside[earlier]
            overlap = tied and a.at < max(b.end_ns, b.at + 1) and b.at < max(a.end_ns, a.at + 1)
            if overlap or (a.incident is not None and a.incident == b.incident):
                group[root(later)] = root(earlier)
    by_time = sorted(range(len(faults)), key=lambda index: faults[index].at)
    order = {each: number + 1 for number, each in enumerate(dict.fromkeys(root(index) for index in by_time))}
    return [f"i{order[root(index)]}" for index in range(len(faults))]
