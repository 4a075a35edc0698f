"""How long `harness --help` takes, beside an interpreter that does nothing: the promise is 0.3 s."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
PROMISE_S = 0.3


def seconds(*command: str) -> float:
    """The median of some rounds, after one to warm the disk's cache."""
    took = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


def main() -> None:
    nothing = seconds(sys.executable, "-c", "pass")
    help_ = seconds(sys.executable, "-c", "from harness.cli import main; main()", "--help")
    run_help = seconds(sys.executable, "-c", "from harness.cli import main; main()", "run", "--help")
    print(f"python that does nothing   {nothing:.3f} s")
    print(f"harness --help             {help_:.3f} s   {help_ / PROMISE_S:.2f} of the {PROMISE_S} s promised")
    print(f"harness run --help         {run_help:.3f} s")


if __name__ == "__main__":
    main()
