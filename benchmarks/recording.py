"""What recording an event costs: microseconds per append, beside what one bare write of the same line costs.

    python benchmarks/recording.py [EVENTS]

The target is 50 µs an event. Both are measured in one run on one file system, so that their ratio means
something on any machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from harness.history.events import Receipt, ReceiptResult
from harness.history.journal import Journal

TARGET_US = 50


def receipt(n: int) -> Receipt:
    return Receipt(
        t_ns=n,
        source="m365",
        n=n,
        provider="m365",
        route="primary",
        endpoint="smtp",
        result=ReceiptResult.ACCEPTED,
        attempt=f"m365-{n}",
        token="abcdefghijklmnop",
        recipient="c.abcdefghijklmnop@customer.example",
        code=250,
        text="2.0.0 OK",
        begin_ns=n,
        end_ns=n,
        connection="m365-17",
        account="primary",
        carriers=["recipient", "header", "nonce"],
        body_sha256="0" * 64,
        body_offset=n * 1000,
        body_bytes=1000,
    )


def main(events: int = 100_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "history.jsonl", "bench", time.monotonic_ns)
        made = [receipt(n) for n in range(events)]
        begin = time.perf_counter()
        for event in made:
            journal.append(event)
        recording_us = (time.perf_counter() - begin) / events * 1e6
        journal.close()
        lines = (Path(folder) / "history.jsonl").read_bytes().splitlines(keepends=True)
        bare = os.open(Path(folder) / "bare.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        begin = time.perf_counter()
        for line in lines:
            os.write(bare, line)
        bare_us = (time.perf_counter() - begin) / events * 1e6
        os.close(bare)
    print(f"recording  {recording_us:6.1f} µs an event (target ≤ {TARGET_US} µs)")
    print(f"bare write {bare_us:6.1f} µs; recording costs {recording_us / bare_us:.2f} × that")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
