"""What `mail` of a scenario and its routes refers to, and what `authentication` needs to be judged at all."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from harness.scenario.document import Document, Path, lookup
from harness.scenario.errors import Problem, shown
from harness.scenario.mail import Published, Signer, usual_selector
from harness.scenario.providers import FAKES, preset_behind
from harness.scenario.written import classes, names, unknown

LIBRARIES = ("authheaders", "dkim", "dns", "spf")
"""Modules of the extra `auth`."""
_EXPECTED: Path = ("expect", "authentication")


def mail_problems(document: Document) -> Iterator[Problem]:
    mail, expected = lookup(document.data, ("mail",)), lookup(document.data, _EXPECTED)
    if expected is not None and mail is None:
        message = "`authentication` needs to know whose mail it is, and the scenario has no `mail`"
        advice = "Add `mail: {domain: shop.example}`."
        yield document.problem(_EXPECTED, message, at_key=True, advice=advice)
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing and mail is not None:
        message = f"signing and verifying mail needs libraries that are not here ({', '.join(missing)})"
        advice = "Say `pip install 'mail-failover-harness[auth]'`."
        yield document.problem(("mail",), message, at_key=True, advice=advice)
    for route in names(document, "routes"):
        if isinstance(lookup(document.data, ("routes", route, "mail")), dict):
            yield from _of_route(document, route, mail is not None)
    if mail is not None:
        yield from _one_name_two_keys(document, lookup(document.data, ("mail", "domain")))
    if isinstance(expected, dict):
        yield from _one_click(document, expected.get("one_click"))


def _of_route(document: Document, route: str, has_mail: bool) -> Iterator[Problem]:
    path: Path = ("routes", route, "mail")
    routes = names(document, "routes")
    if not has_mail:
        message = "says who signs on this route, and the scenario has no `mail`, which says whose mail it is"
        advice = "Add `mail: {domain: shop.example}` beside `routes`."
        yield document.problem(path, message, at_key=True, advice=advice)
    provider = lookup(document.data, ("routes", route, "provider"))
    fake = lookup(document.data, ("providers", provider, "fake")) if isinstance(provider, str) else None
    preset = preset_behind(document, route)
    if fake in FAKES and preset is not None and preset.outgoing is None:
        message = f"what becomes of mail that `{fake}` takes is not known, so nothing of it can be signed"
        yield document.problem(path, message, at_key=True, advice="Leave it out.")
    other = lookup(document.data, (*path, "key_of"))
    if isinstance(other, str) and other not in routes:
        yield unknown(document, (*path, "key_of"), "route", other, routes)
    elif other == route:
        message = f"{shown(route)} has a key of its own already"
        yield document.problem((*path, "key_of"), message, advice="Leave it out.")


def _one_name_two_keys(document: Document, usual_domain: object) -> Iterator[Problem]:
    """A zone has one key under a name; who signs with another one would fail for no fault of his own."""
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for route in names(document, "routes"):
        preset = preset_behind(document, route)
        found = lookup(document.data, ("routes", route, "mail"))
        said = found if isinstance(found, dict) else {}
        publishes = said.get("sign") != Signer.NOBODY and said.get("published") != Published.MISSING
        if preset is None or preset.outgoing is None or not publishes:
            continue
        selector = str(said.get("selector") or usual_selector(route))
        name = (selector, str(said.get("domain") or usual_domain).lower())
        key = str(said.get("key_of") or route)
        first, its_key = seen.setdefault(name, (route, key))
        if its_key != key:
            path: Path = ("routes", route, "mail", "selector") if "selector" in said else ("routes", route)
            message = f"has the selector {shown(selector)} as {shown(first)} has, and another key"
            yield document.problem(
                path, message, at_key=True, advice="Give each route a selector of its own."
            )


def _one_click(document: Document, wanted: object) -> Iterator[Problem]:
    known = classes(document)
    for index, class_ in enumerate(wanted if isinstance(wanted, list) else [wanted]):
        if isinstance(class_, str) and known and class_ not in known:
            path: Path = (*_EXPECTED, "one_click")
            at = (*path, index) if isinstance(wanted, list) else path
            yield unknown(document, at, "class", class_, known)
