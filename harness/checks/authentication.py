"""Authentication: each copy passes DKIM, SPF and DMARC for its route, and routes share no key or credential.

A copy is judged as the server of its receiver would: the message as it left the provider, its return path and
the address it came from, against the run's own `dns.zone`; no other DNS is asked. DKIM passes with one valid
signature, DMARC where DKIM or SPF passes for the domain in From. ARC is judged where `arc` asks for it, and
one-click unsubscribe (RFC 8058) for the classes of `one_click`. Besides, two routes must not sign with one
key, no key be published under two selectors, and no two routes log in with one secret: what is revoked or
stolen on one of them would take the other along.

It proves what the messages, the zone and the accounts of this run are worth, not what stands in a real DNS,
nor how much a receiver trusts the domain. Inconclusive: no copies, or none of a class that `one_click` names;
a run whose folder is not there or has no zone or no mail in it; copies whose message was not kept (such as
those of Mailpit); libraries that are not installed; a fault that the system never met; records missing. About
0.4 ms for each copy, one after the other: signatures are no matter for SQL.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, count_of, grounds, listed
from harness.checks.params import CheckParams
from harness.history.store import History

if TYPE_CHECKING:
    from harness.checks.mail.sent import Copy
    from harness.checks.mail.verify import Verified

INSTALL = "pip install 'mail-failover-harness[auth]'"
PASS = "pass"
_MOST_PLACES = 20

Classes = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A class of mail, or several."""


class Params(CheckParams):
    """`authentication: all`, or what is asked of each copy: `{dmarc: aligned, one_click: marketing}`."""

    WORDS: ClassVar = {"all": {}}

    dkim: Literal["pass", "any"] = "pass"
    """Whether a valid signature is needed."""
    spf: Literal["pass", "any"] = "pass"
    """Whether the return path's domain must allow the address that the mail comes from."""
    dmarc: Literal["aligned", "any"] = "aligned"
    """Whether DKIM or SPF must pass for the domain in From."""
    arc: bool = False
    """Whether a valid ARC chain is needed."""
    one_click: Classes = ()
    """Classes of mail that one can unsubscribe from with one click (RFC 8058)."""


@dataclass
class _Tally:
    """What was seen so far."""

    params: Params
    routes: Counter[str] = field(default_factory=Counter)
    """How many copies of each were looked at."""
    classes: set[str | None] = field(default_factory=set)
    not_kept: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    unaligned: int = 0
    """Copies that no valid signature of the author's domain is on, whatever SPF says."""
    bad_copies: int = 0
    keys: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Public key -> route -> the selector that it was used by."""
    offenders: list[Offender] = field(default_factory=list)

    @property
    def looked_at(self) -> int:
        return self.routes.total()

    @property
    def unseen_classes(self) -> list[str]:
        """Of those that one must be able to unsubscribe from."""
        return [name for name in self.params.one_click if name not in self.classes]

    def see(self, copy: Copy, verified: Verified) -> None:
        self.routes[copy.route] += 1
        self.classes.add(copy.class_)
        found = list(_complaints(self.params, copy, verified))
        self.wrong.update(cause for cause, _ in found)
        self.unaligned += not verified.aligned
        for each in verified.aligned:
            self.keys[each.key].setdefault(copy.route, f"{each.selector}._domainkey.{each.domain}")
        if not found:
            return
        self.bad_copies += 1
        # A few of each cause: a thousand copies with one fault must not hide the one with another.
        cause = found[0][0]
        if sum(1 for each in self.offenders if each.cause == cause) < MAX_OFFENDERS:
            why = f"on {copy.route}: " + "; ".join(text for _, text in found)
            self.offenders.append(Offender(token=copy.token, recipient=copy.recipient, why=why, cause=cause))


def evaluate(history: History, run: str, params: Params) -> Finding:
    secrets = list(_shared_secrets(history.run_started(run).credentials))
    folder = history.folder(run)
    if folder is None:
        return _finding(
            history, run, _Tally(params), secrets, "mail and zone lie beside a history; open the run's folder"
        )
    try:
        tally, keys = _read(history, run, folder, params)
    except ImportError as error:
        reason = f"a library to verify mail with is not here ({error.name}); say `{INSTALL}`"
        return _finding(history, run, _Tally(params), secrets, reason)
    except (OSError, ValueError) as error:
        reason = f"the run kept no mail that can be judged: {error}"
        return _finding(history, run, _Tally(params), secrets, reason)
    return _finding(history, run, tally, [*keys, *secrets], "there are no copies of mail")


def _read(history: History, run: str, folder: Path, params: Params) -> tuple[_Tally, list[Offender]]:
    """Raises ImportError, OSError, ValueError."""
    from harness.checks.mail.sent import ZONE, copies
    from harness.checks.mail.verify import Verifier
    from harness.checks.mail.zone import Zone

    zone = Zone.read(folder / ZONE)
    verifier = Verifier(zone)
    tally = _Tally(params)
    for copy in copies(history, run, folder):
        if copy.message is None:
            tally.not_kept[copy.route] += 1
        else:
            tally.see(copy, verifier.verify(copy.message, copy.mail_from, copy.egress, copy.wall_s))
    return tally, list(_shared_keys(tally.keys, list(zone.keys())))


def _complaints(params: Params, copy: Copy, verified: Verified) -> Iterator[tuple[str, str]]:
    """(cause, what is wrong in words) of one copy."""
    asked = (
        ("dkim", params.dkim == "pass", verified.dkim),
        ("spf", params.spf == "pass", verified.spf),
        ("dmarc", params.dmarc == "aligned", verified.dmarc),
        ("arc", params.arc, verified.arc),
        ("one-click", copy.class_ in params.one_click, verified.one_click),
    )
    for cause, is_asked, said in asked:
        if is_asked and said != PASS:
            yield cause, f"{cause}: {said}"


def _shared_keys(used: dict[str, dict[str, str]], published: list[tuple[str, str]]) -> Iterator[Offender]:
    """One for each key that two routes sign with, or that is published twice."""
    names = defaultdict(list)
    for name, key in sorted(published):
        if key:
            names[key].append(name)
    for key in dict.fromkeys([*used, *names]):
        routes, places = sorted(used.get(key, {})), names[key][:_MOST_PLACES]
        if len(routes) > 1:
            why = f"{listed(routes)} sign with one key, {listed(sorted(set(used[key].values())))}"
        elif len(places) > 1:
            why = f"one key is published as {listed(places)}"
        else:
            continue
        yield Offender(subject=listed(routes if len(routes) > 1 else places), why=why, cause="shared key")


def _shared_secrets(fingerprints: dict[str, str]) -> Iterator[Offender]:
    """One for each secret that several routes log in with."""
    by_secret = defaultdict(list)
    for route, fingerprint in sorted(fingerprints.items()):
        by_secret[fingerprint].append(route)
    for routes in by_secret.values():
        if len(routes) > 1:
            yield Offender(
                subject=listed(routes),
                why=f"{listed(routes)} log in with one secret: revoked on one, it is gone on the other",
                cause="shared credential",
            )


def _finding(history: History, run: str, tally: _Tally, shared: list[Offender], nothing: str) -> Finding:
    asked = dict(_asked(tally.params))
    not_kept = sum(tally.not_kept.values())
    kept_reason = (
        f"{count_of(not_kept, 'copy', 'copies')} on {listed(sorted(tally.not_kept))} cannot be judged, since "
        f"{'its message was' if not_kept == 1 else 'their messages were'} not kept"
        if not_kept
        else ""
    )
    ground = grounds(history, run)
    unseen = f"there is no copy of {listed(tally.unseen_classes)} mail" if tally.unseen_classes else ""
    verdict, reason = conclude(
        failed=bool(tally.bad_copies or shared),
        counted=tally.looked_at,
        nothing=kept_reason or nothing,
        doubts=[kept_reason, unseen, ground.exposure_reason(), ground.gap_reason()],
    )
    return Finding(
        check="authentication",
        verdict=verdict,
        summary=_summary(tally, shared),
        numbers={
            "copies": tally.looked_at,
            "not_kept": not_kept,
            "without_aligned_signature": tally.unaligned,
            **{
                f"{cause.replace('-', '_')}_failed": tally.wrong[cause] if cause in asked else None
                for cause in _CAUSES
            },
            "shared_keys": sum(1 for each in shared if each.cause == "shared key"),
            "shared_credentials": sum(1 for each in shared if each.cause == "shared credential"),
        },
        formula="each copy passes " + ", ".join(asked.values()) + "; no key or secret serves two routes",
        error="none: signatures and records either verify or do not",
        counted=tally.looked_at,
        offenders=_worst(shared, tally.offenders),
        reason=reason,
    )


_CAUSES = ("dkim", "spf", "dmarc", "arc", "one-click")


def _worst(shared: list[Offender], offenders: list[Offender]) -> list[Offender]:
    """What is shared first, then a copy of each cause in turn."""
    by_cause: dict[str, list[Offender]] = defaultdict(list)
    for each in offenders:
        by_cause[each.cause].append(each)
    mixed = (each for turn in zip_longest(*by_cause.values()) for each in turn if each is not None)
    return [*shared, *mixed][:MAX_OFFENDERS]


def _summary(tally: _Tally, shared: list[Offender]) -> str:
    if tally.bad_copies:
        what = ", ".join(f"{cause} {tally.wrong[cause]}" for cause in _CAUSES if tally.wrong[cause])
        return (
            f"{tally.bad_copies} of {count_of(tally.looked_at, 'copy', 'copies')} not authenticated: {what}"
        )
    if shared:
        return f"{listed(sorted({each.cause for each in shared}))}: {shared[0].why}"
    if not tally.looked_at:
        return "no copy could be judged"
    by_route = listed([f"{count:,} by {route}" for route, count in sorted(tally.routes.items())])
    copies = count_of(tally.looked_at, "copy", "copies")
    return f"{copies} ({by_route}), each authenticated; no key or secret is shared"


def _asked(params: Params) -> Iterator[tuple[str, str]]:
    """(cause, what is asked in words)"""
    if params.dkim == "pass":
        yield "dkim", "DKIM"
    if params.spf == "pass":
        yield "spf", "SPF"
    if params.dmarc == "aligned":
        yield "dmarc", "DMARC"
    if params.arc:
        yield "arc", "ARC"
    if params.one_click:
        yield "one-click", f"one-click unsubscribe ({listed(list(params.one_click))})"
