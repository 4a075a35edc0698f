"""The scenario file as a whole: providers, routes, system, workload, faults, expectations.

`Scenario` is what the loader makes and the planner, the testbed and conduct read. What is under `expect:` is
validated by each check's own parameter model, so a new check needs no change here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, create_model

from harness.checks import CHECKS
from harness.checks.own import PREFIX
from harness.checks.units import NS_PER_S
from harness.providers import presets
from harness.providers.preset import Preset
from harness.scenario.faults import Fault
from harness.scenario.mail import Mail
from harness.scenario.operator import OperatorStep
from harness.scenario.own import OwnCheck
from harness.scenario.part import Length, Line, Name, Part
from harness.scenario.providers import Provider, Route
from harness.scenario.system import CONTAINED, System
from harness.scenario.targets import SYSTEM, is_way_back, parts
from harness.scenario.workload import TRANSACTIONAL, Stream


class Baseline(Part):
    """The time before the first fault, in which the system must prove healthy."""

    for_: Annotated[Length, Field(alias="for")] = 10 * NS_PER_S
    """How long."""
    stream: Name | None = None
    """Whose messages it uses; by default those of the first transactional stream."""


class Drain(Part):
    """The time after the last message and fault, until nothing moves any more."""

    deadline: Length
    """How long the system may take at most."""


class Expect(Part):
    """The expectations; the model that is used has a field for each check, and `own` after them."""

    if TYPE_CHECKING:
        own: dict[str, OwnCheck] | None


@cache
def expect_model() -> type[Expect]:
    """`expect:` with the parameters of every check there is."""
    fields: dict[str, Any] = {
        name: (
            Annotated[check.params, Field(description=check.summary)] | None,
            None,
        )
        for name, check in CHECKS.items()
    }
    own = Annotated[dict[Name, OwnCheck], Field(min_length=1)]
    about = Field(description="Checks of your own, by names that you give them.")
    return create_model("Expect", __base__=Expect, **fields, own=(Annotated[own, about] | None, None))


class _Scenario(Part):
    scenario: Name
    """Its name, as in the names of run folders."""
    summary: Line
    """What it shows, in a sentence."""
    seed: Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)] = 0
    """Chooses tokens, random arrivals and shares."""
    requires: Literal["containers"] | None = None
    """The least testbed that will do."""
    baseline: Baseline = Baseline.model_validate({})
    """The time before the first fault."""
    providers: Annotated[dict[Name, Provider], Field(min_length=1)]
    """The services that take the mail."""
    routes: Annotated[dict[Name, Route], Field(min_length=1)]
    """The paths to them, the usual one first."""
    mail: Mail | None = None
    """Who the mail is from, for the check `authentication`."""
    system: System
    """The system under test."""
    workload: Annotated[tuple[Stream, ...], Field(min_length=1)]
    """The messages."""
    faults: tuple[Fault, ...] = ()
    """What is broken, and when."""
    operator: tuple[OperatorStep, ...] = ()
    """What an operator does, and when."""
    drain: Drain
    """How long the system may take to settle."""
    variants: Annotated[dict[Name, dict[str, Any]], Field(exclude=True)] = Field(default_factory=dict)
    """Several runs from one file: for each, what differs, by paths as in `--set`."""

    _path: Path = PrivateAttr(default=Path())
    _source_text: str = PrivateAttr(default="")
    _overrides: tuple[str, ...] = PrivateAttr(default=())

    @property
    def path(self) -> Path:
        """The scenario file; relative paths in it are relative to its folder."""
        return self._path

    @property
    def source_text(self) -> str:
        """The file as it was given, without overrides."""
        return self._source_text

    @property
    def overrides(self) -> tuple[str, ...]:
        """The `--set` texts, in order."""
        return self._overrides

    @property
    def least_testbed(self) -> Literal["containers"] | None:
        """The least testbed that will do: what the file says, or what it needs without saying so."""
        claims = any(route.as_ for route in self.routes.values())
        return "containers" if claims or self.system.kind in CONTAINED else self.requires

    @property
    def storm_ns(self) -> int:
        """End of the last stream, fault or operator's action, counted from the end of the baseline."""
        ends = [stream.at + stream.length_ns for stream in self.workload]
        return max(ends + [fault.end_ns for fault in self.faults] + [step.at for step in self.operator])

    @property
    def baseline_stream(self) -> Stream:
        """The stream whose messages the baseline uses."""
        if self.baseline.stream is not None:
            return next(s for s in self.workload if s.stream == self.baseline.stream)
        transactional = (s for s in self.workload if s.class_ == TRANSACTIONAL)
        return next(transactional, self.workload[0])

    @property
    def mail_routes(self) -> tuple[str, ...]:
        """The routes by which mail can go, the usual one first."""
        return tuple(name for name in self.routes if self.preset(name).carries_mail)

    def preset(self, route: str) -> Preset:
        """What the provider that a route leads to looks and fails like."""
        return presets.load(self.providers[self.routes[route].provider].fake)

    def breaks_a_route(self, fault: Fault) -> bool:
        """Whether mail needs what a fault is on, on its way to a provider, and is worse off by it."""
        return fault.harms_route and not is_way_back(fault.on) and parts(fault.on)[0] in self.mail_routes

    def is_aside(self, fault: Fault) -> bool:
        """Whether no mail is held up by a fault, so that nothing is measured from it."""
        return fault.on != SYSTEM and not self.breaks_a_route(fault)

    def signal_route(self, name: str) -> str | None:
        """The route a signal speaks of: what it says, or the usual one for `detected`."""
        said = self.system.signals[name].route
        return self.mail_routes[0] if said is None and name == "detected" else said

    def expectations(self) -> list[tuple[str, BaseModel]]:
        """(check, parameters) of what the file expects, in the order of the checks; those of its own last."""
        there = [(name, getattr(self.expect, name)) for name in CHECKS]
        own = [(f"{PREFIX}{name}", check.recorded()) for name, check in (self.expect.own or {}).items()]
        return [(name, params) for name, params in there if params is not None] + own

    def resolved(self) -> dict[str, Any]:
        """With every default written out, as JSON; loads again to an equal scenario."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    if TYPE_CHECKING:
        expect: Expect


if TYPE_CHECKING:

    class Scenario(_Scenario):
        """A scenario file that makes sense."""

else:
    Scenario = create_model(
        "Scenario",
        __base__=_Scenario,
        __module__=__name__,
        __doc__="A scenario file that makes sense.",
        expect=(expect_model(), Field(description="What must hold; each entry decides the outcome.")),
    )
