"""How fast a journal's lines become Parquet, as at the end of every run.

    python benchmarks/journal_to_parquet.py [EVENTS]

The target is 500,000 events a second. Beside it stands what it takes to parse the lines one by one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import msgspec

from harness.history.store import to_parquet
from harness.history.synthesis.plan import Wanted
from harness.history.synthesis.write import synthesize

TARGET = 500_000


def main(events: int = 1_000_000) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "made"
        synthesize(Wanted(events), folder, lines=True)
        begin = time.perf_counter()
        decode = msgspec.json.Decoder().decode
        with (folder / "history.jsonl").open("rb") as file:
            for line in file:
                decode(line)
        parsing_s = time.perf_counter() - begin
        taken = []
        for _ in range(3):
            processor, begin = time.process_time(), time.perf_counter()
            to_parquet(folder)
            taken.append((time.perf_counter() - begin, time.process_time() - processor))
    wall_s, processor_s = sorted(taken)[1]
    print(f"{events / wall_s:,.0f} events a second (target ≥ {TARGET:,}); {events / processor_s:,.0f} a core")
    print(f"{wall_s / parsing_s:.2f} × the time of merely parsing the lines ({parsing_s:.1f} s)")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
