"""What a provider says of itself: its status page or health feed tells of an incident, true or not, in time
or late. No request is touched by it; `refuse` on the same route makes the page itself unavailable.
"""

from __future__ import annotations

from typing import Any, Literal

from harness.scenario.faults.base import ActsIn, LastingFault
from harness.scenario.part import Line, Name


class Status(LastingFault):
    """The status page or the health feed tells of an incident, and of its end when the fault is over."""

    acts_in = ActsIn.PROVIDER
    harms_route = False
    examples = (
        "{at: 5s, for: 9s, on: page, fault: status, named: major}",
        '{at: 5s, for: 9s, on: page, fault: status, named: minor, text: "Delays in mail flow"}',
        "{at: 5s, for: 9s, on: graph, fault: status, named: serviceDegradation}",
    )
    fault: Literal["status"]
    named: Name
    """What it says, in the provider's own word, such as `major` or `serviceDegradation`."""
    text: Line | None = None
    """The incident's title."""

    def attributes(self) -> dict[str, Any]:
        return {"named": self.named} | ({} if self.text is None else {"text": self.text})
