"""The workload: streams of messages with a class, an arrival process and a latency objective.

A stream is `rate` + `for` (a steady flow), `count` (all at once at `at`), `count` + `for` (spread evenly), or
`rate` + `count` (that many, at that rate).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.checks.units import NS_PER_S, Rate
from harness.scenario.part import Address, Count, Length, Name, Part, Time, wrong

TRANSACTIONAL = "transactional"
COMMON_CLASSES = (TRANSACTIONAL, "marketing", "notification", "digest")
MOST_MESSAGES = 1_000_000


class Pool(Part):
    """Repeated addresses instead of one for each message."""

    pool: Annotated[tuple[Address, ...], Field(min_length=1)]
    """The addresses; each message goes to one of them."""


class Stream(Part):
    """One kind of mail."""

    stream: Name
    """Its name; `--set workload.<name>.…` addresses it."""
    class_: Annotated[Name, Field(alias="class")]
    """What kind of mail: transactional, marketing, … Transactional mail needs `within`."""
    rate: Rate | None = None
    """How many messages in a second, minute or hour, for example `5/s`."""
    for_: Annotated[Length | None, Field(alias="for")] = None
    """How long the stream lasts."""
    count: Count | None = None
    """How many messages: all at once at `at`, or spread over `for`."""
    at: Time = 0
    """When the stream begins, counted from the end of the baseline."""
    within: Length | None = None
    """The latency objective: a message later than this is overdue."""
    expires: Length | None = None
    """How long after its scheduled time a message is worthless."""
    recipients: Pool | None = None
    """A pool of repeated addresses; by default each message has an address of its own."""
    arrivals: Literal["constant", "poisson"] = "constant"
    """Evenly spaced, or at random (seeded) times."""

    @model_validator(mode="after")
    def _is_a_flow(self) -> Stream:
        if self.rate is None and self.count is None:
            raise wrong(
                "a stream needs `rate` and `for`, or `count`",
                advice="For example `rate: 5/s, for: 45s`, or `count: 100, at: 12s`.",
            )
        if self.rate is not None and self.rate <= 0:
            raise wrong("a rate of nothing sends nothing", key="rate", advice="Leave the stream out instead.")
        if self.rate is not None and self.for_ is None and self.count is None:
            raise wrong("`rate` needs `for` (or `count`), else the stream has no end", key="rate")
        if self.rate is not None and self.for_ is not None and self.count is not None:
            raise wrong(
                "`rate`, `for` and `count` together say it twice",
                key="count",
                advice="Keep two of them: `rate` and `for`, `count` and `for`, or `rate` and `count`.",
            )
        if self.arrivals == "poisson" and self.rate is None and self.for_ is None:
            raise wrong(
                "random arrivals need time to arrive in, and this stream comes all at once",
                key="arrivals",
                advice="Add `for`, or leave `arrivals` out.",
            )
        if self.class_ == TRANSACTIONAL and self.within is None:
            raise wrong(
                "a transactional stream needs `within`, the time after which a message is overdue",
                advice="For example `within: 1s`; impact and MTTR are measured by it.",
            )
        return self

    @property
    def exact_rate(self) -> Fraction | None:
        """Messages per second as people meant it: 7/min is seven in a minute, not 0.11666… a second."""
        return None if self.rate is None else Fraction(self.rate).limit_denominator(3_600_000)

    @property
    def length_ns(self) -> int:
        """From the first possible message to the end of the stream."""
        if self.for_ is not None:
            return self.for_
        if self.exact_rate and self.count:
            return int(self.count * NS_PER_S / self.exact_rate)
        return 0

    @property
    def expected_count(self) -> int:
        """How many messages the stream makes; on average where arrivals are at random."""
        if self.count is not None:
            return self.count
        if self.exact_rate is None or self.for_ is None:
            return 0
        exact = self.exact_rate * self.for_ / NS_PER_S
        return -(-exact.numerator // exact.denominator)
