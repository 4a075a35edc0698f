"""The plan of a run: every message, fault, operator action and marker at an absolute time.

A timeline is what `plan(scenario, seed)` makes, what conduct follows, and what `harness plan` prints. Times
are nanoseconds from the end of the baseline; the baseline's own messages come before it, at negative times.
It is plain data: the same scenario and seed give the same bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="entry"):
    at_ns: int


class Message(Entry, frozen=True, kw_only=True, tag="message"):
    token: str
    recipient: str
    stream: str
    class_: str = msgspec.field(name="class")
    subject: str
    body: str  # contains the nonce that stands for the token
    headers: dict[str, str] = {}
    within_ns: int | None = None
    expires_ns: int | None = None  # absolute, on the timeline's clock
    baseline: bool = False


class Fault(Entry, frozen=True, kw_only=True, tag="fault"):
    """One fault from `at_ns` to `until_ns`: removed then, or, after a kill, the system started again.

    None: it stays until the heal.
    """

    id: str
    incident: str
    type: str  # one of harness.scenario.faults.KINDS
    target: str  # a route, an endpoint beside it ("backup.events"), or "system"
    until_ns: int | None = None
    attributes: dict[str, Any] = {}  # checked by the fault's own model, times in ms


class Operator(Entry, frozen=True, kw_only=True, tag="operator"):
    action: str
    detail: str = ""
    class_: str | None = msgspec.field(name="class", default=None)  # whose mail it is about; None: any


class Marker(Entry, frozen=True, kw_only=True, tag="marker"):
    marker: str  # baseline, storm, heal, drain-deadline


AnyEntry = Message | Fault | Operator | Marker


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Entries in order of time; equal times keep the order of the scenario file."""

    scenario: str
    seed: int
    baseline_ns: int  # length of the baseline
    storm_ns: int  # end of the last message, fault or operator's action
    drain_deadline_ns: int  # allowance after storm_ns
    entries: list[AnyEntry]
