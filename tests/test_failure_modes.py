"""What the failure modes' files, their document and the catalogue of planted bugs say of each other agrees.

That each defect is caught, and that the right system is not, is for real runs to show: `make defects`, and
`pytest scenarios/failure-modes`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.checks import CHECKS
from harness.scenario.loader import load, variants_of
from tests.defects.claims import CATALOGUE, SCENARIOS, Defect, all_claims, claims_of
from tests.ran import ROOT

FOLDER = SCENARIOS / "failure-modes"
FILES = sorted(FOLDER.glob("*.yaml"))
CLAIMS = all_claims()
DOCUMENT = (ROOT / "docs" / "failure-modes.md").read_text(encoding="utf-8")


def test_a_line_that_says_it_in_other_words_is_no_claim_that_is_passed_by(tmp_path: Path):
    file = tmp_path / "a.yaml"
    file.write_text("# Its defect: blind-resend in reset, caught by duplicates.\n")
    with pytest.raises(ValueError, match="write `# Its defect: NAME, caught by CHECK in VARIANT"):
        claims_of(file)
    file.write_text("# Its defect: no-such-bug, caught by duplicates.\n")
    with pytest.raises(ValueError, match="no-such-bug"):
        claims_of(file)
    file.write_text("# Its defect: no-throttle, caught by throttle, waves in released.\n")
    (claim,) = claims_of(file)
    assert (claim.defect, claim.checks) == (Defect.NO_THROTTLE, ("throttle", "waves"))
    assert claim.place.variant == "released"


def test_each_of_the_ten_modes_has_a_file_and_each_file_a_defect():
    assert [file.name[:2] for file in FILES] == [f"{mode:02}" for mode in range(1, 11)]
    assert {claim.place.file for claim in CLAIMS} >= set(FILES)


@pytest.mark.parametrize("claim", CLAIMS, ids=str)
def test_a_claim_names_a_variant_wherever_there_are_some_and_checks_that_are_judged_there(claim):
    assert claim.place.variant in (variants_of(claim.place.file) or ("",))
    expected = dict(load(claim.place.file, variant=claim.place.variant or None).expectations())
    assert set(claim.checks) <= set(expected)
    assert set(claim.checks) <= set(claim.entry.caught_by)


def test_every_defect_is_shown_to_be_caught_by_each_check_that_is_said_to_catch_it():
    shown = {(claim.defect, check) for claim in CLAIMS for check in claim.checks}
    assert shown == {(defect, check) for defect, entry in CATALOGUE.items() for check in entry.caught_by}


def test_a_check_that_catches_nothing_is_not_proven_so_every_check_catches_something():
    assert {check for entry in CATALOGUE.values() for check in entry.caught_by} == set(CHECKS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_document_has_a_row_for_the_file_with_each_of_its_defects(file: Path):
    row = next(line for line in DOCUMENT.splitlines() if f"/{file.name})" in line)
    for claim in claims_of(file):
        assert f"`{claim.defect}`" in row
        assert all(check in row for check in claim.checks)


def test_the_document_names_no_file_that_is_not_there():
    named = set(re.findall(r"scenarios/failure-modes/([\w-]+\.yaml)\)", DOCUMENT))
    assert named == {file.name for file in FILES}
