"""Statuspage's management API, api.statuspage.io/v1, by which the owner of a page posts incidents on it.

Paths, fields, states, the header and the limits (names of 255 characters, texts of 25,000, one request a
second) are those of Atlassian's API document, as libraries made of it have them; a body is JSON or a form,
and paths may end in `.json`. From memory are the texts of all errors, that a wrong incident is a 422, and
what an incident without a status or an impact begins with.

What differs from the real one: any page id is the route's one page. Incidents that faults announce are
somebody else's: the page shows them, and they are neither listed nor changed here. Components are not read,
and an incident without `impact_override` has the impact `none`. Nothing is deleted, no time of a scheduled
maintenance is kept, and subscribers, metrics and templates are not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.accounts import Accounts
from harness.providers.http.answers import phrase
from harness.providers.http.api import in_ns, media_type, retry_after
from harness.providers.http.board import Entry, Posted
from harness.providers.http.limits import RateLimit
from harness.providers.http.messages import Answer, HttpRequest, HttpRoute, Operation
from harness.providers.preset import ApiRequest
from harness.providers.presets import _statuspage_page as pages
from harness.providers.wire import Account

ENDPOINT = "manage"
REAL_HOST = "api.statuspage.io"
OWN_LIMIT = "requests"
MAX_BODY_BYTES = 1024 * 1024
PAGE = "/v1/pages/{page_id}"
INCIDENTS = f"{PAGE}/incidents"
_ROUTES = (
    ("GET", PAGE),
    ("GET", INCIDENTS),
    ("POST", INCIDENTS),
    ("GET", f"{INCIDENTS}.json"),
    ("POST", f"{INCIDENTS}.json"),
    ("GET", f"{INCIDENTS}/unresolved"),
    ("GET", f"{INCIDENTS}/{{incident_id}}"),
    ("PATCH", f"{INCIDENTS}/{{incident_id}}"),
    ("PUT", f"{INCIDENTS}/{{incident_id}}"),
)
_JSON = (("Content-Type", "application/json; charset=utf-8"),)
_GOING_ON = ("investigating", "identified", "monitoring")
_OVER = ("resolved", "completed")
_STATES = (*_GOING_ON, "resolved", *pages.PLANNED)
_IMPACTS = ("none", pages.MAINTENANCE, *pages.IMPACTS)
_LONGEST_NAME, _LONGEST_BODY = 255, 25_000
_MOST_ENTRIES = 100  # of one incident, the latest
_MOST_LISTED = 100
_FORM = "application/x-www-form-urlencoded"
_FORM_FIELD = re.compile(r"incident\[(\w+)\]")


class _Managed(pages.Incident, frozen=True, kw_only=True):
    """What its owner sees of an incident, and nobody else."""

    impact_override: str | None
    metadata: dict[str, Any]
    postmortem_body: str | None = None
    scheduled_for: str | None = None
    scheduled_until: str | None = None


class _Given(msgspec.Struct, frozen=True):
    """What a request says of an incident; None is nothing."""

    name: str | None = None
    status: str | None = None
    impact_override: str | None = None
    body: str | None = None


def routes(per_s: float, burst: int) -> tuple[HttpRoute, ...]:
    limit = RateLimit(name=OWN_LIMIT, rate_per_s=per_s, burst=burst)
    return tuple(
        HttpRoute(
            method=method,
            path=path,
            operation=Operation.QUERY,
            endpoint=ENDPOINT,
            limits=(limit,),
            counted_as=ENDPOINT,
        )
        for method, path in _ROUTES
    )


def error(status: int, said: str | list[str], retry_after_s: float | None = None) -> Answer:
    return Answer(
        status=status,
        result=ReceiptResult.DEFERRED,
        text="; ".join(said) if isinstance(said, list) else said,
        body=msgspec.json.encode({"error": said}),
        headers=(*_JSON, *retry_after(retry_after_s)),
        retry_after_ns=in_ns(retry_after_s),
    )


UNAUTHORIZED = error(401, "Could not authenticate")
NOT_FOUND = error(404, "Not found")
NAMED = {
    "manage-could-not-authenticate": UNAUTHORIZED,
    "manage-rate-limited": error(420, "Rate limit exceeded"),
    "manage-internal-error": error(500, "Internal server error"),
}


def plain(status: int, text: str | None, retry_after_s: float | None) -> Answer:
    return error(status, text or phrase(status), retry_after_s)


def is_asked(request: HttpRequest) -> bool:
    """Whether a path is of this endpoint, and not of the public page."""
    return request.path.startswith("/v1/")


def caller(request: HttpRequest, accounts: Accounts) -> Account | None:
    scheme, _, key = request.header("authorization").strip().partition(" ")
    if scheme.lower() == "oauth" and key.strip():
        return accounts.of_secret(key.strip())
    return accounts.of_secret(_asked(request, "api_key"))


def canary_request(account: Account) -> ApiRequest:
    """A look at the page, which announces nothing."""
    headers = {"Authorization": f"OAuth {account.secret}"}
    return ApiRequest(method="GET", path=PAGE.format(page_id="y2j98763l56x"), headers=headers)


def answer(request: HttpRequest) -> Answer:
    page_id, *rest = unquote(request.path).removesuffix(".json").split("/")[3:]
    match request.method, rest:
        case "GET", []:
            return _ok(_page(request, page_id))
        case "GET", ["incidents"]:
            return _listed(request, page_id, request.posted)
        case "GET", ["incidents", "unresolved"]:
            return _listed(request, page_id, [each for each in request.posted if each.going_on])
        case "POST", ["incidents"]:
            return _created(request, page_id)
        case _:
            return _one(request, page_id, rest[-1])


def _created(request: HttpRequest, page_id: str) -> Answer:
    given = _read(request, new=True)
    if isinstance(given, Answer):
        return given
    last = request.posted[-1].id if request.posted else ""
    status = given.status or "investigating"
    entry = Entry(status=status, body=given.body or "", at_s=request.now_s)
    new = Posted(
        id=pages.incident_id("posted", last, str(request.now_s)),
        name=given.name or "",
        status=status,
        impact="none",
        impact_override=None,
        going_on=False,
        since_s=request.now_s,
        updated_s=request.now_s,
        entries=(entry,),
    )
    return _posted(_as_given(new, given, request.now_s), page_id, 201)


def _one(request: HttpRequest, page_id: str, incident_id: str) -> Answer:
    """An incident shown, or changed."""
    there = next((each for each in request.posted if each.id == incident_id), None)
    if there is None:
        return NOT_FOUND
    if request.method == "GET":
        return _ok(_managed(there, page_id))
    given = _read(request, new=False)
    if isinstance(given, Answer):
        return given
    if given.status is not None or given.body is not None:
        entry = Entry(status=given.status or there.status, body=given.body or "", at_s=request.now_s)
        there = msgspec.structs.replace(there, entries=(entry, *there.entries[: _MOST_ENTRIES - 1]))
    return _posted(_as_given(there, given, request.now_s), page_id, 200)


def _as_given(there: Posted, given: _Given, now_s: float) -> Posted:
    status = given.status or there.status
    override = given.impact_override or there.impact_override
    return msgspec.structs.replace(
        there,
        name=there.name if given.name is None else given.name,
        status=status,
        impact=override or there.impact,
        impact_override=override,
        going_on=status in _GOING_ON,
        updated_s=now_s,
        monitoring_s=now_s if given.status == "monitoring" else there.monitoring_s,
        until_s=(there.until_s or now_s) if status in _OVER else None,
    )


def _read(request: HttpRequest, *, new: bool) -> _Given | Answer:
    """What is given of an incident, or what is wrong with it."""
    content = _form(request) if media_type(request) == _FORM else _decoded(request.body)
    if not isinstance(content, dict):
        return error(400, "The request body is not valid JSON")
    incident = content.get("incident")
    if not isinstance(incident, dict):
        return error(422, ["incident is missing"])
    try:
        given = msgspec.convert(incident, _Given)
    except msgspec.ValidationError:
        wrong = [each for each in _Given.__struct_fields__ if not isinstance(incident.get(each), str | None)]
        return error(422, [f"incident[{each}] is invalid" for each in wrong])
    wrong = list(_wrong(given, new=new))
    return error(422, wrong) if wrong else given


def _wrong(given: _Given, *, new: bool) -> list[str]:
    name = given.name
    said = {
        "Name can't be blank": (new and name is None) or (name is not None and not name.strip()),
        f"Name is too long (maximum is {_LONGEST_NAME} characters)": len(name or "") > _LONGEST_NAME,
        "Status is not included in the list": given.status not in (None, *_STATES),
        "Impact override is not included in the list": given.impact_override not in (None, *_IMPACTS),
        f"Body is too long (maximum is {_LONGEST_BODY} characters)": len(given.body or "") > _LONGEST_BODY,
    }
    return [text for text, is_wrong in said.items() if is_wrong]


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _form(request: HttpRequest) -> dict[str, dict[str, str]]:
    try:
        fields = parse_qs(request.body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:  # not UTF-8, or no form that anybody means
        return {}
    found = {match[1]: fields[name][-1] for name in fields if (match := _FORM_FIELD.fullmatch(name))}
    return {"incident": found} if found else {}


def _listed(request: HttpRequest, page_id: str, incidents: Sequence[Posted]) -> Answer:
    """The latest first, a page of the list at a time; unresolved ones call its length otherwise."""
    length = _number(request, "limit") or _number(request, "per_page") or _MOST_LISTED
    length = min(length, _MOST_LISTED)
    before = ((_number(request, "page") or 1) - 1) * length
    return _ok([_managed(each, page_id) for each in list(reversed(incidents))[before : before + length]])


def _number(request: HttpRequest, name: str) -> int | None:
    """One that is above 0; None for anything else."""
    text = _asked(request, name) or ""
    return int(text) or None if re.fullmatch(r"[0-9]{1,9}", text) else None


def _asked(request: HttpRequest, name: str) -> str | None:
    try:
        return parse_qs(request.query, max_num_fields=100).get(name, [None])[-1]
    except ValueError:  # too many of them
        return None


def _page(request: HttpRequest, page_id: str) -> Mapping[str, object]:
    host = request.header("host") or REAL_HOST
    seen = pages.view((), request.posted, host).page
    return {
        "id": page_id,
        "created_at": pages.at(pages.BEGAN_S),
        "updated_at": seen.updated_at,
        "name": seen.name,
        "page_description": None,
        "headline": None,
        "branding": "basic",
        "subdomain": None,
        "domain": None,
        "url": None,
        "support_url": None,
        "hidden_from_search": False,
        "time_zone": seen.time_zone,
    }


def _posted(posted: Posted, page_id: str, status: int) -> Answer:
    return msgspec.structs.replace(_ok(_managed(posted, page_id)), status=status, posted=posted)


def _managed(posted: Posted, page_id: str) -> _Managed:
    public = msgspec.structs.asdict(pages.incident(posted, page_id))
    return _Managed(**public, impact_override=posted.impact_override, metadata={})


def _ok(content: object) -> Answer:
    return Answer(
        status=200,
        result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded
        body=msgspec.json.encode(content),
        headers=_JSON,
    )
