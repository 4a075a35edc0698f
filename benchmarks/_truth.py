"""What the harness measured beside what really happened: one run of a system that follows a script.

In: how many incidents, how often signals are read, where it runs. Out: one `Case` for each measured instant
or duration, with the interval as the checks print it and the one in which the truth lies. The truth is taken
past the harness: from the system's own notes, and from the providers' own journals, both on CLOCK_MONOTONIC.

When the fault came is known by connections that the system tries every 2 ms; the truth is therefore
an interval too, some milliseconds wide. A case is inside if all of the truth is in the measured interval,
outside if none of it is, and open if the truth crosses an end of it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.checks.grounds import grounds
from harness.checks.incidents import Incident, Interval, incidents
from harness.checks.mttr import Measure, recovery
from harness.conduct.run import RunRequest, run
from harness.history.events import Phase, PhaseEntered
from harness.history.journal import Journal
from harness.history.store import History
from harness.scenario.loader import load
from harness.scenario.plan import plan
from harness.scenario.timeline import Timeline

SYSTEM = Path(__file__).resolve().parent.parent / "fixtures" / "systems" / "scripted" / "__main__.py"
MS = 1_000_000
WITHIN_NS, RATE = 250 * MS, 15
MIN_OVERDUE = 2
FIRST_NS, APART_NS, LASTS_NS = 1_000 * MS, 2_000 * MS, 900 * MS
_SIGNALS = {
    "detected": "{http: /status, when: down, every: %s}",
    "by_metrics": '{prometheus: /metrics, when: "primary_down == 1", every: %s, route: primary}',
    "by_file": '{file: "{{ system.state_dir }}/status.txt", format: text, when: "^down", every: %s, '
    "route: primary}",
    "by_log": "{log: primary is down, until: primary is up, every: %s, route: primary}",
    "by_webhook": "{webhook: alerts, when: down, route: primary}",
}
_NOTED_BY = {
    "detected": "http",
    "by_metrics": "http",
    "by_file": "file",
    "by_log": "log",
    "by_webhook": "webhook",
}
_SCENARIO = """\
scenario: truth
summary: A system that follows a script; its primary refuses connections again and again.
seed: {seed}
baseline: {{for: 2s, stream: calm}}
providers:
  first: {{fake: smtp}}
  second: {{fake: smtp}}
routes:
  primary: {{provider: first}}
  backup: {{provider: second}}
system:
  process: [python, {system}]
  env:
    PRIMARY_URL: "{{{{ routes.primary.url }}}}"
    BACKUP_URL: "{{{{ routes.backup.url }}}}"
    ALERTS_URL: "{{{{ webhooks.alerts }}}}"
    SCRIPT: {script}
    PROBE: {probe}
  submit: {{http: "POST /messages"}}
  longest_retry: 200ms
  signals:
{signals}
workload:
  - {{stream: calm, class: transactional, rate: 5/s, for: 1s, within: 10s}}
  - {{stream: receipts, class: transactional, rate: {rate}/s, for: {lasts_ms}ms, within: {within_ms}ms}}
faults:
{faults}
drain: {{deadline: 10s}}
expect:
  mttd: 1s
  mttr: 2s
"""


class Verdict(StrEnum):
    INSIDE = "inside"
    OPEN = "open"
    OUTSIDE = "outside"


@dataclass(frozen=True)
class Setting:
    """One run: `incidents` outages, signals read every `poll_ms`."""

    seed: int
    incidents: int
    poll_ms: int
    proxy: str = "embedded"
    on: str = "local"


@dataclass(frozen=True)
class Case:
    """`poll_ns` is what the reading of signals may add to the width; 0 where nothing was polled."""

    setting: Setting
    what: str
    measured: Interval | None  # None: it was not noticed at all
    truth: Interval
    poll_ns: int

    @property
    def verdict(self) -> Verdict:
        measured, truth = self.measured, self.truth
        if measured is None or truth.hi_ns < measured.lo_ns or truth.lo_ns > measured.hi_ns:
            return Verdict.OUTSIDE
        whole = measured.lo_ns <= truth.lo_ns and truth.hi_ns <= measured.hi_ns
        return Verdict.INSIDE if whole else Verdict.OPEN

    @property
    def excess_ns(self) -> float:
        """By how much the interval is wider than the poll."""
        return 0.0 if self.measured is None else self.measured.hi_ns - self.measured.lo_ns - self.poll_ns


def measure(setting: Setting, folder: Path) -> list[Case]:
    """Conduct one run in `folder`, and compare."""
    begins = _begins(setting)
    scenario = load(_write(setting, begins, folder))
    request = RunRequest(
        scenario=scenario, timeline=plan(scenario), on=setting.on, proxy=setting.proxy, out=folder / "runs"
    )
    clock: list[int] = []

    async def tell_origin(journal: Journal, _: Timeline, run_dir: Path) -> None:
        before = time.monotonic_ns()
        clock.append((before + time.monotonic_ns()) // 2 - journal.now_ns())
        async for _seq, event in journal.subscribe():
            if isinstance(event, PhaseEntered) and event.phase is Phase.STORM:
                unfinished = run_dir / "system" / "origin.new"
                unfinished.write_text(str(event.t_ns + clock[0]))
                unfinished.replace(run_dir / "system" / "origin")

    run_dir = asyncio.run(run(request, observers=[tell_origin]))
    return list(compare(setting, run_dir, clock[0]))


def _begins(setting: Setting) -> list[int]:
    """When the outages begin: never in step with the polls."""
    chance = random.Random(f"{setting.seed}/begins")
    return [FIRST_NS + k * APART_NS + chance.randrange(150) * MS for k in range(setting.incidents)]


def _write(setting: Setting, begins: list[int], folder: Path) -> Path:
    chance = random.Random(f"{setting.seed}/steps")
    script: list[dict[str, Any]] = []
    for begin in begins:
        steps: list[dict[str, Any]] = [
            {"after_ns": chance.randrange(20 * MS, 700 * MS), "down": True},
            {"after_ns": chance.randrange(550 * MS, 800 * MS), "to": "backup"},
            {"after_ns": LASTS_NS + chance.randrange(100 * MS, 200 * MS), "to": "primary"},
            {"after_ns": LASTS_NS + chance.randrange(100 * MS, 450 * MS), "down": False},
        ]
        script.append({"at_ns": begin, "steps": sorted(steps, key=lambda step: int(step["after_ns"]))})
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    faults = [
        f"  - {{at: {begin // MS}ms, for: {LASTS_NS // MS}ms, on: primary, fault: outage}}"
        for begin in begins
    ]
    poll = f"{setting.poll_ms}ms"
    text = _SCENARIO.format(
        seed=setting.seed,
        system=SYSTEM,
        script=path,
        probe="connect" if setting.on == "local" else "greeting",
        signals="\n".join(f"    {name}: {text.replace('%s', poll)}" for name, text in _SIGNALS.items()),
        rate=RATE,
        lasts_ms=(begins[-1] + LASTS_NS + APART_NS) // MS,
        within_ms=WITHIN_NS // MS,
        faults="\n".join(faults),
    )
    scenario = folder / "truth.yaml"
    scenario.write_text(text)
    return scenario


def compare(setting: Setting, run_dir: Path, clock_ns: int) -> Iterator[Case]:
    """`clock_ns` is CLOCK_MONOTONIC at the run's 0."""
    truth = _Truth(run_dir, clock_ns)
    poll_ns = setting.poll_ms * MS
    with History.open(run_dir) as history:
        name = history.runs()[0]
        found = incidents(history, name)
        error_ns = grounds(history, name).error_ns
        yield from _edges(setting, history, truth)
    ons = truth.broken()
    if not len(found) == len(ons) == setting.incidents:
        ended = _lines(run_dir / "history.jsonl")[-1].get("detail", "")
        raise RuntimeError(f"{len(found)} incidents, {len(ons)} seen by the system; {ended or 'complete'}")
    ends = [*(lo for lo, _ in ons[1:]), 1 << 62]
    for incident, on, end, said in zip(found, ons, ends, truth.detected(), strict=True):

        def case(what: str, measured: Interval | None, at: tuple[int, int], poll_ns: int = 0) -> Case:
            since = on  # noqa: B023  used before the loop goes on
            return Case(setting, what, measured, Interval.between(since, at), poll_ns)

        yield Case(setting, "fault on", Interval(*incident.on), Interval(*on), 0)
        yield case("MTTD", _since(incident, incident.detected), said, poll_ns)
        yield case("MTTM", _since(incident, incident.switched), truth.switched(on[0]))
        if (restored := truth.restored(on, end)) is not None:
            recovered = recovery(incident, Measure.RESTORED, error_ns, True, 0)
            yield case("MTTR", recovered, (restored, restored))


def _since(incident: Incident, at: tuple[int, int] | None) -> Interval | None:
    return None if at is None else Interval.between(incident.on, at)


def _edges(setting: Setting, history: History, truth: _Truth) -> Iterator[Case]:
    """Every turn of the flag, in each place that tells it."""
    for signal, by in _NOTED_BY.items():
        rows = history.con.execute(
            "select lo, hi, rising from signal_edges where signal = ? order by hi", [signal]
        ).fetchall()
        poll_ns = 0 if by == "webhook" else setting.poll_ms * MS
        for lo, hi, down in truth.flags(by):
            near = min(
                (row for row in rows if row[2] is down), key=lambda row: abs(row[1] - hi), default=None
            )
            yield Case(
                setting,
                f"edge by {signal.removeprefix('by_')}",
                None if near is None else Interval(near[0], near[1]),
                Interval(lo, hi),
                poll_ns,
            )


class _Truth:
    """What the system noted and what the providers wrote, on the run's clock."""

    def __init__(self, run_dir: Path, clock_ns: int) -> None:
        notes = _lines(run_dir / "system" / "truth.jsonl")
        self._notes = [note | {"lo": note["lo"] - clock_ns, "hi": note["hi"] - clock_ns} for note in notes]
        copies: list[tuple[int, str, str]] = []
        for journal in sorted((run_dir / "providers").glob("*.jsonl")):
            copies += [
                (record["end_ns"] - clock_ns, record["route"], record["token"])
                for record in _lines(journal)
                if record["kind"] == "receipt" and record["result"] == "accepted" and "canary" not in record
            ]
        self._copies = sorted(copies)
        self._first: dict[str, int] = {}
        for at, _, token in self._copies:
            self._first.setdefault(token, at)
        # What was offered late is due late: a punctual caller would have offered it in time.
        self._due = {
            event["token"]: max(event["scheduled_ns"], event["t_ns"]) + WITHIN_NS
            for event in _lines(run_dir / "history.jsonl")
            if event["kind"] == "message.submitting"
            and event.get("offer", 1) == 1
            and event["stream"] == "receipts"
        }

    def broken(self) -> list[tuple[int, int]]:
        return [(note["lo"], note["hi"]) for note in self._notes if note["what"] == "broken"]

    def flags(self, by: str) -> list[tuple[int, int, bool]]:
        """Its turns; what it told first of all turned nothing."""
        told = [note for note in self._notes if note["what"] == "flag" and note["by"] == by]
        turns = told if by == "http" else told[1:]
        return [(note["lo"], note["hi"], note["down"]) for note in turns]

    def detected(self) -> list[tuple[int, int]]:
        """When it was said that the primary is down, once for each incident."""
        return [(lo, hi) for lo, hi, down in self.flags("http") if down]

    def switched(self, since_ns: int) -> tuple[int, int]:
        at = next(at for at, route, _ in self._copies if at > since_ns and route == "backup")
        return at, at

    def restored(self, on: tuple[int, int], before_ns: int) -> int | None:
        """The end of the last time when as many were overdue as count, one message after another."""
        steps: list[tuple[int, int]] = []
        for token, due in self._due.items():
            if self._first[token] > due:
                steps += [(due, 1), (self._first[token], -1)]
        overdue, since, restored = 0, 0, None
        for at, step in sorted(steps):
            was, overdue = overdue, overdue + step
            if was < MIN_OVERDUE <= overdue:
                since = at
            if overdue < MIN_OVERDUE <= was and on[0] <= since < before_ns:
                restored = at
        return restored


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
