"""Variants: several scenarios in one file, which differ in a few values."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.scenarios import ScenariosInvalid, load_and_plan
from harness.scenario.errors import ScenarioError
from harness.scenario.loader import load_text, variants_of
from tests.scenario.writing import FILE, VALID

VARIANTS = """\
variants:
  as-it-is: {}
  refused: {faults.0.fault: outage}
  busy: {faults.0: {at: 5s, for: 8s, on: primary, fault: refuse, code: 451}, expect.mttr: null}
"""


def file(tmp_path: Path, variants: str = VARIANTS) -> Path:
    path = tmp_path / FILE
    path.write_text(VALID + variants)
    return path


def test_each_variant_is_a_scenario_of_its_own(tmp_path: Path) -> None:
    planned = load_and_plan([file(tmp_path)], (), None)
    assert [each.scenario.scenario for each in planned] == ["drill-as-it-is", "drill-refused", "drill-busy"]
    assert [each.scenario.faults[0].kind for each in planned] == ["auth-failure", "outage", "refuse"]
    assert [each.scenario.faults[1].kind for each in planned] == ["latency"] * 3
    assert "mttr" not in dict(planned[2].scenario.expectations())


def test_what_is_set_on_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    path = file(tmp_path)
    (planned,) = load_and_plan([path], ["faults.0.fault=blackhole"], None, ["refused"])
    assert planned.scenario.faults[0].kind == "blackhole"


def test_a_resolved_variant_has_none(tmp_path: Path) -> None:
    (planned,) = load_and_plan([file(tmp_path)], (), None, ["busy"])
    assert "variants" not in planned.scenario.resolved()


def test_a_file_without_variants_has_no_variant(tmp_path: Path) -> None:
    path = file(tmp_path, "")
    assert variants_of(path) == ()
    with pytest.raises(ScenariosInvalid, match=r"there is no variant `busy`; this file has none"):
        load_and_plan([path], (), None, ["busy"])


def test_every_variant_is_checked_and_wrong_ones_are_told_where_they_stand(tmp_path: Path) -> None:
    path = file(tmp_path, "variants:\n  good: {}\n  bad: {faults.0.fault: outrage}\n  worse: {seed: x}\n")
    with pytest.raises(ScenariosInvalid) as caught:
        load_and_plan([path], (), None)
    lines = len(VALID.splitlines())
    assert f":{lines + 3}:25: faults[0].fault: " in caught.value.message
    assert "did you mean `outage`?" in caught.value.message
    assert f":{lines + 4}:17: seed: " in caught.value.message


def wrong(variants: str, variant: str | None) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_text(VALID + variants, FILE, variant=variant)
    return str(caught.value)


def test_a_path_that_leads_nowhere_is_told_where_it_stands() -> None:
    said = wrong("variants:\n  a: {workload.recepts.for: 5s}\n", "a")
    assert "drill.yaml:" in said and "did you mean `receipts`?" in said and "--set" not in said
    assert "Set the whole of it: `scenario: {…}`" in wrong("variants:\n  a: {scenario.x.y: 1}\n", "a")


def test_a_misspelt_variant_is_told_what_was_meant() -> None:
    assert "did you mean `refused`?" in wrong(VARIANTS, "refusd")


def test_a_file_with_variants_is_not_one_scenario() -> None:
    assert "Say which: as-it-is, refused, busy." in wrong(VARIANTS, None)


@pytest.mark.parametrize("variants", ["variants: {a: 5}", "variants: {a: [x]}", "variants: {a: null}"])
def test_a_variant_is_a_mapping(variants: str) -> None:
    assert "is no mapping of paths to values" in wrong(variants + "\n", "a")


def test_a_value_may_be_a_mapping_and_its_mistakes_have_their_place() -> None:
    said = wrong("variants:\n  a:\n    faults.0:\n      {at: 5s, for: 8s, on: primry, fault: outage}\n", "a")
    assert f"drill.yaml:{len(VALID.splitlines()) + 4}:" in said and "did you mean `primary`?" in said


@pytest.mark.parametrize("variants", ["variants: 5", "variants: [a]"])
def test_variants_that_are_none_are_refused(variants: str) -> None:
    assert "variants" in wrong(variants + "\n", None)
