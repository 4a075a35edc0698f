"""What the faults of a scenario refer to must be there, and be able to do it: routes, endpoints, classes,
tenants, and the provider behind the route, whose preset is asked.

Like references.py it works on the data as written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from harness.providers.preset import Preset
from harness.scenario.document import Document, Path, lookup
from harness.scenario.errors import Problem, nearest, shown
from harness.scenario.faults import KINDS, ActsIn, FaultBase, Partition, provider_fault
from harness.scenario.playable import (
    NAMING_NO_ANSWER,
    kinds_in,
    kinds_played,
    plays,
    refused,
    stages,
    takes_logins,
)
from harness.scenario.providers import MAILPIT, preset_behind
from harness.scenario.targets import EVENTS, SYSTEM, parts, target_of
from harness.scenario.written import classes, entries, names, names_at, unknown


def fault_problems(document: Document) -> Iterator[Problem]:
    """Whatever is wrong with where a fault is, whom it selects, and who should play it."""
    routes, known = names(document, "routes"), classes(document)
    for index, fault in entries(document, "faults"):
        kind, on = fault.get("fault"), fault.get("on")
        model = KINDS.get(kind) if isinstance(kind, str) else None
        class_ = fault.get("class")
        if isinstance(class_, str) and known and class_ not in known:
            yield unknown(document, ("faults", index, "class"), "class", class_, known)
        if not isinstance(on, str):
            continue
        route, endpoint = parts(on)
        if on != SYSTEM and route not in routes:
            yield unknown(document, ("faults", index, "on"), "route", route, (*routes, SYSTEM))
        elif endpoint and (there := _endpoints(document, route)) and endpoint not in there:
            choices = tuple(target_of(route, each) for each in there)
            yield unknown(document, ("faults", index, "on"), "endpoint", on, choices)
        elif endpoint == EVENTS:
            yield from _on_the_way_back(document, index, route, model)
        elif model is not None and (on == SYSTEM) != (model.acts_in is ActsIn.SYSTEM):
            right = (SYSTEM,) if on != SYSTEM else routes
            message = f"`{kind}` cannot act on {shown(on)}"
            yield document.problem(("faults", index, "on"), message, choices=right)
        elif model is not None and on != SYSTEM:
            yield from _on_a_route(document, index, fault, model)
        elif model is not None:
            yield from _on_the_system(document, index, model)


def _on_the_system(document: Document, index: int, model: type[FaultBase]) -> Iterator[Problem]:
    kind = lookup(document.data, ("faults", index, "fault"))
    if lookup(document.data, ("system", "external")) is not None:
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


def _endpoints(document: Document, route: str) -> tuple[str, ...]:
    """Those beside a route's own; none where it is not known what it leads to."""
    preset = preset_behind(document, route)
    return () if preset is None else (*preset.endpoints, EVENTS)


def _on_the_way_back(
    document: Document, index: int, route: str, model: type[FaultBase] | None
) -> Iterator[Problem]:
    """Events come back only where somebody is told, and there is only a network that could break."""
    provider = lookup(document.data, ("routes", route, "provider"))
    if isinstance(provider, str) and provider not in names_at(document, ("system", EVENTS)):
        message = f"no events come back by {shown(route)}: nothing says where `{provider}` posts them"
        advice = f'Add `events: {{{provider}: "POST /events/{provider}"}}` under `system`.'
        yield document.problem(("faults", index, "on"), message, advice=advice)
    if model is not None and model.acts_in is not ActsIn.PROXY:
        on = target_of(route, EVENTS)
        advice = ""
        if model.acts_in is ActsIn.PROVIDER:
            advice = f"What the provider itself does with its events is a fault on `{route}`."
        yield document.problem(
            ("faults", index, "fault"),
            f"{shown(on)} can only have a fault of the network",
            choices=kinds_in(ActsIn.PROXY),
            advice=advice,
        )


def _on_a_route(
    document: Document, index: int, fault: dict[str, Any], model: type[FaultBase]
) -> Iterator[Problem]:
    """Whether the provider behind a route can play it."""
    route, endpoint = parts(fault["on"])
    preset = preset_behind(document, route)
    if preset is None or model.acts_in is ActsIn.PROXY:
        return
    kind, provider = fault["fault"], lookup(document.data, ("routes", route, "provider"))
    if preset.name == MAILPIT:
        yield document.problem(
            ("faults", index, "fault"),
            f"`{kind}` acts inside a provider, and `{provider}` is Mailpit, which cannot play it",
            choices=kinds_in(ActsIn.PROXY),
            advice="Use a fault of the network, or `fake: smtp` in place of Mailpit.",
        )
    elif model.acts_in is ActsIn.UPSTREAM and not takes_logins(preset.name, endpoint):
        message = f"`{kind}` refuses logins, and {preset.name} asks nobody for one"
        choices = (*kinds_in(ActsIn.PROXY), *kinds_played(preset.name, endpoint))
        there = [each for each in preset.endpoints if takes_logins(preset.name, each)]
        advice = f"It asks at its endpoint `{there[0]}`." if there else ""
        yield document.problem(("faults", index, "fault"), message, choices=choices, advice=advice)
    elif model.acts_in is ActsIn.PROVIDER:
        yield from _in_a_provider(document, index, fault, model, preset)


def _in_a_provider(
    document: Document, index: int, fault: dict[str, Any], model: type[FaultBase], preset: Preset
) -> Iterator[Problem]:
    path: Path = ("faults", index)
    kind, named = fault["fault"], fault.get("named")
    _, endpoint = parts(fault["on"])
    if not plays(preset.name, kind, endpoint):
        where = f" at its endpoint `{endpoint}`" if endpoint else ""
        yield document.problem(
            (*path, "fault"),
            f"{preset.name} cannot play `{kind}`{where}",
            choices=(*kinds_in(ActsIn.PROXY, ActsIn.UPSTREAM), *kinds_played(preset.name, endpoint)),
            advice=_elsewhere(preset, kind, endpoint),
        )
        return
    if isinstance(named, str) and kind not in NAMING_NO_ANSWER and named not in preset.answers:
        answers = tuple(sorted(preset.answers))
        yield document.problem(
            (*path, "named"),
            f"{preset.name} has no answer called {shown(named)}",
            meant=nearest(named, answers),
            choices=answers,
        )
        return
    try:
        checked = model.model_validate(fault)
    except ValidationError:
        return  # told by the models themselves
    yield from _tenant(document, index, checked)
    route, _ = parts(checked.on)
    if (
        kind == "certificate"
        and preset.scheme.endswith("+http")
        and not lookup(document.data, ("routes", route, "as"))
    ):
        yield document.problem(
            (*path, "fault"),
            f"{shown(route)} speaks plain HTTP, and shows nobody a certificate",
            advice=f"It speaks HTTPS where it claims a real host: `{route}: {{…, as: [api.provider.com]}}`.",
        )
    found = refused(preset, provider_fault("f", kind, checked.on, checked.attributes()))
    if found is not None:
        key, why = found
        choices = stages(preset.name, kind, endpoint) if key == "stage" else ()
        meant = nearest(fault.get("stage"), choices) if key == "stage" else ""
        yield document.problem(
            (*path, key), f"{preset.name} cannot play this: {why}", choices=choices, meant=meant
        )


def _elsewhere(preset: Preset, kind: str, endpoint: str) -> str:
    """At which other endpoint this provider can play it."""
    others = [each for each in ("", *preset.endpoints) if each != endpoint]
    can = [each for each in others if plays(preset.name, kind, each)]
    if not can:
        return ""
    return f"It can at its endpoint `{can[0]}`." if can[0] else "It can on the route itself."


def _tenant(document: Document, index: int, fault: FaultBase) -> Iterator[Problem]:
    """A route has one account, of one tenant; a fault for another one would hit nobody."""
    tenant = getattr(fault, "tenant", None)
    route, _ = parts(fault.on)
    of_route = lookup(document.data, ("routes", route, "tenant"))
    if tenant is not None and tenant != of_route:
        whose = f"belongs to tenant {shown(of_route)}" if of_route else "belongs to no tenant"
        yield document.problem(
            ("faults", index, "tenant"),
            f"the account of {shown(route)} {whose}, so a fault for {shown(tenant)} would hit nobody",
            meant=of_route if isinstance(of_route, str) else "",
            advice="" if of_route else f"Give the route one: `{route}: {{…, tenant: {tenant}}}`.",
        )
