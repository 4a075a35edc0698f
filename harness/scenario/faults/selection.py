"""Whom a fault inside a provider hits: all attempts, or some of them, always the same with the same seed.

Of the attempts that it is about (class, tenant, recipient), `share` takes those that the seed chooses,
`every` each n-th of what is left or `nth` the n-th alone, and `count` ends it (harness.providers.faults
decides).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from harness.checks.units import NS_PER_S, Share
from harness.scenario.faults.base import LastingFault, in_ms
from harness.scenario.part import Count, Line, Name, wrong

IN_TIME = ("delay", "retry_after")
"""Attributes that are durations."""


def _some(share: float) -> float:
    if share <= 0:
        raise ValueError("must be above 0%")
    return share


SomeShare = Annotated[Share, AfterValidator(_some)]


class Selective(LastingFault):
    """Hits some of the attempts."""

    proved_within_ns: ClassVar[int] = NS_PER_S
    """How long the canary may need to meet it; until then no other one may be put into the same provider."""

    share: SomeShare = 1.0
    """The share of attempts it hits, chosen by the seed."""
    every: Count | None = None
    """Each n-th attempt."""
    nth: Count | None = None
    """The n-th attempt alone."""
    count: Count | None = None
    """At most so many attempts."""
    class_: Annotated[Name | None, Field(alias="class")] = None
    """Only messages of this class."""
    tenant: Name | None = None
    """Only the account of this tenant, as the route says it."""
    recipient: Line | None = None
    """Only recipients of this pattern, such as `*@example.net`."""

    @model_validator(mode="after")
    def _one_way_to_count(self) -> Selective:
        if self.nth is not None and (self.every is not None or self.count is not None):
            key = "every" if self.every is not None else "count"
            raise wrong(f"`nth` hits one attempt alone, so `{key}` has nothing to say", key=key)
        return self

    @property
    def hits_all(self) -> bool:
        """Whether no attempt is spared."""
        chosen = (self.every, self.nth, self.count, self.class_, self.tenant, self.recipient)
        return self.share >= 1 and chosen == (None,) * len(chosen)

    def attributes(self) -> dict[str, Any]:
        """Whatever is said beside time and place, under the names of the file."""
        own = {
            info.alias or name: in_ms(value) if name in IN_TIME else value
            for name, info in type(self).model_fields.items()
            if name not in LastingFault.model_fields
            and name != "fault"
            and (value := getattr(self, name)) is not None
        }
        return dict(sorted(own.items(), key=lambda item: item[0] in SELECTION))


SELECTION = tuple(
    info.alias or name
    for name, info in Selective.model_fields.items()
    if name not in LastingFault.model_fields
)
"""The attributes that all faults inside a provider have, as they are written."""
