"""How reports say things: durations, counts, and the verdict of a run in plain words.

Findings and an exit code flow in, sentences flow out; the terminal, JUnit and HTML reports all speak
through this module, so that they never disagree. Nothing here looks at a history.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from harness.checks.finding import Finding, Verdict
from harness.conduct.judge import ExitCode

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_NUMBER_UNIT = re.compile(r"(\d) (s\b|ms\b|min\b|h\b|%)")


class Tone(StrEnum):
    """How a reader should feel about a thing; each report has its own colours for it."""

    GOOD = "good"
    BAD = "bad"
    UNSURE = "unsure"
    BROKEN = "broken"  # nothing was learnt about the system: the harness or its set-up is at fault


@dataclass(frozen=True)
class OutcomeWords:
    """What an exit code is called, and what it means for somebody who has never seen one."""

    word: str
    tone: Tone
    meaning: str


OUTCOMES: dict[ExitCode, OutcomeWords] = {
    ExitCode.PASS: OutcomeWords("PASS", Tone.GOOD, "Every expectation was met."),
    ExitCode.FAIL: OutcomeWords("FAIL", Tone.BAD, "An expectation was broken."),
    ExitCode.INVALID: OutcomeWords(
        "INVALID", Tone.BROKEN, "The scenario could not be used; nothing was started."
    ),
    ExitCode.INCONCLUSIVE: OutcomeWords(
        "INCONCLUSIVE", Tone.UNSURE, "Nothing contradicts the expectations, and not enough proves them."
    ),
    ExitCode.BASELINE_UNMET: OutcomeWords(
        "BASELINE UNMET",
        Tone.BROKEN,
        "The system was not healthy before the first fault, so no fault was injected and nothing was judged.",
    ),
    ExitCode.INJECTION_FAILED: OutcomeWords(
        "INJECTION FAILED",
        Tone.BROKEN,
        "A fault could not be put in place or did not act, or an operator's action failed.",
    ),
    ExitCode.HEAL_FAILED: OutcomeWords("HEAL FAILED", Tone.BROKEN, "Something of the run was left behind."),
    ExitCode.HARNESS_FAILED: OutcomeWords("HARNESS FAILED", Tone.BROKEN, "The harness itself failed."),
    ExitCode.INTERRUPTED: OutcomeWords(
        "INTERRUPTED", Tone.BROKEN, "The run was stopped by hand, and healed."
    ),
}

VERDICT_TONES = {
    Verdict.PASS: Tone.GOOD,
    Verdict.FAIL: Tone.BAD,
    Verdict.INCONCLUSIVE: Tone.UNSURE,
}


def outcome_words(judgement: Judgement) -> OutcomeWords:
    return OUTCOMES[judgement.exit_code]


def seconds(value_s: float) -> str:
    """A span of time as people say it: `85 ms`, `2.1 s`, `1 min 05 s`, `2 h 07 min`; infinity is `never`."""
    if math.isinf(value_s):
        return "never"
    sign, value_s = ("−" if value_s < 0 else ""), abs(value_s)
    if value_s == 0:
        return "0 s"
    if value_s < 0.00995:
        return f"{sign}{max(0.1, round(value_s * 1000, 1)):.1f} ms"
    if value_s < 0.0995:
        return f"{sign}{round(value_s * 1000)} ms"
    if value_s < 99.95:
        return f"{sign}{value_s:.1f} s"
    if value_s < 3599.5:
        minutes, rest = divmod(round(value_s), 60)
        return f"{sign}{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(value_s / 60), 60)
    return f"{sign}{hours} h {minutes:02d} min"


def span_ns(value_ns: float) -> str:
    return seconds(value_ns / NS_PER_S)


def clock(value_ns: float) -> str:
    """An instant in the scenario, counted from the end of the baseline: `+12.345 s`, `−3.200 s`."""
    value_s = value_ns / NS_PER_S
    return f"{'−' if value_s < 0 else '+'}{abs(value_s):.3f} s"


def count(number: int, one: str, many: str = "") -> str:
    """`1 message`, `12,400 messages`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def number(value: float | int | str | None) -> str:
    """A finding's number for a table: whole numbers grouped, others with as many digits as matter."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return value
    if math.isinf(value):
        return "never" if value > 0 else "−∞"
    if math.isnan(value):
        return "–"
    if value == round(value) and abs(value) < 1e15:
        return f"{round(value):,}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))) - 1)
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def measure(name: str, value: float | int | str | None) -> tuple[str, str]:
    """A finding's number as (label, value): `mttd_s_max`, 2.1 → ("mttd max", "2.1 s")."""
    words = name.split("_")
    if words[-2:] == ["per", "s"]:
        return " ".join(words[:-2]), f"{number(value)}/s" if _is_number(value) else number(value)
    if words[-1] == "share":
        return " ".join(words), f"{number(value * 100)} %" if _is_number(value) else number(value)
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("ns", 1e-9)):
        if unit in words[1:]:
            label = " ".join(word for word in words if word != unit)
            return label, seconds(value * scale) if _is_number(value) else number(value)
    return " ".join(words), number(value)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def ordered(findings: list[Finding]) -> list[Finding]:
    """The order in which people want to read: what decides before what is only reported, bad news first."""
    rank = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}
    return sorted(findings, key=lambda finding: (not finding.decides, rank[finding.verdict]))


def shown_path(path: Path) -> str:
    """A path as somebody would type it: from here if it lies below here, else whole."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def unbroken(text: str) -> str:
    """Keeps a number and its unit on one line, where lines are broken by somebody else."""
    return _NUMBER_UNIT.sub("\\1\u00a0\\2", text)


def printable(text: str) -> str:
    """Text from a system under test or a provider, safe for a terminal: control characters become `·`."""
    return "".join(char if char.isprintable() or char in "\n\t\u00a0" else "·" for char in text)
