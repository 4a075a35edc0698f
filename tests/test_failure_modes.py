"""Every defect that a file under scenarios/failure-modes names is caught by the check that it names.

A file says so in a comment, `# Its defect: NAME, caught by CHECK.`, or `… caught by CHECK in VARIANT.` where
it has variants. Each such line is one real run, `harness run` in a process of its own; up to four go on at
once, since they mostly wait. That the right system passes is for the files to prove: pytest runs them as
tests of their own (`pytest scenarios/failure-modes`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.checks import CHECKS
from harness.scenario.loader import load, variants_of
from tests.ran import ROOT, Ran, run_harness

sys.path.insert(0, str(ROOT / "fixtures" / "systems"))  # systems under test are run by path, never installed

from mailrouter.defects import CATALOGUE, Defect

AT_ONCE = 4
FOLDER = ROOT / "scenarios" / "failure-modes"
FILES = sorted(FOLDER.glob("*.yaml"))
DOCUMENT = (ROOT / "docs" / "failure-modes.md").read_text(encoding="utf-8")

BEGINS = "# Its defect:"
LINE = re.compile(r"# Its defect: (?P<defect>[\w-]+), caught by (?P<check>\w+)(?: in (?P<variant>[\w-]+))?\.")


@dataclass(frozen=True)
class Claim:
    """A file's word that a defect is caught by a check; `variant` is empty where the file has none."""

    file: Path
    defect: Defect
    check: str
    variant: str

    def __str__(self) -> str:
        return f"{self.file.stem}-{self.variant}-{self.defect}".replace("--", "-")


def claims_of(file: Path) -> list[Claim]:
    """Raises ValueError for a line that begins like a claim and is none, and for an unknown defect."""
    claims = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith(BEGINS):
            continue
        said = LINE.fullmatch(line)
        if said is None:
            raise ValueError(f"{file.name}: {line!r}; write `{BEGINS} NAME, caught by CHECK in VARIANT.`")
        claims.append(Claim(file, Defect(said["defect"]), said["check"], said["variant"] or ""))
    return claims


CLAIMS = [claim for file in FILES for claim in claims_of(file)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Claim, Future[Ran]]]:
    """Every defect's run, under way."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {claim: pool.submit(conduct, claim, tmp_path_factory.mktemp("runs")) for claim in CLAIMS}


def conduct(claim: Claim, out: Path) -> Ran:
    scenario = f"failure-modes/{claim.file.stem}"
    return run_harness(scenario, {"system.env.DEFECTS": claim.defect}, out, variant=claim.variant)


@pytest.mark.e2e
@pytest.mark.parametrize("claim", CLAIMS, ids=str)
def test_the_defect_fails_the_run_by_the_check_that_is_named(runs: dict[Claim, Future[Ran]], claim: Claim):
    ran = runs[claim].result()
    assert ran.exit_code == 1, ran.said
    assert claim.check in ran.failed, ran.said


def test_a_line_that_says_it_in_other_words_is_no_claim_that_is_passed_by(tmp_path: Path):
    file = tmp_path / "a.yaml"
    file.write_text("# Its defect: blind-resend in reset, caught by duplicates.\n")
    with pytest.raises(ValueError, match="write `# Its defect: NAME, caught by CHECK in VARIANT"):
        claims_of(file)
    file.write_text("# Its defect: no-such-bug, caught by duplicates.\n")
    with pytest.raises(ValueError, match="no-such-bug"):
        claims_of(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_names_its_defects_and_a_variant_wherever_it_has_some(file: Path):
    claims, variants = claims_of(file), variants_of(file)
    assert claims, f"{file.name} says of no defect that it catches it"
    for claim in claims:
        assert claim.variant in (variants or ("",))
        assert claim.check in dict(load(file, variant=claim.variant or None).expectations())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_document_has_a_row_for_the_file_with_each_of_its_defects(file: Path):
    row = next(line for line in DOCUMENT.splitlines() if f"/{file.name})" in line)
    for claim in claims_of(file):
        assert f"`{claim.defect}`" in row
        assert claim.check in row


def test_the_document_names_no_file_that_is_not_there():
    named = set(re.findall(r"scenarios/failure-modes/([\w-]+\.yaml)\)", DOCUMENT))
    assert named == {file.name for file in FILES}


def test_every_defect_whose_check_exists_is_tried_by_a_scenario():
    catchable = {defect for defect, entry in CATALOGUE.items() if set(entry.caught_by) & set(CHECKS)}
    assert catchable <= {claim.defect for claim in CLAIMS} | tried_elsewhere()


def tried_elsewhere() -> set[Defect]:
    """What the tests of the other scenarios plant."""
    tests = [ROOT / "tests" / name for name in ("test_short_runs.py", "test_webhook_loss.py")]
    text = "\n".join(test.read_text(encoding="utf-8") for test in tests)
    return {defect for defect in Defect if f'"{defect}"' in text}
