"""What became of the mutants, in words and numbers, and the exit code."""

from __future__ import annotations

import math
from collections import Counter

from tests.mutants.killing import Fate
from tests.mutants.known import Entry
from tests.mutants.mutant import Mutant

REQUIRED = 0.9


def told(
    mutants: list[Mutant],
    fates: dict[str, Fate],
    entries: list[Entry],
    seconds: float,
    *,
    sampled: bool,
    complete: bool,
    refused: bool,
) -> int:
    """A sample is judged by the upper end of its interval: it fails where 90 % is out of reach."""
    valid = [mutant for mutant in mutants if fates[mutant.name] is not Fate.INVALID]
    killed = [m for m in valid if fates[m.name].killed]
    alive = [m for m in valid if fates[m.name] is Fate.SURVIVED]
    equivalent = [m for m in alive if any(entry.covers(m.name) for entry in entries)]
    stale = [
        f"{entry.file}: {m.name}: is killed" for m in killed for entry in entries if entry.covers(m.name)
    ]
    stale += [
        f"{entry.file}: {entry.mutant}: there is no such mutant"
        for entry in entries
        if complete and not any(entry.covers(m.name) for m in mutants)
    ]
    for name in stale:
        print(f"stale: {name}")
    _table(valid, {m.name for m in killed}, {m.name for m in equivalent})
    counted = len(valid) - len(equivalent)
    score = len(killed) / counted if counted else 0.0
    low, high = _interval(len(killed), counted)
    ways = Counter(fates[m.name] for m in killed)
    print("; ".join(f"{count} {fate}" for fate, count in ways.most_common()))
    print(
        f"{len(killed)} of {counted} mutants killed: {score:.1%}"
        + (f" of a sample, {low:.1%} to {high:.1%} of all (95 %)" if sampled else "")
        + f"; {len(equivalent)} more are equivalent, {len(mutants) - len(valid)} were refused as no code; "
        f"{seconds:.0f} s"
    )
    return 0 if (high if sampled else score) >= REQUIRED and not stale and not refused else 1


def _interval(killed: int, counted: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for the share of all, from that of a sample."""
    if not counted:
        return 0.0, 1.0
    share, wide = killed / counted, z * z / counted
    middle = share + wide / 2
    half = z * math.sqrt(share * (1 - share) / counted + wide / counted / 4)
    return (middle - half) / (1 + wide), (middle + half) / (1 + wide)


def _table(mutants: list[Mutant], killed: set[str], equivalent: set[str]) -> None:
    print(f"  {'':42} {'killed':>8} {'survived':>8} {'equivalent':>10}")
    rows: dict[str, list[int]] = {}
    for mutant in mutants:
        row = rows.setdefault(str(mutant.path), [0, 0, 0])
        row[0 if mutant.name in killed else 2 if mutant.name in equivalent else 1] += 1
    for name, (dead, alive, same) in sorted(rows.items()):
        print(f"  {name:42} {dead:8} {alive:8} {same:10}")
