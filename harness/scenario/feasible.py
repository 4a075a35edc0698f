"""Expectations that a scenario's own numbers make impossible, each refused with the arithmetic.

A run that cannot pass says nothing about the system. Each rule is a function from a scenario to problems and
refuses only what is certain: where a clever system might still manage, the run decides. That a workload never
meets a fault is not refused here: the run says so, as inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from harness.checks.units import NS_PER_S
from harness.scenario import judgeable
from harness.scenario.capacity import Capacity, capacity_of
from harness.scenario.document import Document
from harness.scenario.errors import Problem
from harness.scenario.faults import FaultBase, Selective
from harness.scenario.models import Scenario
from harness.scenario.overlaps import overlapping
from harness.scenario.overlaps import seconds as _s
from harness.scenario.workload import MOST_MESSAGES, TRANSACTIONAL, Stream

_BREAKING = ("outage", "blackhole", "auth-failure")
_BREAKING_IF_WHOLE = ("refuse", "hang", "disconnect")


def infeasible(scenario: Scenario, document: Document) -> list[Problem]:
    """Every expectation that cannot be met, whatever the system does."""
    return [problem for rule in _RULES for problem in rule(scenario, document)]


def _too_many(scenario: Scenario, document: Document) -> Iterator[Problem]:
    count = sum(stream.expected_count for stream in scenario.workload)
    if count > MOST_MESSAGES:
        message = f"the streams make {count:,} messages, and a run takes at most {MOST_MESSAGES:,}"
        yield document.problem(("workload",), message, at_key=True)


def _quiescence(scenario: Scenario, document: Document) -> Iterator[Problem]:
    deadline, retry = scenario.drain.deadline, scenario.system.longest_retry
    if deadline < 2 * retry:
        yield document.problem(
            ("drain", "deadline"),
            f"quiescence is 2 × longest_retry = {_s(2 * retry)} without a receipt, "
            f"and the drain ends after {_s(deadline)}",
            advice=f"Allow at least {_s(2 * retry)}.",
        )


def _nothing_to_time(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """MTTD, MTTM and MTTR need a fault, a way to see it, and a target that the clock can resolve."""
    mttd, mttm, mttr = (_expected(scenario, name) for name in ("mttd", "mttm", "mttr"))
    on_routes = [fault for fault in scenario.faults if scenario.breaks_a_route(fault)]
    on_mail = [fault for fault in scenario.faults if not scenario.is_aside(fault)]
    for name, params in (("mttd", mttd), ("mttm", mttm), ("mttr", mttr)):
        if params is not None and not scenario.faults:
            message = f"`{name}` is measured from a fault, and the scenario has none"
            yield document.problem(("expect", name), message, at_key=True, advice="Add one under `faults`.")
        if params is not None and getattr(params, "target", ...) is None:
            message = f"`{name}` has no target, so nothing could be decided"
            yield document.problem(("expect", name), message, at_key=True, advice=f"Write `{name}: 10s`.")
    for name, params, until in (("mttd", mttd, "is noticed"), ("mttm", mttm, "is switched away from")):
        if params is not None and scenario.faults and not on_routes:
            where = "on `system`" if on_mail else "where no mail depends on it"
            message = (
                f"`{name}` is the time until the fault of a route {until}, and every fault here is {where}"
            )
            yield document.problem(("expect", name), message, at_key=True)
    if mttm is not None and len(scenario.mail_routes) < 2:
        message = "`mttm` is the time until mail takes another route, and there is only one that takes mail"
        yield document.problem(("expect", "mttm"), message, at_key=True, advice="Add a route, or use `mttr`.")
    if mttr is not None and scenario.faults and not on_mail:
        message = "`mttr` is the time until mail is well again, and no mail depends on what is broken here"
        yield document.problem(("expect", "mttr"), message, at_key=True)
    every = [s.every_ns for name, s in scenario.system.signals.items() if name == "detected"]
    target = getattr(mttd, "target", None)
    if every and isinstance(target, int) and target <= max(every):
        yield document.problem(
            ("expect", "mttd"),
            f"detection is read every {_s(max(every))}, so {_s(target)} can never be shown to be met",
            advice="Poll oftener: `every` of the signal `detected`.",
        )
    if not any(stream.class_ == TRANSACTIONAL for stream in scenario.workload):
        for name, params, what in (
            ("mttm", mttm, "is told by the route of transactional messages"),
            ("mttr", mttr, "ends when no transactional message is overdue"),
        ):
            if params is not None:
                message = f"`{name}` {what}, and there is no transactional stream"
                yield document.problem(("expect", name), message, at_key=True)


def _waves(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """The last wave must leave before the drain ends."""
    params = _expected(scenario, "waves")
    breaking = [fault for fault in scenario.faults if scenario.breaks_a_route(fault)]
    off = max((fault.end_ns for fault in breaking), default=None)
    share, every = getattr(params, "share", None), getattr(params, "every", None)
    if params is None or off is None or not share or not every:
        return
    class_ = getattr(params, "class_", None)
    began = min(fault.at for fault in breaking)
    waiting = sum(
        stream.expected_count
        for stream in scenario.workload
        if class_ in (None, stream.class_)
        and stream.class_ != TRANSACTIONAL
        and stream.rate is None
        and began <= stream.at
        and stream.at + stream.length_ns + NS_PER_S <= off
    )
    if not waiting:
        return
    portion = max(1, math.ceil(share * waiting))
    waves = math.ceil(waiting / portion)
    needed, there_is = (waves - 1) * every, scenario.storm_ns + scenario.drain.deadline - off
    if needed > there_is:
        yield document.problem(
            ("expect", "waves"),
            f"{waiting} messages that wait for the end of the fault make {waves} waves of {portion}, which "
            f"take ({waves} - 1) × {_s(every)} = {_s(needed)}; from then to the drain's deadline are "
            f"{_s(there_is)}",
            advice="Allow a longer drain, a larger share, or fewer messages.",
        )


def _throttle(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """A limit below the steady flow: on the usual route always, on the others while that is broken."""
    limits = _limits_of(_expected(scenario, "throttle"))
    steady = [stream for stream in scenario.workload if stream.rate is not None and stream.for_ is not None]
    first, *others = scenario.mail_routes
    if first in limits and not others:
        rate, burst = limits[first]
        for stream in steady:
            yield from _flow(document, first, stream, rate, burst, stream.length_ns, scenario.drain.deadline)
    mttr = getattr(_expected(scenario, "mttr"), "target", None)
    transactional = [stream for stream in steady if stream.class_ == TRANSACTIONAL]
    if first in limits and others:
        rate, burst = limits[first]
        for stream in transactional:
            if not any(fault.on == first for fault in scenario.faults) or float(stream.rate or 0) > rate:
                yield from _flow(document, first, stream, rate, burst, scenario.baseline.for_, 0)
    for fault in scenario.faults:
        if fault.on != first or not _breaks(fault) or not isinstance(mttr, int) or not others:
            continue
        if any(route not in limits for route in others):
            continue
        rate, burst = sum(limits[r][0] for r in others), sum(limits[r][1] for r in others)
        for stream in transactional:
            length = min(fault.end_ns, stream.at + stream.length_ns) - max(fault.at, stream.at)
            if fault.end_ns - fault.at > mttr and length > 0:
                yield from _flow(document, others[0], stream, rate, burst, length, 0)


def _flow(
    document: Document, route: str, stream: Stream, rate: float, burst: float, length_ns: int, after_ns: int
) -> Iterator[Problem]:
    """What a stream sends in a time against what a limit lets through by its end."""
    seconds = length_ns / NS_PER_S
    per_second = float(stream.rate or 0)
    sent, may = per_second * seconds, rate * (seconds + after_ns / NS_PER_S) + burst
    if sent > may + 1:
        after = f" and {_s(after_ns)} of drain" if after_ns else ""
        yield document.problem(
            ("expect", "throttle", route),
            f"`{stream.stream}` sends {_n(per_second)}/s × {_s(length_ns)} = {_n(sent)} messages "
            f"by this route, and in {_s(length_ns)}{after} the limit lets {_n(rate)}/s and a burst of "
            f"{_n(burst)} through, that is {_n(may)}",
            at_key=True,
            advice="Raise the limit, or lower the stream's rate.",
        )


def _carried(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """All providers together must be able to take all the mail before the drain ends."""
    if _expected(scenario, "delivered") is None:
        return
    capacities = {name: capacity_of(provider) for name, provider in scenario.providers.items()}
    used = [
        capacities[name]
        for name in dict.fromkeys(scenario.routes[route].provider for route in scenario.mail_routes)
    ]
    if any(capacity is None for capacity in used):
        return
    known = [capacity for capacity in used if capacity is not None]
    count = sum(stream.expected_count for stream in scenario.workload)
    begin = min(stream.at for stream in scenario.workload)
    length = scenario.storm_ns + scenario.drain.deadline - begin
    most = sum(capacity.within(length) for capacity in known)
    if count > most:
        yield document.problem(
            ("expect", "delivered"),
            f"the streams make {count:,} messages, and before the drain's deadline, in {_s(length)}, the "
            f"providers take at most {' + '.join(each.words(length) for each in known)} = {_n(most)}",
            at_key=True,
            advice="Raise `limits`, allow a longer drain, or send less.",
        )


def _baseline(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """The usual route must carry the baseline in time, or the storm is never entered."""
    first = scenario.routes[scenario.mail_routes[0]]
    capacity: Capacity | None = capacity_of(scenario.providers[first.provider])
    rate, length = scenario.baseline_stream.exact_rate, scenario.baseline.for_
    if capacity is None or rate is None:
        return
    count, most = math.ceil(float(rate) * length / NS_PER_S), capacity.within(length)
    if count > most:
        yield document.problem(
            ("providers", first.provider),
            f"the baseline sends {count} messages in {_s(length)}, and this provider takes at most "
            f"{capacity.words(length)} = {_n(most)} in that time",
            advice="Raise `limits`, or lower the stream's rate.",
        )


def _holds(scenario: Scenario, document: Document) -> Iterator[Problem]:
    params = _expected(scenario, "delivered")
    usual = type(params).model_fields["held_at_most"].default if params is not None else None
    if params is not None and params.held_at_most != usual and scenario.system.states is None:
        yield document.problem(
            ("expect", "delivered"),
            "`held_at_most` counts messages that the system holds back, and nothing tells which these are",
            at_key=True,
            advice="Add `states` under `system`.",
        )


def _breaks(fault: FaultBase) -> bool:
    """Whether nothing at all gets through to the provider's acceptance."""
    return fault.kind in _BREAKING or (
        isinstance(fault, Selective) and fault.kind in _BREAKING_IF_WHOLE and fault.hits_all
    )


def _expected(scenario: Scenario, check: str) -> Any:
    return getattr(scenario.expect, check, None)


def _limits_of(throttle: Any) -> dict[str, tuple[float, float]]:
    """Rate and burst for each route; whatever else the parameters hold is left alone."""
    routes = getattr(throttle, "root", None) or getattr(throttle, "routes", None) or {}
    return {
        name: (float(limit.rate), float(getattr(limit, "burst", 0) or 0))
        for name, limit in routes.items()
        if getattr(limit, "rate", None)
    }


def _n(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0")


_RULES: tuple[Callable[[Scenario, Document], Iterator[Problem]], ...] = (
    _too_many,
    _quiescence,
    _nothing_to_time,
    _waves,
    _throttle,
    _carried,
    _baseline,
    _holds,
    judgeable.priority,
    judgeable.pause,
    judgeable.approval,
    judgeable.false_alarm,
    overlapping,
)
