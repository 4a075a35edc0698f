"""The service health feed of Microsoft 365, GET /admin/serviceAnnouncement/issues: its incidents.

Each fault of type `status` is one issue; one that was taken away is restored. The forms are those of the
documentation's example.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec

from harness.providers.faults import Announced
from harness.providers.http.messages import HttpRequest

STATUSES = (
    "investigating",
    "serviceDegradation",
    "serviceInterruption",
    "restoringService",
    "extendedRecovery",
    "verifyingService",
    "serviceRestored",
    "falsePositive",
    "postIncidentReviewPublished",
)
_OVER = frozenset({"serviceRestored", "falsePositive", "postIncidentReviewPublished"})
_TITLE = "Some users may be unable to send or receive email"
_ONLY = re.compile(r"isResolved eq (true|false)", re.IGNORECASE)


class _Text(msgspec.Struct, frozen=True):
    contentType: str
    content: str


class _Post(msgspec.Struct, frozen=True):
    createdDateTime: str
    postType: str
    description: _Text


class _Issue(msgspec.Struct, frozen=True, kw_only=True):
    """The names and their order are those of the wire."""

    startDateTime: str
    endDateTime: str | None
    lastModifiedDateTime: str
    title: str
    id: str
    impactDescription: str
    classification: str = "incident"
    origin: str = "microsoft"
    status: str
    service: str = "Exchange Online"
    feature: str = "E-Mail and calendar access"
    featureGroup: str = "Access"
    isResolved: bool
    highImpact: bool | None = None
    details: tuple[str, ...] = ()
    posts: tuple[_Post, ...]


class _Feed(msgspec.Struct, frozen=True):
    context: str = msgspec.field(name="@odata.context")
    value: list[_Issue]


def feed(request: HttpRequest) -> bytes:
    """The JSON; of filters it knows the one that monitors use, `isResolved eq false` (or true)."""
    issues = [_issue(each) for each in _latest_first(request.announced)]
    only = _ONLY.fullmatch(parse_qs(request.query).get("$filter", [""])[0].strip())
    if only is not None:
        issues = [each for each in issues if each.isResolved is (only[1].lower() == "true")]
    context = "https://graph.microsoft.com/v1.0/$metadata#admin/serviceAnnouncement/issues"
    return msgspec.json.encode(_Feed(context, issues))


def _latest_first(announced: Sequence[Announced]) -> list[Announced]:
    return sorted(announced, key=lambda each: each.since_s, reverse=True)


def _issue(told: Announced) -> _Issue:
    over = told.until_s is not None or told.status in _OVER
    status = told.status if told.until_s is None else "serviceRestored"
    title = told.title or _TITLE
    number = int.from_bytes(hashlib.sha256(f"{told.id}/{told.since_s}".encode()).digest()[:4], "big")
    return _Issue(
        startDateTime=_at(told.since_s),
        endDateTime=_at(told.updated_s) if over else None,
        lastModifiedDateTime=_at(told.updated_s),
        title=title,
        id=f"EX{1_000_000 + number % 9_000_000}",
        impactDescription=title,
        status=status,
        isResolved=over,
        posts=(_Post(_at(told.updated_s), "regular", _Text("html", f"Title: {title}<br>Status: {status}")),),
    )


def _at(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
