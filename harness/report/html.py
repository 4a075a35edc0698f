"""The report of one run as one HTML file that needs nothing else: no server, no network, no script.

A judgement flows in, a page flows out. The verdict comes first, in plain words; then what happened, on one
time axis with the fault windows shaded through every chart; then each finding with its formula and the
story of its worst offender; then what was not proven. Everything is escaped by the template; only charts,
made of numbers, come as markup.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.checks.finding import Finding, Verdict
from harness.report.axis import Axis, make_axis, ticks
from harness.report.charts import Chart
from harness.report.confidence import Remark, Topic, confidence_of
from harness.report.facts import FaultWindow, Instant, RunFacts, read_facts
from harness.report.headline import Headline, headline_of
from harness.report.series import charts_of
from harness.report.story import Story, key_of, stories_of
from harness.report.words import (
    VERDICT_TONES,
    clock,
    count,
    measure,
    number,
    ordered,
    outcome_words,
    printable,
    seconds,
    shown_path,
    span_ns,
    unbroken,
)

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement
    from harness.history.store import History

FILE_NAME = "report.html"
ASSETS = Path(__file__).parent / "assets"
LEAST_NAME, MOST_NAME = 13, 26
PIN_PERCENT = 5.5  # how wide a pin is on a narrow page


@dataclass(frozen=True)
class FindingView:
    finding: Finding
    tone: str
    measures: list[tuple[str, str]]
    params: str
    stories: dict[str, Story]
    open: bool


@dataclass(frozen=True)
class Pin:
    instant: Instant
    percent: float
    row: int


def write_html(judgement: Judgement, history: History | None = None) -> Path:
    """Write `report.html` into the run's folder, whole or not at all; its path. Raises HistoryError."""
    path = judgement.run_dir / FILE_NAME
    partial = path.with_suffix(".html.partial")
    partial.write_text(render_html(judgement, history), encoding="utf-8")
    partial.replace(path)
    return path


def render_html(judgement: Judgement, history: History | None = None) -> str:
    with read_facts(judgement, history) as facts:
        axis = make_axis(facts.from_ns, facts.to_ns)
        charts = charts_of(facts, judgement.findings, axis)
        return (
            _environment()
            .get_template("report.html.j2")
            .render(
                judgement=judgement,
                facts=facts,
                axis=axis,
                ticks=ticks(axis),
                charts=charts,
                words=outcome_words(judgement),
                headline=headline_of(judgement, facts),
                findings=[_finding(facts, finding) for finding in ordered(judgement.findings)],
                check_width=_check_width(judgement.findings),
                faults=facts.faults,
                shades=_shades(facts, axis),
                pins=_pins(facts, axis),
                confidence=_confidence(facts, judgement.findings),
                environment=_environment_rows(facts),
                command=shlex.quote(shown_path(judgement.run_dir)),
                data=_data(axis, charts),
                style=_asset("report.css"),
                script=_asset("report.js"),
            )
        )


def _finding(facts: RunFacts, finding: Finding) -> FindingView:
    return FindingView(
        finding=finding,
        tone=VERDICT_TONES[finding.verdict],
        measures=[measure(name, value) for name, value in finding.numbers.items()],
        params=json.dumps(finding.params, ensure_ascii=False) if finding.params else "",
        stories={} if finding.verdict is Verdict.PASS else stories_of(facts, finding.offenders),
        open=finding.verdict is Verdict.FAIL and finding.decides,
    )


def _shades(facts: RunFacts, axis: Axis) -> list[tuple[float, float, FaultWindow]]:
    """Where charts are shaded: (left, width) in percent, for every fault that lasted."""
    return [
        (axis.percent(fault.from_ns), axis.percent(fault.to_ns) - axis.percent(fault.from_ns), fault)
        for fault in facts.faults
    ]


def _pins(facts: RunFacts, axis: Axis) -> list[Pin]:
    """Moments, each in the first row where it does not cover the one before it."""
    ends: list[float] = []
    pins = []
    for instant in facts.instants:
        at = axis.percent(instant.at_ns)
        row = next((index for index, end in enumerate(ends) if at >= end), len(ends))
        ends[row : row + 1] = [at + PIN_PERCENT]
        pins.append(Pin(instant, at, row))
    return pins


def _check_width(findings: list[Finding]) -> int:
    """Of the column of names, in characters: names of checks of one's own may be long."""
    longest = max((len(finding.check) for finding in findings), default=0)
    return max(LEAST_NAME, min(MOST_NAME, longest + 2))


def _confidence(facts: RunFacts, findings: list[Finding]) -> list[tuple[str, list[Remark]]]:
    """By topic, in order; what was not decided and what was warned of stand above it."""
    remarks = confidence_of(facts, findings)
    return [
        (str(topic), found)
        for topic in Topic
        if topic not in (Topic.UNDECIDED, Topic.WARNINGS)
        and (found := [each for each in remarks if each.topic is topic])
    ]


def _environment_rows(facts: RunFacts) -> list[tuple[str, list[str]]]:
    rows = [("testbed", [facts.testbed]), ("proxy", [facts.proxy]), ("started", [facts.wall_start])]
    rows += [("versions", [f"{name} {version}" for name, version in sorted(facts.versions.items())])]
    binaries: dict[str, list[str]] = {}
    for place, what in sorted(facts.binaries.items()):
        binaries.setdefault(_binary(what), []).append(place)
    rows += [("servers", [f"{what} for {', '.join(places)}" for what, places in binaries.items()])]
    return [(name, [value for value in values if value]) for name, values in rows if any(values)]


def _binary(what: object) -> str:
    if isinstance(what, dict):
        return " ".join(str(what[key]) for key in ("path", "version") if what.get(key))
    return str(what)


def _data(axis: Axis, charts: list[Chart]) -> Markup:
    """The binned numbers for the read-out under the pointer, as JSON that cannot end the script element."""
    data: dict[str, Any] = {
        "from": axis.from_ns / 1e9,
        "to": axis.to_ns / 1e9,
        "charts": [
            {
                "key": chart.key,
                "bin": chart.bin_ns / 1e9,
                "unit": chart.unit,
                "values": [[round(value, 2) for value in layer.values] for layer in chart.series],
            }
            for chart in charts
        ],
    }
    text = json.dumps(data, separators=(",", ":")).replace(".0,", ",").replace(".0]", "]")
    return Markup(text.replace("<", "\\u003c"))


def _finalize(value: object) -> object:
    """Control characters from the outside are shown as what they are: nothing to read."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clock=clock, span=span_ns, seconds=seconds, number=number, unbroken=unbroken)
    environment.globals.update(count=count, key_of=key_of)
    return environment


@cache
def _asset(name: str) -> Markup:
    return Markup((ASSETS / name).read_text(encoding="utf-8"))


__all__ = ["FILE_NAME", "Headline", "render_html", "write_html"]
