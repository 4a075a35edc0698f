"""What a scenario refers to must exist: routes, providers, streams, classes, and what a provider can do.

Works on the data as written, so that it reports also what a broken neighbour would hide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from harness.checks.units import parse_rate, parse_share
from harness.providers import presets
from harness.providers.errors import FaultRefused
from harness.providers.wire import ProviderFault
from harness.scenario.document import Document, Path, lookup
from harness.scenario.errors import Problem, nearest, shown
from harness.scenario.explain import explain
from harness.scenario.faults import KINDS, ActsIn, FaultBase, Partition
from harness.scenario.hosts import route_host
from harness.scenario.operator import RELEASING
from harness.scenario.providers import FAKES, MAILPIT, preset_behind, preset_of
from harness.scenario.targets import EVENTS, SYSTEM, parts, target_of
from harness.scenario.tellable import tellable
from harness.scenario.templates import endpoint_variable
from harness.scenario.workload import COMMON_CLASSES


def reference_problems(document: Document) -> list[Problem]:
    """Whatever refers to something that is not there or cannot be done."""
    return [
        *_routes(document),
        *_mail_can_go(document),
        *_claims(document),
        *_limits(document),
        *_streams(document),
        *_faults(document),
        *_operator(document),
        *_signals(document),
        *tellable(document),
        *_events(document),
        *_expectations(document),
    ]


def _names(document: Document, key: str) -> tuple[str, ...]:
    return _names_at(document, (key,))


def _names_at(document: Document, path: Path) -> tuple[str, ...]:
    found = lookup(document.data, path)
    return tuple(found) if isinstance(found, dict) else ()


def _entries(document: Document, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    found = lookup(document.data, (key,))
    for index, entry in enumerate(found if isinstance(found, list) else []):
        if isinstance(entry, dict):
            yield index, entry


def _unknown(
    document: Document, path: Path, what: str, name: str, valid: Iterable[str], *, at_key: bool = False
) -> Problem:
    choices = tuple(valid)
    message = f"there is no {what} {shown(name)}"
    return document.problem(path, message, at_key=at_key, meant=nearest(name, choices), choices=choices)


def _routes(document: Document) -> Iterator[Problem]:
    providers, taken = _names(document, "providers"), dict[str, str]()
    for route in _names(document, "routes"):
        if route == SYSTEM:
            message = f"a route cannot be called `{SYSTEM}`; `on: {SYSTEM}` means the system under test"
            yield document.problem(("routes", route), message, at_key=True)
        provider = lookup(document.data, ("routes", route, "provider"))
        if isinstance(provider, str) and provider not in providers:
            yield _unknown(document, ("routes", route, "provider"), "provider", provider, providers)
        yield from _listening(document, route, taken)


def _mail_can_go(document: Document) -> Iterator[Problem]:
    """A run needs a route that takes mail; who carries none is no place to measure it."""
    found = {route: preset_behind(document, route) for route in _names(document, "routes")}
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
    for route in _names(document, "routes"):
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
    for name in _names(document, "providers"):
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
    for index, stream in _entries(document, "workload"):
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
        yield _unknown(document, ("baseline", "stream"), "stream", stream, first)


def _classes(document: Document) -> tuple[str, ...]:
    found = [stream.get("class") for _, stream in _entries(document, "workload")]
    return tuple(dict.fromkeys(each for each in found if isinstance(each, str)))


def _faults(document: Document) -> Iterator[Problem]:
    routes, classes = _names(document, "routes"), _classes(document)
    for index, fault in _entries(document, "faults"):
        kind, on = fault.get("fault"), fault.get("on")
        model = KINDS.get(kind) if isinstance(kind, str) else None
        class_ = fault.get("class")
        if isinstance(class_, str) and classes and class_ not in classes:
            yield _unknown(document, ("faults", index, "class"), "class", class_, classes)
        if not isinstance(on, str):
            continue
        route, endpoint = parts(on)
        if on != SYSTEM and route not in routes:
            yield _unknown(document, ("faults", index, "on"), "route", route, (*routes, SYSTEM))
        elif endpoint:
            yield from _beside(document, index, fault, model)
        elif model is not None and (on == SYSTEM) != (model.acts_in is ActsIn.SYSTEM):
            right = (SYSTEM,) if on != SYSTEM else routes
            message = f"`{kind}` cannot act on {shown(on)}"
            yield document.problem(("faults", index, "on"), message, choices=right)
        elif model is not None and on != SYSTEM:
            yield from _supported(document, index, fault, on, model.acts_in)
        elif model is not None and lookup(document.data, ("system", "external")) is not None:
            yield document.problem(
                ("faults", index, "fault"),
                f"`{kind}` cannot act on a system that is `external`: the harness only speaks to it",
                advice="Break a route instead, or let the harness run the system: `process` or `container`.",
            )
        elif model is Partition and lookup(document.data, ("system", "process")) is not None:
            yield document.problem(
                ("faults", index, "fault"),
                "a process on this machine has no network of its own that it could be cut off from",
                advice="Run it as a `container`, or give each route a `blackhole`.",
            )


def _beside(
    document: Document, index: int, fault: dict[str, Any], model: type[FaultBase] | None
) -> Iterator[Problem]:
    """Whether an endpoint beside a route is there, and can have this fault."""
    on, path = fault["on"], ("faults", index, "on")
    route, endpoint = parts(on)
    preset = preset_behind(document, route)
    if endpoint == EVENTS:
        yield from _way_back(document, index, on, model)
    elif preset is None:
        return  # what its provider is will be told elsewhere
    elif endpoint not in preset.endpoints:
        there = tuple(target_of(route, each) for each in (*preset.endpoints, EVENTS))
        yield _unknown(document, path, "endpoint", on, there)
    elif model is not None and model.acts_in is ActsIn.SYSTEM:
        message = f"`{fault['fault']}` cannot act on {shown(on)}"
        yield document.problem(path, message, choices=(SYSTEM,))
    elif model is not None and model.acts_in is ActsIn.PROVIDER:
        yield from _placeable(document, index, fault, preset.name, endpoint)


def _way_back(document: Document, index: int, on: str, model: type[FaultBase] | None) -> Iterator[Problem]:
    """Whether events come back by a route, and the network that they come by can have this fault."""
    route, path = parts(on)[0], ("faults", index, "on")
    provider = lookup(document.data, ("routes", route, "provider"))
    if isinstance(provider, str) and provider not in _names_at(document, ("system", EVENTS)):
        message = f"no events come back by {shown(route)}: nothing says where `{provider}` posts them"
        advice = f'Add `events: {{{provider}: "POST /events/{provider}"}}` under `system`.'
        yield document.problem(path, message, advice=advice)
    if model is not None and model.acts_in is not ActsIn.PROXY:
        works = tuple(name for name, each in KINDS.items() if each.acts_in is ActsIn.PROXY)
        yield document.problem(
            ("faults", index, "fault"), f"{shown(on)} can only have a fault of the network", choices=works
        )


def _events(document: Document) -> Iterator[Problem]:
    """Events come from providers of the scenario, and only from fakes that post them."""
    providers = _names(document, "providers")
    for name in _names_at(document, ("system", EVENTS)):
        path: Path = ("system", EVENTS, name)
        fake = lookup(document.data, ("providers", name, "fake"))
        if name not in providers:
            yield _unknown(document, path, "provider", name, providers, at_key=True)
        elif fake in FAKES:
            preset = preset_of(fake)
            if preset is None or preset.events is None:
                post = [each for each in FAKES if (found := preset_of(each)) is not None and found.events]
                message = f"`{fake}` posts no events; these fakes do: {', '.join(post)}"
                yield document.problem(path, message, at_key=True)


def _supported(
    document: Document, index: int, fault: dict[str, Any], route: str, acts_in: ActsIn
) -> Iterator[Problem]:
    """Whether the provider behind a route can play a fault."""
    provider = lookup(document.data, ("routes", route, "provider"))
    fake = lookup(document.data, ("providers", provider, "fake")) if isinstance(provider, str) else None
    if fake not in FAKES or acts_in is ActsIn.PROXY:
        return
    kind = fault["fault"]
    if fake == MAILPIT:
        works = tuple(name for name, model in KINDS.items() if model.acts_in is ActsIn.PROXY)
        yield document.problem(
            ("faults", index, "fault"),
            f"`{kind}` acts inside a provider, and `{provider}` is Mailpit, which cannot play it",
            choices=works,
            advice="Use a fault of the network, or `fake: smtp` in place of Mailpit.",
        )
        return
    if acts_in is ActsIn.UPSTREAM and not presets.load(fake).carries_mail:
        message = f"`{kind}` refuses logins, and {fake} asks nobody for one"
        yield document.problem(("faults", index, "fault"), message)
    if acts_in is ActsIn.PROVIDER:
        yield from _placeable(document, index, fault, fake)


def _placeable(
    document: Document, index: int, fault: dict[str, Any], fake: str, endpoint: str = ""
) -> Iterator[Problem]:
    """Ask the preset itself, if the types of the attributes are right; else they are reported elsewhere."""
    code, text, named = fault.get("code"), fault.get("text"), fault.get("named")
    preset = preset_of(fake)
    if preset is None:
        return
    if isinstance(named, str) and named not in preset.answers:
        answers = tuple(sorted(preset.answers))
        yield document.problem(
            ("faults", index, "named"),
            f"{fake} has no answer called {shown(named)}",
            meant=nearest(named, answers),
            choices=answers,
        )
        return
    if fault["fault"] == "refuse" and (code is None) == (named is None):
        return
    if not all(isinstance(v, t) or v is None for v, t in ((code, int), (text, str), (named, str))):
        return
    try:
        share = parse_share(fault["share"]) if "share" in fault else 1.0
    except ValueError:
        return
    try:
        preset.place_fault(
            ProviderFault(
                id="f",
                type=fault["fault"],
                code=code,
                text=text,
                named=named,
                share=share,
                endpoint=endpoint,
            )
        )
    except FaultRefused as refused:
        key = "code" if code is not None else "fault"
        yield document.problem(("faults", index, key), str(refused))


def _operator(document: Document) -> Iterator[Problem]:
    actions = lookup(document.data, ("system", "operator"))
    known = tuple(actions) if isinstance(actions, dict) else ()
    for index, step in _entries(document, "operator"):
        action, path = step.get("action"), ("operator", index, "action")
        if not isinstance(action, str) or action in known:
            continue
        if known:
            yield _unknown(document, path, "action", action, known)
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
    routes = _names(document, "routes")
    signals = lookup(document.data, ("system", "signals"))
    for name in signals if isinstance(signals, dict) else ():
        path: Path = ("system", "signals", name, "route")
        route = lookup(document.data, path)
        if isinstance(route, str) and route not in routes:
            yield _unknown(document, path, "route", route, routes)


def _expectations(document: Document) -> Iterator[Problem]:
    routes, classes = _names(document, "routes"), _classes(document)
    expect = lookup(document.data, ("expect",))
    if expect == {}:
        message = "nothing is expected, so nothing could be decided"
        yield document.problem(
            ("expect",), message, advice="For example `duplicates: none`, `delivered: all`."
        )
    throttle = lookup(document.data, ("expect", "throttle"))
    for route in throttle if isinstance(throttle, dict) else ():
        if route not in routes:
            yield _unknown(document, ("expect", "throttle", route), "route", route, routes, at_key=True)
    class_ = lookup(document.data, ("expect", "waves", "class"))
    if isinstance(class_, str) and classes and class_ not in classes:
        yield _unknown(document, ("expect", "waves", "class"), "class", class_, classes)
