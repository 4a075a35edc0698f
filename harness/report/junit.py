"""JUnit XML for CI servers: a suite per run, a test case per check that decides.

The strictest reader wins, Jenkins' xUnit plugin: properties stand at the suite and nowhere else, a test
case has no `file`. An inconclusive check is an `<error type="inconclusive">`, never a skip, since a skip is
green. Checks that are only reported stand in the suite's system-out. Metrics are written as
`[[PROPERTY|name=value]]` lines, which test management tools pick up from a test case's system-out.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.checks.finding import Finding, Verdict
from harness.conduct.judge import ExitCode
from harness.report.facts import RunFacts, read_facts
from harness.report.story import Story, key_of, stories_of, story_text
from harness.report.words import NS_PER_S, ordered, outcome_words

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement

STORIES_PER_FINDING = 3
_JUDGED = (ExitCode.PASS, ExitCode.FAIL, ExitCode.INCONCLUSIVE)

# What XML 1.0 cannot hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(judgements: Sequence[Judgement], path: Path) -> Path:
    """Write one JUnit file for all the given runs; the folder of `path` is made when it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render_junit(judgements))
    return path


def render_junit(judgements: Sequence[Judgement]) -> bytes:
    root = ET.Element("testsuites", name="harness")
    for judgement, name in zip(judgements, _names(judgements), strict=True):
        root.append(_suite(judgement, name))
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.get(total, "0")) for suite in root)))
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def _names(judgements: Sequence[Judgement]) -> list[str]:
    """A scenario's name; repeats are numbered, since some readers drop the second of two equal names."""
    seen: dict[str, int] = {}
    names = []
    for judgement in judgements:
        nth = seen[judgement.scenario] = seen.get(judgement.scenario, 0) + 1
        names.append(_clean(judgement.scenario if nth == 1 else f"{judgement.scenario} #{nth}"))
    return names


def _suite(judgement: Judgement, name: str) -> ET.Element:
    facts, stories = _read(judgement)
    deciding = [finding for finding in ordered(judgement.findings) if finding.decides]
    cases = [_case(name, finding, stories) for finding in deciding]
    # How the run itself ended is a case of its own wherever no check can tell.
    unexplained = judgement.exit_code is ExitCode.FAIL and all(
        f.verdict is not Verdict.FAIL for f in deciding
    )
    if judgement.exit_code not in _JUDGED or unexplained or not cases:
        cases.insert(0, _run_case(judgement, name))
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{facts.duration_ns / NS_PER_S:.3f}",
    )
    if facts.wall_start:
        suite.set("timestamp", _clean(facts.wall_start).removesuffix("Z"))
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("run", judgement.run),
        ("run_dir", str(judgement.run_dir)),
        ("seed", str(judgement.seed)),
        ("exit_code", str(int(judgement.exit_code))),
        ("testbed", facts.testbed),
        ("proxy", facts.proxy),
    ):
        ET.SubElement(properties, "property", name=key, value=_clean(value))
    suite.extend(cases)
    reported = [finding for finding in ordered(judgement.findings) if not finding.decides]
    out = [f"{finding.verdict}: {finding.check}: {finding.summary}" for finding in reported]
    out += [f"not proven: {text}" for text in judgement.not_proven]
    _text(suite, "system-out", "\n".join(out))
    _text(suite, "system-err", "\n".join(judgement.warnings))
    return suite


def _case(suite: str, finding: Finding, stories: dict[str, Story]) -> ET.Element:
    case = ET.Element("testcase", classname=_class_name(suite), name=_clean(finding.check), time="0")
    if finding.verdict is not Verdict.PASS:
        inconclusive = finding.verdict is Verdict.INCONCLUSIVE
        problem = ET.SubElement(
            case,
            "error" if inconclusive else "failure",
            type="inconclusive" if inconclusive else _clean(finding.check),
            message=_clean(finding.reason or finding.summary if inconclusive else finding.summary),
        )
        problem.text = _clean(_details(finding, stories))
    lines = [finding.summary, *_formula(finding)]
    lines += [
        f"[[PROPERTY|{name}={'' if value is None else value}]]" for name, value in finding.numbers.items()
    ]
    _text(case, "system-out", "\n".join(lines))
    return case


def _run_case(judgement: Judgement, suite: str) -> ET.Element:
    """What happened to the run as a whole, where no check can say it."""
    words = outcome_words(judgement)
    case = ET.Element("testcase", classname=_class_name(suite), name="run", time="0")
    if judgement.exit_code is ExitCode.PASS:
        return case
    kind = "failure" if judgement.exit_code is ExitCode.FAIL else "error"
    problem = ET.SubElement(
        case,
        kind,
        type=words.word.lower().replace(" ", "-"),
        message=_clean(judgement.detail or words.meaning),
    )
    problem.text = _clean(f"{words.word}: {words.meaning}\n{judgement.detail}".rstrip())
    return case


def _details(finding: Finding, stories: dict[str, Story]) -> str:
    lines = [finding.summary]
    if finding.reason:
        lines.append(f"reason: {finding.reason}")
    lines += _formula(finding)
    for offender in finding.offenders:
        who = offender.recipient or offender.token or offender.subject or ""
        lines.append(f"- {who}: {offender.why}" + (f" ({offender.cause})" if offender.cause else ""))
    told = [stories[key] for offender in finding.offenders if (key := key_of(offender)) in stories]
    for story in told[:STORIES_PER_FINDING]:
        lines += ["", "how it came about:", *story_text(story)]
    if finding.traceback:
        lines += ["", finding.traceback]
    return "\n".join(lines)


def _formula(finding: Finding) -> list[str]:
    lines = [f"formula: {finding.formula}"] if finding.formula else []
    return lines + ([f"error: {finding.error}"] if finding.error else [])


def _read(judgement: Judgement) -> tuple[RunFacts, dict[str, Story]]:
    """The run's facts, and the stories of the worst offenders of each finding that is not a pass."""
    with read_facts(judgement) as facts:
        worst = [
            offender
            for finding in judgement.findings
            if finding.verdict is not Verdict.PASS
            for offender in finding.offenders[:STORIES_PER_FINDING]
        ]
        return facts, stories_of(facts, worst)


def _class_name(suite: str) -> str:
    # Readers split a class name at its dots into packages; a scenario's name has none of that meaning.
    return f"harness.{suite.replace('.', '_')}"


def _text(parent: ET.Element, tag: str, text: str) -> None:
    if text:
        ET.SubElement(parent, tag).text = _clean(text)


def _clean(text: str) -> str:
    return _ILLEGAL.sub("·", text)
