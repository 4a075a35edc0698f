"""Whether the truth lies in the intervals that the harness prints, and how wide these are.

`python benchmarks/mttx_truth.py [--runs N] [--incidents N] [--on local|containers] [--proxy NAME]` conducts
runs of a system that follows a script (`fixtures/systems/scripted`), two at a time, with signals read every
50 and every 200 ms, and counts the cases (`_truth.py` says what is one, and what the truth is). Targets:
the truth inside in 99.9 % of those that can be told; intervals no wider than the poll + 10 ms (containers:
+ 25 ms) on a machine that has the time to read when it should. The width is honest rather than small: a
read that comes late makes it wider, so the share of intervals within the target is printed beside the
median.

Takes about 4 minutes; `--proxy toxiproxy` needs `make tools`, `--on containers` `make images`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from _truth import MS, Case, Setting, Verdict, measure

POLLS_MS = (50, 200)
TARGET_SHARE = 0.999
TARGET_EXCESS_MS = {"local": 10, "containers": 25}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--incidents", type=int, default=30, help="of each run")
    parser.add_argument("--on", default="local", choices=TARGET_EXCESS_MS)
    parser.add_argument("--proxy", default="embedded", help="of runs on this machine")
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args(arguments)
    settings = [
        Setting(
            seed=number + 1,
            incidents=options.incidents,
            poll_ms=POLLS_MS[number % len(POLLS_MS)],
            proxy=options.proxy if options.on == "local" else "toxiproxy",
            on=options.on,
        )
        for number in range(options.runs)
    ]
    with ProcessPoolExecutor(options.at_once, get_context("spawn")) as pool:
        cases = [case for found in pool.map(_measured, settings) for case in found]
    return report(cases, settings[0])


def _measured(setting: Setting) -> list[Case]:
    with tempfile.TemporaryDirectory() as folder:
        return measure(setting, Path(folder))


def report(cases: list[Case], setting: Setting) -> int:
    target_ms = TARGET_EXCESS_MS[setting.on]
    print(f"{setting.on}, {setting.proxy}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print(f"{'':18}{'cases':>6}{'inside':>8}{'open':>6}{'outside':>8}   wider than the poll by, ms")
    print(f"{'':49}{'median':>8}{'p90':>8}{'most':>8}   within {target_ms} ms")
    for what in dict.fromkeys(case.what for case in cases):
        print(_line(what, [case for case in cases if case.what == what], target_ms))
    told = [case for case in cases if case.verdict is not Verdict.OPEN]
    share = sum(case.verdict is Verdict.INSIDE for case in told) / len(told)
    print(f"{len(cases)} cases; of the {len(told)} that can be told {share:.2%} are inside")
    for case in (case for case in cases if case.verdict is Verdict.OUTSIDE):
        print(f"outside: {case.what}, seed {case.setting.seed}: {case.measured}, the truth is {case.truth}")
    return 0 if share >= TARGET_SHARE else 1


def _line(what: str, cases: list[Case], target_ms: int) -> str:
    counts = [sum(case.verdict is verdict for case in cases) for verdict in Verdict]
    wider = sorted(case.excess_ns / MS for case in cases)
    within = sum(each <= target_ms for each in wider) / len(wider)
    return (
        f"{what:18}{len(cases):6}{counts[0]:8}{counts[1]:6}{counts[2]:8}   "
        f"{statistics.median(wider):7.1f}{wider[len(wider) * 9 // 10]:8.1f}{wider[-1]:8.1f}   {within:7.1%}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
