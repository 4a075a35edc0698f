"""What a scenario refers to must exist: routes, providers, streams, classes, and what a provider can do.

Works on the data as written, so that it reports also what a broken neighbour would hide.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from harness.checks import CHECKS
from harness.checks.routes import named_routes
from harness.checks.units import parse_rate
from harness.scenario.document import Document, Path, lookup
from harness.scenario.errors import Problem, nearest, shown
from harness.scenario.explain import explain
from harness.scenario.fault_references import fault_problems
from harness.scenario.hosts import route_host
from harness.scenario.mail_references import mail_problems
from harness.scenario.operator import RELEASING
from harness.scenario.providers import FAKES, preset_behind, preset_of
from harness.scenario.targets import EVENTS, SYSTEM
from harness.scenario.tellable import tellable
from harness.scenario.templates import endpoint_variable
from harness.scenario.workload import COMMON_CLASSES
from harness.scenario.written import classes, entries, names, names_at, unknown

# Where expectations name a class of mail: the check, and the key.
_OF_A_CLASS = (
    ("waves", "class"),
    ("pause", "class"),
    ("approval", "class"),
    ("priority", "first"),
    ("priority", "then"),
    ("fallback", "class"),
)


def reference_problems(document: Document) -> list[Problem]:
    """Whatever refers to something that is not there or cannot be done."""
    return [
        *_routes(document),
        *_mail_can_go(document),
        *_claims(document),
        *_limits(document),
        *_streams(document),
        *fault_problems(document),
        *_operator(document),
        *_signals(document),
        *tellable(document),
        *_events(document),
        *_expectations(document),
        *mail_problems(document),
    ]


def _routes(document: Document) -> Iterator[Problem]:
    providers, taken = names(document, "providers"), dict[str, str]()
    for route in names(document, "routes"):
        if route == SYSTEM:
            message = f"a route cannot be called `{SYSTEM}`; `on: {SYSTEM}` means the system under test"
            yield document.problem(("routes", route), message, at_key=True)
        provider = lookup(document.data, ("routes", route, "provider"))
        if isinstance(provider, str) and provider not in providers:
            yield unknown(document, ("routes", route, "provider"), "provider", provider, providers)
        yield from _listening(document, route, taken)
        yield from _account(document, route)


def _account(document: Document, route: str) -> Iterator[Problem]:
    """One account can serve two routes only where both lead to the same kind of provider."""
    path: Path = ("routes", route, "account_of")
    other, routes = lookup(document.data, path), names(document, "routes")
    if not isinstance(other, str):
        return
    if other not in routes:
        yield unknown(document, path, "route", other, routes)
    elif other == route:
        yield document.problem(
            path, f"{shown(route)} has an account of its own already", advice="Leave it out."
        )
    elif lookup(document.data, ("routes", other, "account_of")) is not None:
        yield document.problem(path, f"{shown(other)} has no account of its own")
    elif (ours := preset_behind(document, route)) != preset_behind(document, other) and ours is not None:
        yield document.problem(path, f"{shown(other)} leads to another kind of provider, with other accounts")


def _mail_can_go(document: Document) -> Iterator[Problem]:
    """A run needs a route that takes mail; who carries none is no place to measure it."""
    found = {route: preset_behind(document, route) for route in names(document, "routes")}
    without = [route for route, preset in found.items() if preset is not None and not preset.carries_mail]
    if without and len(without) == len(found):
        message = "none of these routes leads to a provider that takes mail"
        yield document.problem(("routes",), message, at_key=True, advice="Add a route to one that does.")
    throttle = lookup(document.data, ("expect", "throttle"))
    for route in without:
        if isinstance(throttle, dict) and route in throttle:
            message = f"no mail goes by {shown(route)}, so there is nothing to count"
            yield document.problem(("expect", "throttle", route), message, at_key=True)


def _listening(document: Document, route: str, taken: dict[str, str]) -> Iterator[Problem]:
    """Two routes cannot listen at one address; a system that runs already must know where each of them is."""
    path = ("routes", route, "listen")
    listen = lookup(document.data, path)
    if isinstance(listen, str):
        if listen in taken:
            yield document.problem(path, f"route {shown(taken[listen])} listens there already")
        taken.setdefault(listen, route)
    external = lookup(document.data, ("system", "external")) is not None
    told_nothing = external and not lookup(document.data, ("system", "setup"))
    preset = preset_behind(document, route)
    if told_nothing and preset is not None and preset.endpoints:
        variables = ", ".join(
            f"{{{{ routes.{route}.{endpoint_variable(each)} }}}}" for each in preset.endpoints
        )
        yield document.problem(
            ("routes", route),
            f"the system is `external`, so nothing tells it where this route's {variables} is",
            at_key=True,
            advice="Tell it in `setup`.",
        )
    elif told_nothing and listen is None:
        yield document.problem(
            ("routes", route),
            "the system is `external`, so nothing tells it where this route is",
            at_key=True,
            advice="Give the route a fixed address, such as `listen: 127.0.0.1:2525`, and configure the "
            "system with it; or tell the system in `setup`.",
        )


def _claims(document: Document) -> Iterator[Problem]:
    """A real host name leads to one route, and only inside the networks of a run with containers."""
    system = lookup(document.data, ("system",))
    outside = isinstance(system, dict) and not system.keys() & {"container", "compose"}
    claimed: dict[str, str] = {}
    called: dict[str, str] = {}
    for route in names(document, "routes"):
        if (other := called.setdefault(route_host(route), route)) != route:
            message = f"a host cannot tell {shown(route)} from {shown(other)}"
            advice = "Give one of them a name that differs in more than its case, `-` and `_`."
            yield document.problem(("routes", route), message, at_key=True, advice=advice)
        path: Path = ("routes", route, "as")
        hosts = lookup(document.data, path)
        if not isinstance(hosts, list) or not hosts:
            continue
        if outside:
            yield document.problem(
                path,
                "only a system in a container can be led to a proxy by the provider's own host name",
                at_key=True,
                advice=f"Give it {{{{ routes.{route}.url }}}}, or run it by `container` or `compose`.",
            )
            continue
        for index, host in enumerate(hosts):
            if not isinstance(host, str):
                continue
            other = claimed.setdefault(host.lower(), route)
            if other != route or host.lower() in [str(each).lower() for each in hosts[:index]]:
                message = f"{shown(host)} already leads to route {shown(other)}"
                yield document.problem((*path, index), message, advice="Name each host once.")


def _limits(document: Document) -> Iterator[Problem]:
    for name in names(document, "providers"):
        path: Path = ("providers", name, "limits")
        fake, limits = lookup(document.data, ("providers", name, "fake")), lookup(document.data, path)
        if fake not in FAKES or not isinstance(limits, dict) or not limits:
            continue
        preset = preset_of(fake)
        if preset is None:
            advice = "Leave `limits` out, or use `fake: smtp`."
            yield document.problem(path, "Mailpit has no limits that can be set", at_key=True, advice=advice)
            continue
        numbers = {}
        for key, value in limits.items():
            try:
                # Only a rate has a unit: `messages_per_minute: 1200/min` would silently become 20.
                numbers[key] = parse_rate(value) if key == "rate" else value
            except ValueError as error:
                yield document.problem((*path, key), str(error))
                numbers[key] = 1.0  # so that the rest is judged without it
        try:
            preset.limits.model_validate(numbers)
        except ValidationError as error:
            yield from explain(document, error, preset.limits, path)


def _streams(document: Document) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, stream in entries(document, "workload"):
        name, class_ = stream.get("stream"), stream.get("class")
        if isinstance(name, str):
            if name in first:
                message = f"there are two streams called {shown(name)}"
                yield document.problem(
                    ("workload", index, "stream"), message, advice="Give each its own name."
                )
            first.setdefault(name, index)
        if isinstance(class_, str) and class_ not in COMMON_CLASSES:
            meant = nearest(class_, COMMON_CLASSES)
            if meant and abs(len(meant) - len(class_)) <= 2 and class_[:2].lower() == meant[:2]:
                message = f"{shown(class_)} looks like a misspelling of a class that means something here"
                yield document.problem(("workload", index, "class"), message, meant=meant)
    stream = lookup(document.data, ("baseline", "stream"))
    if isinstance(stream, str) and stream not in first:
        yield unknown(document, ("baseline", "stream"), "stream", stream, first)


def _events(document: Document) -> Iterator[Problem]:
    """Events come from providers of the scenario, and only from fakes that post them."""
    providers = names(document, "providers")
    for name in names_at(document, ("system", EVENTS)):
        path: Path = ("system", EVENTS, name)
        fake = lookup(document.data, ("providers", name, "fake"))
        if name not in providers:
            yield unknown(document, path, "provider", name, providers, at_key=True)
        elif fake in FAKES:
            preset = preset_of(fake)
            if preset is None or preset.events is None:
                post = [each for each in FAKES if (found := preset_of(each)) is not None and found.events]
                message = f"`{fake}` posts no events; these fakes do: {', '.join(post)}"
                yield document.problem(path, message, at_key=True)


def _operator(document: Document) -> Iterator[Problem]:
    actions = lookup(document.data, ("system", "operator"))
    known = tuple(actions) if isinstance(actions, dict) else ()
    for index, step in entries(document, "operator"):
        class_ = step.get("class")
        if isinstance(class_, str) and classes(document) and class_ not in classes(document):
            yield unknown(document, ("operator", index, "class"), "class", class_, classes(document))
        action, path = step.get("action"), ("operator", index, "action")
        if not isinstance(action, str) or action in known:
            continue
        if known:
            yield unknown(document, path, "action", action, known)
        else:
            yield document.problem(
                path,
                f"how {shown(action)} is done is not said",
                advice=f'For example `operator: {{{action}: {{http: "POST /{action}"}}}}` under `system`.',
            )
    for name in known:
        meant = nearest(name, RELEASING)
        if name not in RELEASING and meant and isinstance(name, str) and abs(len(meant) - len(name)) <= 2:
            message = f"{shown(name)} looks like a misspelling of an action that means something here"
            yield document.problem(("system", "operator", name), message, at_key=True, meant=meant)


def _signals(document: Document) -> Iterator[Problem]:
    routes = names(document, "routes")
    signals = lookup(document.data, ("system", "signals"))
    for name in signals if isinstance(signals, dict) else ():
        path: Path = ("system", "signals", name, "route")
        route = lookup(document.data, path)
        if isinstance(route, str) and route not in routes:
            yield unknown(document, path, "route", route, routes)


def _expectations(document: Document) -> Iterator[Problem]:
    routes, known = names(document, "routes"), classes(document)
    expect = lookup(document.data, ("expect",))
    if expect == {}:
        message = "nothing is expected, so nothing could be decided"
        yield document.problem(
            ("expect",), message, advice="For example `duplicates: none`, `delivered: all`."
        )
    for check in CHECKS:
        for named in named_routes(check, lookup(document.data, ("expect", check))):
            if named.route not in routes:
                at: Path = ("expect", check, named.at)
                yield unknown(document, at, "route", named.route, routes, at_key=named.is_key)
    for check, key in _OF_A_CLASS:
        # The short form names the class alone.
        short = isinstance(lookup(document.data, ("expect", check)), str) and check in ("pause", "approval")
        path: Path = ("expect", check) if short else ("expect", check, key)
        class_ = lookup(document.data, path)
        if isinstance(class_, str) and known and class_ not in known:
            yield unknown(document, path, "class", class_, known)
