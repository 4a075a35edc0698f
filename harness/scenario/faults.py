"""Faults: one model for each kind, with its attributes and their ranges, and where it acts.

Toxiproxy takes misspelt or out-of-range attributes as zero, so everything is checked here, before it starts.
`attributes()` is what goes into the timeline: plain numbers, times in whole milliseconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from harness.checks.units import NS_PER_MS, NS_PER_S, Share
from harness.scenario.part import Count, Length, Line, Name, Part, Time, WholeMs, wrong
from harness.scenario.targets import Target


class ActsIn(StrEnum):
    """What has to be touched to put a fault in place."""

    PROXY = "proxy"  # a toxic, or the proxy switched off
    UPSTREAM = "upstream"  # the proxy turned to the provider's rejecting listener
    PROVIDER = "provider"  # the fake itself, over its control API
    SYSTEM = "system"  # the system under test, whatever runs it


def _some(share: float) -> float:
    if share <= 0:
        raise ValueError("must be above 0%")
    return share


SomeShare = Annotated[Share, AfterValidator(_some)]


class FaultBase(Part):
    """What every fault says: when, and on what."""

    acts_in: ClassVar[ActsIn]

    at: Time
    """When it begins, counted from the end of the baseline."""
    on: Target
    """What is broken: a route, an endpoint beside it (`primary.token`, `backup.events`), or the system."""
    incident: Line | None = None
    """Faults with the same label belong to one incident; those that overlap in time do anyhow."""

    @property
    def kind(self) -> str:
        return str(getattr(self, "fault"))  # noqa: B009  each subclass narrows `fault` to its own literal

    @property
    def end_ns(self) -> int:
        """When it is over, on the scenario's clock."""
        raise NotImplementedError

    def attributes(self) -> dict[str, Any]:
        """What the injector is given."""
        return {}


class LastingFault(FaultBase):
    """A fault that is put in place and removed."""

    for_: Annotated[Length, Field(alias="for")]
    """How long it lasts."""

    @property
    def end_ns(self) -> int:
        return self.at + self.for_


class Outage(LastingFault):
    """Connections are refused, and the open ones are cut."""

    acts_in = ActsIn.PROXY
    fault: Literal["outage"]


class Blackhole(LastingFault):
    """Connections are taken and nothing ever comes through."""

    acts_in = ActsIn.PROXY
    fault: Literal["blackhole"]


class Latency(LastingFault):
    """Everything comes late, each chunk anew: an SMTP session of six round trips is six times as late."""

    acts_in = ActsIn.PROXY
    fault: Literal["latency"]
    latency: Annotated[WholeMs, AfterValidator(lambda ns: _up_to_a_minute(ns, least_ms=1))]
    """How late, for example `400ms`."""
    jitter: Annotated[WholeMs, AfterValidator(lambda ns: _up_to_a_minute(ns))] = 0
    """Give or take this much, for example `100ms`."""
    stream: Literal["downstream", "upstream"] = "downstream"
    """The provider's answers, or what is sent to it."""

    @model_validator(mode="after")
    def _never_early(self) -> Latency:
        if self.jitter > self.latency:
            raise wrong(
                "`jitter` is larger than `latency`, and nothing can come before it was sent", key="jitter"
            )
        return self

    def attributes(self) -> dict[str, Any]:
        return {
            "latency": self.latency // NS_PER_MS,
            "jitter": self.jitter // NS_PER_MS,
            "stream": self.stream,
        }


class Reset(LastingFault):
    """Connections are reset (RST) once data flows."""

    acts_in = ActsIn.PROXY
    fault: Literal["reset"]
    after: Annotated[WholeMs, AfterValidator(lambda ns: _up_to_a_minute(ns))] = 0
    """How long after the first data."""

    def attributes(self) -> dict[str, Any]:
        return {"after": self.after // NS_PER_MS}


class AuthFailure(LastingFault):
    """The provider refuses every login, with its own texts."""

    acts_in = ActsIn.UPSTREAM
    fault: Literal["auth-failure"]


class _Selective(LastingFault):
    """Hits some of the attempts: by share, each n-th, so many, one class."""

    share: SomeShare = 1.0
    """The share of attempts it hits, chosen by the seed."""
    every: Count | None = None
    """Each n-th attempt."""
    count: Count | None = None
    """At most so many attempts."""
    class_: Annotated[Name | None, Field(alias="class")] = None
    """Only messages of this class."""

    def attributes(self) -> dict[str, Any]:
        chosen = {"share": self.share, "every": self.every, "count": self.count, "class": self.class_}
        return {key: value for key, value in chosen.items() if value is not None}


class Refuse(_Selective):
    """The provider answers with an error: a code (and text), or one of its own by name."""

    acts_in = ActsIn.PROVIDER
    fault: Literal["refuse"]
    code: Annotated[int, Field(strict=True, ge=400, le=599)] | None = None
    """An SMTP or HTTP code, 400 to 599."""
    text: Line | None = None
    """What stands behind the code."""
    named: Name | None = None
    """One of the provider's own answers, such as `server-busy`."""

    @model_validator(mode="after")
    def _one_answer(self) -> Refuse:
        if self.code is None and self.named is None:
            raise wrong("`refuse` needs `code`, or `named` for one of the provider's own answers")
        if self.code is not None and self.named is not None:
            raise wrong("`code` and `named` are two answers; keep one", key="named")
        if self.text is not None and self.code is None:
            raise wrong("`text` goes with `code`; a named answer has its own", key="text")
        return self

    def attributes(self) -> dict[str, Any]:
        answer = {"code": self.code, "text": self.text, "named": self.named}
        return {key: value for key, value in answer.items() if value is not None} | super().attributes()


class AckLoss(_Selective):
    """The provider takes the message, and its answer is lost."""

    acts_in = ActsIn.PROVIDER
    fault: Literal["ack-loss"]


class Kill(FaultBase):
    """The system under test is killed (SIGKILL) and started again."""

    acts_in = ActsIn.SYSTEM
    fault: Literal["kill"]
    restart_after: Annotated[WholeMs, AfterValidator(lambda ns: _up_to_a_minute(ns, limit_ms=3_600_000))]
    """How long it stays dead."""

    @property
    def end_ns(self) -> int:
        return self.at + self.restart_after

    def attributes(self) -> dict[str, Any]:
        return {"restart_after": self.restart_after // NS_PER_MS}


class Restart(FaultBase):
    """The system under test is asked to end (SIGTERM), and started again."""

    acts_in = ActsIn.SYSTEM
    fault: Literal["restart"]
    grace: Annotated[WholeMs, AfterValidator(lambda ns: _up_to_a_minute(ns))] = 10 * NS_PER_S
    """How long it may take to end; it is killed then."""
    restart_after: Annotated[WholeMs, AfterValidator(lambda ns: _up_to_a_minute(ns, limit_ms=3_600_000))] = 0
    """How long it stays down, counted from `at`."""

    @property
    def end_ns(self) -> int:
        return self.at + self.restart_after

    def attributes(self) -> dict[str, Any]:
        return {"grace": self.grace // NS_PER_MS, "restart_after": self.restart_after // NS_PER_MS}


class Pause(LastingFault):
    """The system under test is frozen (SIGSTOP): it keeps its connections and does nothing."""

    acts_in = ActsIn.SYSTEM
    fault: Literal["pause"]


class Partition(LastingFault):
    """The system under test is cut off from every route, and reachable by its callers; needs containers."""

    acts_in = ActsIn.SYSTEM
    fault: Literal["partition"]


def _up_to_a_minute(ns: int, *, least_ms: int = 0, limit_ms: int = 60_000) -> int:
    if not least_ms * NS_PER_MS <= ns <= limit_ms * NS_PER_MS:
        raise ValueError(f"must be between {least_ms}ms and {limit_ms // 1000}s")
    return ns


Fault = Annotated[
    Outage
    | Blackhole
    | Latency
    | Reset
    | AuthFailure
    | Refuse
    | AckLoss
    | Kill
    | Restart
    | Pause
    | Partition,
    Field(discriminator="fault"),
]

KINDS: dict[str, type[FaultBase]] = {
    "outage": Outage,
    "blackhole": Blackhole,
    "latency": Latency,
    "reset": Reset,
    "auth-failure": AuthFailure,
    "refuse": Refuse,
    "ack-loss": AckLoss,
    "kill": Kill,
    "restart": Restart,
    "pause": Pause,
    "partition": Partition,
}
