"""What a made-up run looks like: how many messages, when the primary is out, which tokens are planted.

Numbers of events flow in, a `Course` for each run flows out: everything in it is arithmetic on the number of
a message, so that SQL can make any part of a history on its own, and the same seed gives the same history.
Three outages of the primary; the system notices after 2 s, sends what is urgent by the backup, and lets the
rest go in waves when the primary is back. Whatever is planted lies where nothing else goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.history.errors import HistoryError

MS = 1_000_000
S = 1_000_000_000

BASELINE_NS = 10 * S
OUTAGES = 3
POLL_NS = 250 * MS
MARKETING_EVERY = 4  # each fourth message
DEFERRED_EVERY = 64  # each of so many is deferred once
FRAME = 26  # events about no message and no signal: frame.py
FEWEST_EVENTS = 5_000  # of a run: fewer leave too few messages in an outage to prove anything
_MESSAGES_PER_S = 1_000
_SHORTEST_NS = 300 * S
WAVES = 11  # what is held in an outage leaves in rather more than ten waves, 2 s apart


class SynthesisRefused(HistoryError):
    """Such a history cannot be made; the message says why, and what to ask for."""


@dataclass(frozen=True)
class Wanted:
    """Totals over all runs."""

    events: int
    duplicates: int = 0
    lost: int = 0
    seed: int = 1
    runs: int = 1

    def of_run(self, number: int) -> Wanted:
        """The share of one run, counted from 0."""

        def share(total: int) -> int:
            return total // self.runs + (number < total % self.runs)

        return Wanted(share(self.events), share(self.duplicates), share(self.lost), self.seed, 1)


@dataclass(frozen=True)
class Course:
    """One run. Message i is scheduled at i · every_ns; outages begin first_ns + k · gap_ns."""

    run: str
    messages: int
    every_ns: int
    first_ns: int
    gap_ns: int
    outage_ns: int
    ends_ns: int
    token_base: int
    seed: int

    @property
    def span_ns(self) -> int:
        return self.messages * self.every_ns

    @property
    def polls(self) -> int:
        return self.ends_ns // POLL_NS

    @property
    def outages(self) -> list[tuple[int, int]]:
        begins = [self.first_ns + number * self.gap_ns for number in range(OUTAGES)]
        return [(begin, begin + self.outage_ns) for begin in begins]

    @property
    def per_s(self) -> float:
        """Messages a second."""
        return S / self.every_ns

    def expectations(self) -> list[dict[str, Any]]:
        """As a scenario would have them: a system that does what this one does keeps to all of them."""
        rate = f"{2 * self.per_s + 10:.0f}/s"
        burst = int(3 * self.per_s) + 20
        bucket = {"rate": rate, "burst": burst}
        return [
            {"check": "duplicates", "params": "none"},
            {"check": "delivered", "params": "all"},
            {"check": "throttle", "params": {"primary": bucket, "backup": bucket}},
            {"check": "waves", "params": {"class": "marketing", "share": "10%", "every": "2s"}},
            {"check": "mttd", "params": "5s"},
            {"check": "mttr", "params": "15s"},
        ]


def course_of(wanted: Wanted, number: int, name: str) -> Course:
    """Raises SynthesisRefused where there are too few events for a run."""
    if wanted.events < FEWEST_EVENTS:
        raise SynthesisRefused(
            f"{wanted.events:,} events are too few for a run: it takes {FEWEST_EVENTS:,} to have enough "
            "messages in every outage; ask for more events or fewer runs"
        )
    span = max(_SHORTEST_NS, wanted.events // 3 * S // _MESSAGES_PER_S)
    polls = (span + 20 * S) // POLL_NS
    left = wanted.events - FRAME - polls - wanted.duplicates + wanted.lost - 1
    # Of what is deferred there is one event more.
    messages = left * DEFERRED_EVERY // (3 * DEFERRED_EVERY + 1)
    every = span // messages
    span = messages * every
    return Course(
        run=name,
        messages=messages,
        every_ns=every,
        first_ns=span // 5 // S * S,
        gap_ns=span // 4 // S * S,
        outage_ns=min(30 * S, span // 20 // S * S),
        ends_ns=(span + 20 * S) // POLL_NS * POLL_NS,
        seed=wanted.seed,
        token_base=(wanted.seed % 2**16) << 48 | number << 32,
    )
