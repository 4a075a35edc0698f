"""How long it takes to open and judge a long run, and in how much memory.

    python benchmarks/check_speed.py [EVENTS]

The target is 5 s and 1 GB for a million events, from the lines of the journal to all findings. It is shown
as a ratio to what merely parsing the lines costs in the same run, because that is what a machine is worth
at the moment.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import synthesis

EXPECT: list[dict[str, Any]] = [
    {"check": "duplicates", "params": "none"},
    {"check": "delivered", "params": "all"},
    {
        "check": "throttle",
        "params": {"primary": {"rate": "1000/s", "burst": 20}, "backup": {"rate": "1000/s", "burst": 20000}},
    },
    {"check": "waves", "params": {"class": "marketing", "share": "10%", "every": "2s"}},
    {"check": "mttd", "params": "5s"},
    {"check": "mttr", "params": "15s"},
]


def main(events: int = 1_000_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        written = synthesis.write_apart(path, events)
        size_mb = path.stat().st_size / 1e6

        begin = time.perf_counter()
        decode = msgspec.json.Decoder().decode
        with path.open("rb") as file:
            for line in file:
                decode(line)
        parse_s = time.perf_counter() - begin

        from harness.checks import evaluate
        from harness.history.store import History

        begin = time.perf_counter()
        cpu = time.process_time()
        with History.open(path) as history:
            open_s = time.perf_counter() - begin
            findings = evaluate(history, "bench", EXPECT)
            all_s = time.perf_counter() - begin
        cpu_s = time.process_time() - cpu
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for finding in findings:
        print(f"  {finding.verdict:12} {finding.check:10} {finding.summary}")
    print(f"{written:,} events, {size_mb:.0f} MB of lines")
    together = f"together {all_s:.1f} s (target ≤ 5 s per million)"
    print(f"open {open_s:.1f} s, checks {all_s - open_s:.1f} s, {together}")
    print(f"{all_s / parse_s:.2f} × the time of merely parsing the lines ({parse_s:.1f} s)")
    print(f"processor {cpu_s:.1f} s")
    print(f"peak memory {memory_mb:.0f} MB (target ≤ 1,000 MB)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
