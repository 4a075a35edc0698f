"""What an Atlassian Statuspage shows at one moment: its indicator, its components, its incidents.

Built from the incidents that faults of type `status` announce; names and their order are those of the public
API's own examples. One component stands for the service: it is as bad as the worst incident.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from harness.providers.faults import Announced

IMPACTS = ("minor", "major", "critical")  # from the least to the worst
_DESCRIPTIONS = {
    "none": "All Systems Operational",
    "minor": "Partially Degraded Service",
    "major": "Partial System Outage",
    "critical": "Major Service Outage",
}
_COMPONENT_STATUS = {
    "none": "operational",
    "minor": "degraded_performance",
    "major": "partial_outage",
    "critical": "major_outage",
}
_TITLE = "Delays in mail delivery"
_BEGAN_S = 1_577_836_800.0  # 2020: when page and component were made
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
    scheduled_maintenances: tuple[Incident, ...] = ()

    @property
    def unresolved(self) -> tuple[Incident, ...]:
        return tuple(each for each in self.incidents if each.resolved_at is None)


def view(announced: Sequence[Announced], host: str) -> View:
    """`host` is where the page was asked for."""
    latest = sorted(announced, key=lambda each: each.since_s, reverse=True)
    now = [each.status for each in latest if each.until_s is None]
    worst = max(now, key=IMPACTS.index, default="none")
    page_id = _id("page", host)
    updated = _at(max((each.updated_s for each in latest), default=_BEGAN_S))
    component = Component(
        id=_id("component", host),
        name="Mail Sending",
        status=_COMPONENT_STATUS[worst],
        created_at=_at(_BEGAN_S),
        updated_at=updated,
        page_id=page_id,
    )
    return View(
        page=Page(page_id, "Mail Service", f"https://{host}", "Etc/UTC", updated),
        status=Status(worst, _DESCRIPTIONS[worst]),
        components=(component,),
        incidents=tuple(_incident(each, page_id, component) for each in latest),
    )


def _incident(told: Announced, page_id: str, component: Component) -> Incident:
    incident_id = _id("incident", told.id, str(told.since_s))
    began = _at(told.since_s)
    steps = [("investigating", "We are currently investigating this issue.", began)]
    if told.until_s is not None:
        steps.insert(0, ("resolved", "This incident has been resolved.", _at(told.until_s)))
    updates = tuple(
        Update(
            id=_id("update", incident_id, status),
            status=status,
            body=body,
            incident_id=incident_id,
            created_at=at,
            updated_at=at,
            display_at=at,
        )
        for status, body, at in steps
    )
    return Incident(
        id=incident_id,
        name=told.title or _TITLE,
        status=steps[0][0],
        created_at=began,
        updated_at=_at(told.updated_s),
        resolved_at=None if told.until_s is None else _at(told.until_s),
        impact=told.status,
        shortlink=f"https://stspg.io/{incident_id}",
        started_at=began,
        page_id=page_id,
        incident_updates=updates,
        components=(component,),
    )


def _id(*key: str) -> str:
    """Twelve characters, as theirs are."""
    number = int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:12], "big")
    drawn = []
    for _ in range(12):
        number, rest = divmod(number, len(_ALPHABET))
        drawn.append(_ALPHABET[rest])
    return "".join(drawn)


def _at(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
