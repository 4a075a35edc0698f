"""The catalogue of planted bugs: complete, named after checks that exist, and shown as it is."""

from __future__ import annotations

import re
from pathlib import Path

import mailrouter
from mailrouter.defects import CATALOGUE, Defect, table

from harness.checks import CHECKS

SYSTEM = Path(mailrouter.__file__).resolve().parent


def test_every_defect_is_in_the_catalogue_and_caught_by_something() -> None:
    assert set(CATALOGUE) == set(Defect)
    assert all(entry.caught_by for entry in CATALOGUE.values())


def test_a_check_that_catches_one_exists_and_does_not_fail_besides() -> None:
    for entry in CATALOGUE.values():
        assert set(entry.caught_by) | set(entry.also) <= set(CHECKS)
        assert not set(entry.caught_by) & set(entry.also)
        assert all(entry.also.values())


def test_every_defect_is_planted_somewhere() -> None:
    sources = [path for path in SYSTEM.rglob("*.py") if path.name != "defects.py"]
    read = {name for path in sources for name in re.findall(r"Defect\.(\w+)", path.read_text())}
    assert read == {defect.name for defect in Defect}


def test_the_table_in_the_readme_is_the_catalogue() -> None:
    assert table() in (SYSTEM / "README.md").read_text(encoding="utf-8"), (
        "fixtures/systems/mailrouter/README.md is stale: put in what mailrouter.defects.table() gives"
    )
