"""What an Atlassian Statuspage shows at one moment: its indicator, its components, its incidents.

Built from the incidents that faults of type `status` announce and from those that were posted; names and
their order are those of the public API's own examples. One component stands for the service: it is as bad as
the worst incident. A scheduled maintenance is listed and makes nothing worse. That a page shows 50 incidents
is documented; the words for an incident of impact `maintenance` are from memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from harness.providers.faults import Announced
from harness.providers.http.board import Entry, Posted

IMPACTS = ("minor", "major", "critical")  # from the least to the worst
MAINTENANCE = "maintenance"
PLANNED = ("scheduled", "in_progress", "verifying", "completed")  # the states of a scheduled maintenance
_FROM_THE_LEAST = ("none", MAINTENANCE, *IMPACTS)
_SHOWN = 50
_DESCRIPTIONS = {
    "none": "All Systems Operational",
    MAINTENANCE: "Service Under Maintenance",
    "minor": "Partially Degraded Service",
    "major": "Partial System Outage",
    "critical": "Major Service Outage",
}
_COMPONENT_STATUS = {
    "none": "operational",
    MAINTENANCE: "under_maintenance",
    "minor": "degraded_performance",
    "major": "partial_outage",
    "critical": "major_outage",
}
_TITLE = "Delays in mail delivery"
BEGAN_S = 1_577_836_800.0  # 2020: when page and component were made
_ALPHABET = "0123456789bcdfghjklmnpqrstvwxyz"


class Page(msgspec.Struct, frozen=True):
    id: str
    name: str
    url: str
    time_zone: str
    updated_at: str


class Status(msgspec.Struct, frozen=True):
    indicator: str
    description: str


class Component(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    status: str
    created_at: str
    updated_at: str
    position: int = 1
    description: str | None = None
    showcase: bool = True
    start_date: str | None = None
    group_id: str | None = None
    page_id: str
    group: bool = False
    only_show_if_degraded: bool = False


class Update(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    body: str
    incident_id: str
    created_at: str
    updated_at: str
    display_at: str


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    status: str
    created_at: str
    updated_at: str
    monitoring_at: str | None = None
    resolved_at: str | None = None
    impact: str
    shortlink: str
    started_at: str
    page_id: str
    incident_updates: tuple[Update, ...]
    components: tuple[Component, ...]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; each path of the API shows a part."""

    page: Page
    status: Status
    components: tuple[Component, ...]
    incidents: tuple[Incident, ...]  # the latest first, resolved ones as well
    scheduled_maintenances: tuple[Incident, ...] = ()  # those that are not over

    @property
    def latest(self) -> tuple[Incident, ...]:
        return self.incidents[:_SHOWN]

    @property
    def unresolved(self) -> tuple[Incident, ...]:
        return tuple(each for each in self.incidents if each.resolved_at is None)


def view(announced: Sequence[Announced], posted: Sequence[Posted], host: str) -> View:
    """`host` is where the page was asked for."""
    told = sorted([*map(_by_fault, announced), *posted], key=lambda each: each.since_s, reverse=True)
    worst = max((each.impact for each in told if each.going_on), key=_FROM_THE_LEAST.index, default="none")
    page_id = _id("page", host)
    updated = at(max((each.updated_s for each in told), default=BEGAN_S))
    component = _component(host, page_id, worst, updated)
    planned = [each for each in told if each.status in PLANNED and each.until_s is None]
    return View(
        page=Page(page_id, "Mail Service", f"https://{host}", "Etc/UTC", updated),
        status=Status(worst, _DESCRIPTIONS[worst]),
        components=(component,),
        incidents=tuple(incident(each, page_id, component) for each in told if each.status not in PLANNED),
        scheduled_maintenances=tuple(incident(each, page_id, component) for each in planned),
    )


def incident(told: Posted, page_id: str, *components: Component) -> Incident:
    updates = tuple(
        Update(
            id=_id("update", told.id, str(len(told.entries) - index), each.status),
            status=each.status,
            body=each.body,
            incident_id=told.id,
            created_at=at(each.at_s),
            updated_at=at(each.at_s),
            display_at=at(each.at_s),
        )
        for index, each in enumerate(told.entries)
    )
    return Incident(
        id=told.id,
        name=told.name,
        status=told.status,
        created_at=at(told.since_s),
        updated_at=at(told.updated_s),
        monitoring_at=None if told.monitoring_s is None else at(told.monitoring_s),
        resolved_at=None if told.until_s is None else at(told.until_s),
        impact=told.impact,
        shortlink=f"https://stspg.io/{told.id}",
        started_at=at(told.since_s),
        page_id=page_id,
        incident_updates=updates,
        components=components,
    )


def incident_id(*key: str) -> str:
    return _id("incident", *key)


def at(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _by_fault(told: Announced) -> Posted:
    """An incident of a fault's in the words of one that somebody posts."""
    entries = [
        Entry(status="investigating", body="We are currently investigating this issue.", at_s=told.since_s)
    ]
    if told.until_s is not None:
        over = Entry(status="resolved", body="This incident has been resolved.", at_s=told.until_s)
        entries.insert(0, over)
    return Posted(
        id=incident_id(told.id, str(told.since_s)),
        name=told.title or _TITLE,
        status=entries[0].status,
        impact=told.status,
        impact_override=None,
        going_on=told.until_s is None,
        since_s=told.since_s,
        updated_s=told.updated_s,
        until_s=told.until_s,
        entries=tuple(entries),
    )


def _component(host: str, page_id: str, worst: str, updated: str) -> Component:
    return Component(
        id=_id("component", host),
        name="Mail Sending",
        status=_COMPONENT_STATUS[worst],
        created_at=at(BEGAN_S),
        updated_at=updated,
        page_id=page_id,
    )


def _id(*key: str) -> str:
    """Twelve characters, as theirs are."""
    number = int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:12], "big")
    drawn = []
    for _ in range(12):
        number, rest = divmod(number, len(_ALPHABET))
        drawn.append(_ALPHABET[rest])
    return "".join(drawn)
