"""What it costs to judge a history, beside the query that a data engineer writes by hand over the same file.

    python benchmarks/check_speed.py [EVENTS...]

By default for one and ten million events; 100000000 needs disk to spill to, and minutes. Times
are of the processor, in one process for each size, so that a busy machine changes little; the targets are
12 × the yardstick for all together and 4 × for any one check. A fold in plain Python, and Polars where it is
installed, find the same duplicates.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from harness.checks import CHECKS
from harness.checks.finding import Finding
from harness.history.store import History
from harness.history.synthesis.plan import Wanted
from harness.history.synthesis.write import synthesize

YARDSTICK = """
select token, recipient, count(*) from read_parquet('{files}')
where kind = 'receipt' and result in ('accepted', 'ack-lost') group by token, recipient having count(*) > 1
"""
FOLD_AT_MOST = 10_000_000


T = TypeVar("T")


def timed(what: Callable[[], T]) -> tuple[T, float, float]:
    """The result, seconds of the processor, seconds on the wall."""
    processor, wall = time.process_time(), time.perf_counter()
    result = what()
    return result, time.process_time() - processor, time.perf_counter() - wall


def by_hand(folder: Path) -> int:
    with duckdb.connect() as con:
        return len(con.execute(YARDSTICK.format(files=folder / "*.parquet")).fetchall())


def by_fold(folder: Path) -> int:
    copies: Counter[tuple[str, str]] = Counter()
    with duckdb.connect() as con:
        rows = con.execute(f"select kind, result, token, recipient from read_parquet('{folder}/*.parquet')")
        while some := rows.fetchmany(100_000):
            for kind, result, token, recipient in some:
                if kind == "receipt" and result in ("accepted", "ack-lost"):
                    copies[token, recipient] += 1
    return sum(count > 1 for count in copies.values())


def by_polars(folder: Path) -> int | None:
    try:
        import polars
    except ImportError:
        return None
    receipts = polars.scan_parquet(f"{folder}/*.parquet").filter(
        (polars.col("kind") == "receipt") & polars.col("result").is_in(["accepted", "ack-lost"])
    )
    counted = receipts.group_by("token", "recipient").len().filter(polars.col("len") > 1)
    return int(counted.select(polars.len()).collect().item())


# All others of the checks, as somebody would ask for them of this run. `authentication` is not among them: it
# reads the kept mail, and a made-up run keeps none.
OTHERS: list[dict[str, Any]] = [
    {"check": "exposure"},
    {"check": "unexpected"},
    {"check": "suppression"},
    {"check": "flapping"},
    {"check": "reconciliation", "params": "agrees"},
    {"check": "analytics", "params": "all"},
    {"check": "cost", "params": {"attempts_per_message": 3}},
    {"check": "priority", "params": "transactional"},
    {"check": "pause", "params": {"class": "marketing", "from": "detection"}},
    {"check": "approval", "params": "marketing"},
    {"check": "false-alarm"},
    {"check": "quiescence"},
    {"check": "fallback", "params": {"after": "1s", "within": "5s"}},
    {"check": "mttm", "params": "5s"},
]


def one(history: History, run: str, expected: dict[str, Any]) -> Finding:
    check = CHECKS[expected["check"]]
    return check.evaluate(history, run, check.params.model_validate(expected.get("params", {})))


def yardstick(folder: Path) -> float:
    """Seconds of the processor, the middle of three; in processes whose memory is not the checks'."""
    asked = [sys.executable, __file__, "--yardstick", str(folder)]
    took = [float(subprocess.run(asked, check=True, stdout=subprocess.PIPE).stdout) for _ in range(3)]
    return sorted(took)[1]


def measure(folder: Path, events: int) -> None:
    yard = yardstick(folder)
    print(f"{events:,} events; the yardstick takes {yard:.2f} s of the processor", flush=True)
    history, total, wall = timed(lambda: History.open(folder))
    print(f"  {'message and attempt tables':28} {total / yard:5.2f} ×  peak {_peak_mb():,.0f} MB")
    with history:
        run = history.runs()[0]
        expected = history.run_started(run).expect
        findings = []
        for number, each in enumerate([*expected, *OTHERS]):
            if number == len(expected):
                print(f"  so far, what the run expects   {total / yard:5.1f} ×")
            finding, took, more = timed(lambda each=each: one(history, run, each))  # type: ignore[misc]
            total, wall = total + took, wall + more
            findings.append(finding)
            print(f"  {each['check']:28} {took / yard:5.2f} × (target ≤ 4 ×)  peak {_peak_mb():,.0f} MB")
    for finding in findings:
        print(f"  {finding.verdict:12} {finding.check}: {finding.summary}")
    print(
        f"  all together {total / yard:.1f} × (target ≤ 12 ×), {wall:.1f} s on the wall, "
        f"peak {_peak_mb():,.0f} MB (target for 100 million ≤ 4,096 MB)"
    )
    if events <= FOLD_AT_MOST:
        for name, other in (("plain Python", by_fold), ("Polars", by_polars)):
            found, took, _ = timed(lambda other=other: other(folder))  # type: ignore[misc]
            print(
                f"  {name}: {f'{found} duplicates, {took / yard:.1f} ×' if found is not None else 'not here'}"
            )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(sizes: list[str]) -> None:
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            synthesize(Wanted(int(size), duplicates=7, lost=3), Path(scratch) / "made")
            # By itself, so that memory is that of this size alone.
            subprocess.run([sys.executable, __file__, "--measure", f"{scratch}/made", size], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["--yardstick"]:
        print(timed(lambda: by_hand(Path(sys.argv[2])))[1])
    else:
        main(sys.argv[1:] or ["1000000", "10000000"])
