"""The verdict of a run in one sentence and a handful of numbers, for people who will read nothing else.

A judgement and the run's facts flow in. The sentence says what is known, bad news first: how many arrived
twice, how many were lost, how soon it was noticed, how late the latest was. What a check could not tell is
not claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.finding import Finding, Verdict
from harness.conduct.judge import ExitCode
from harness.report.facts import RunFacts
from harness.report.words import VERDICT_TONES, Tone, number, ordered, outcome_words, seconds, span_ns

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement

# What a pass is about, in the order in which people ask; the rest is among the findings.
_TOLD_WHEN_PASSING = ("duplicates", "mttd")


@dataclass(frozen=True)
class Tile:
    label: str
    value: str
    tone: Tone | None = None  # None: neither good nor bad
    note: str = ""


@dataclass(frozen=True)
class Headline:
    sentence: str
    tiles: list[Tile]


@dataclass(frozen=True)
class Latest:
    """The latest message that had a time to keep: from when it was scheduled to its first copy."""

    stream: str
    late_ns: int
    within_ns: int
    never: int  # messages with a time to keep that never arrived


def headline_of(judgement: Judgement, facts: RunFacts) -> Headline:
    latest = latest_of(facts)
    tiles = [tile for tile in (_tile(finding) for finding in judgement.findings) if tile is not None]
    if latest is not None and judgement.findings:
        note = f"due within {span_ns(latest.within_ns)}"
        tiles.append(Tile(f"latest of {latest.stream}", span_ns(latest.late_ns), None, note))
    return Headline(_sentence(judgement, latest), tiles)


def _sentence(judgement: Judgement, latest: Latest | None) -> str:
    words = outcome_words(judgement)
    deciding = [finding for finding in ordered(judgement.findings) if finding.decides]
    match judgement.exit_code:
        case ExitCode.PASS:
            parts = [f.summary for name in _TOLD_WHEN_PASSING for f in deciding if f.check == name]
        case ExitCode.FAIL:
            parts = [finding.summary for finding in deciding if finding.verdict is Verdict.FAIL]
        case ExitCode.INCONCLUSIVE:
            unknown = [finding for finding in deciding if finding.verdict is Verdict.INCONCLUSIVE]
            return _sentence_of([f.reason or f.summary for f in unknown]) or words.meaning
        case _:
            return words.meaning
    if latest is not None and parts:
        parts.append(f"{latest.stream} {span_ns(latest.late_ns)} late at worst")
        if latest.never:
            parts.append(f"{latest.never:,} never arrived")
    return _sentence_of(parts) or words.meaning


def _sentence_of(parts: list[str]) -> str:
    """Each part once, as one sentence that begins as sentences do."""
    text = "; ".join(dict.fromkeys(part.rstrip(".") for part in parts))
    return text[:1].upper() + text[1:]


def latest_of(facts: RunFacts) -> Latest | None:
    """None where no message that was taken had a time to keep, or none of them arrived."""
    row = facts.history.con.execute(
        """
        select max_by(stream, (waited_ns, stream)) filter (waited_ns is not null), max(waited_ns),
               max_by(within_ns, (waited_ns, stream)) filter (waited_ns is not null),
               count(*) filter (waited_ns is null)
        from (select *, copy_ns - scheduled_ns as waited_ns from fates)
        where run = ? and class = 'transactional' and within_ns is not null and not baseline
          and result = 'accepted'
        """,
        [facts.run],
    ).fetchone()
    if row is None or row[1] is None:
        return None
    return Latest(str(row[0]), int(row[1]), int(row[2]), int(row[3]))


def _tile(finding: Finding) -> Tile | None:
    """None for checks that have no one number, and where the number is not known."""
    tone = VERDICT_TONES[finding.verdict]
    numbers = finding.numbers
    match finding.check:
        case "duplicates" if "duplicated" in numbers:
            return Tile("arrived twice", number(numbers["duplicated"]), tone, _of(finding.counted))
        case "delivered" if "lost" in numbers:
            return Tile("lost", number(numbers["lost"]), tone, _of(finding.counted))
        case "waves" if numbers.get("backlog"):
            note = f"of {number(numbers['backlog'])} waiting, {number(numbers['allowed'])} allowed"
            return Tile("largest wave", number(numbers["largest_wave"]), tone, note)
        case "mttd":
            return _time_tile("to detect", "mttd_s", finding, tone)
        case "mttr":
            if finding.counted and numbers.get("with_impact") == 0:
                return Tile("to recover", "not needed", tone)
            return _time_tile("to recover", "mttr_s", finding, tone)
        case _:
            return None


def _time_tile(label: str, name: str, finding: Finding, tone: Tone) -> Tile | None:
    # The greatest is an interval's upper end; where there is one incident, its middle is what the check says.
    one = finding.numbers.get(f"{name}_mean") if finding.numbers.get("incidents") == 1 else None
    value = one if one is not None else finding.numbers.get(f"{name}_max")
    target = finding.numbers.get("target_s")
    if value is None:
        return None
    note = f"target {seconds(target)}" if isinstance(target, (int, float)) else ""
    return Tile(label, seconds(value) if isinstance(value, (int, float)) else "never", tone, note)


def _of(counted: int) -> str:
    return f"of {counted:,}"
