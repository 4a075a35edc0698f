"""The final summary: the verdict, the findings, the life of the worst message; nothing wider than 80."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from harness.report.findings_json import write_findings
from harness.report.html import write_html
from harness.report.summary import print_summary
from tests.report import samples
from tests.report.samples import Sample


def printed(sample: Sample, *, width: int = 80, terminal: bool = False, verbose: bool = False) -> str:
    out = StringIO()
    console = Console(
        file=out, width=width, force_terminal=terminal, color_system="standard" if terminal else None
    )
    print_summary(sample.judgement, console=console, verbose=verbose)
    return out.getvalue()


def test_a_pass_says_what_was_proven(sample_of: dict[str, Sample]) -> None:
    lines = printed(sample_of["passing"]).splitlines()
    assert lines[1].startswith(
        " PASS   0 of 325 messages arrived twice; detected in 2.1 s; receipts 2.2 s late"
    )
    text = "\n".join(lines)
    assert "✓ mttd         detected in 2.1 s" in text
    assert "rule  MTTD = detected − fault on" in text
    assert "error  ± 0.055 s (polled every 0.100 s; clock error 0.2 ms)" in text
    assert "How it came about" not in text


def test_a_failure_leads_and_tells_how_it_came_about(sample_of: dict[str, Sample]) -> None:
    text = printed(sample_of["failing"])
    assert text.index("✗ duplicates") < text.index("✗ mttd") < text.index("? throttle") < text.index("✓ ")
    story = text[text.index("How it came about") : text.index("✗ mttd")]
    first, second = story.index("takes the first copy"), story.index("takes copy 2 (250 2.0.0 OK)")
    assert story.index("offers it, scheduled for +10.000 s") < first < second
    assert "during auth-failure on primary" in story


def test_in_full_it_tells_all_stories_and_how_far_to_trust_it(sample_of: dict[str, Sample]) -> None:
    short, full = (printed(sample_of["failing"], verbose=verbose) for verbose in (False, True))
    # The worst of the messages, and the incident that was detected late; in full, every message.
    assert short.count("How it came about") == 2 and "How it came about: incident f1" in short
    assert full.count("How it came about") == 7
    assert "and 3 more like these" in short and "more like these" not in full
    assert " - clocks are right to m365 ±0.2 ms" in short and "testbed" not in short
    topics = [
        line.split()[0] for line in full[full.index("\nConfidence") :].splitlines()[2:] if line[1:2].strip()
    ]
    assert [each for each in topics if each in ("clocks", "driver", "faults", "witness", "testbed")] == [
        "clocks",
        "driver",
        "faults",
        "witness",
        "testbed",
    ]


def test_a_long_name_has_a_line_of_its_own_and_leaves_the_others_their_room(
    sample_of: dict[str, Sample],
) -> None:
    sample = sample_of["passing"]
    short = sample.judgement.findings[0]
    long = msgspec.structs.replace(short, check="own." + "no-receipt-is-late-" * 3)
    judgement = replace(sample.judgement, findings=[*sample.judgement.findings, long])
    lines = printed(replace(sample, judgement=judgement)).splitlines()
    at = lines.index(f"✓ {long.check}")
    assert lines[at + 1] == f"{' ' * 15}{long.summary}"
    assert f"✓ {short.check:<12} {short.summary}" in lines


def test_inconclusive_says_why(sample_of: dict[str, Sample]) -> None:
    text = printed(sample_of["inconclusive"])
    assert text.splitlines()[1].startswith(" INCONCLUSIVE   No message was in the system while primary")
    assert "Not proven" in text


def test_a_run_that_judged_nothing_says_what_happened(sample_of: dict[str, Sample]) -> None:
    text = printed(sample_of["baseline_unmet"])
    assert " BASELINE UNMET " in text and "exited with code 1" in text


@pytest.mark.parametrize("kind", ["passing", "failing", "inconclusive", "baseline_unmet", "hostile"])
def test_it_fits_and_carries_no_control_characters(sample_of: dict[str, Sample], kind: str) -> None:
    for line in printed(sample_of[kind]).splitlines():
        assert line == line.rstrip()
        assert line.isprintable()
        assert len(line) <= 80 or "harness check" in line, "only what is to be copied is longer"


def test_colour_only_on_a_terminal(sample_of: dict[str, Sample]) -> None:
    assert "\x1b[1;7;31m FAIL " in printed(sample_of["failing"], terminal=True)


def test_it_says_where_the_reports_are(tmp_path: Path) -> None:
    sample = samples.passing(tmp_path)
    assert "report.html" not in printed(sample), "not before it is there"
    write_findings(sample.judgement)
    write_html(sample.judgement)
    lines = printed(sample).splitlines()
    assert f"report       {sample.judgement.run_dir / 'report.html'}" in lines
    assert f"findings     {sample.judgement.run_dir / 'findings.json'}" in lines
    assert f"check again  harness check {sample.judgement.run_dir}" in lines
