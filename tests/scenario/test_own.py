"""Checks of one's own in a scenario: read when it is loaded, and recorded with their text."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario.errors import ScenarioError
from harness.scenario.loader import load, load_text
from harness.scenario.models import Scenario
from tests.scenario.writing import VALID

OWN = """\
  own:
    late: {sql: checks/late.sql, params: {within: 2s}, needs: [exposure]}
    vip-first: {python: "checks/vip.py:vip_first"}
"""
LATE = "select case when copies > 1 and $within <> '' then 'twice' end as why from fates where run = $run"
VIP = "def vip_first(history, run, params): ..."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "late.sql").write_text(LATE)
    (tmp_path / "checks" / "vip.py").write_text(VIP)
    file = tmp_path / "drill.yaml"
    file.write_text(VALID + OWN)
    return file


def test_each_is_an_expectation_with_the_text_that_its_file_had(file: Path) -> None:
    expected = dict(load(file).expectations())
    (file.parent / "checks" / "late.sql").unlink()
    assert list(expected)[-2:] == ["own.late", "own.vip-first"]
    assert expected["own.late"].model_dump(mode="json", exclude_none=True) == {
        "sql": "checks/late.sql",
        "params": {"within": "2s"},
        "needs": ["exposure"],
        "text": LATE,
    }
    assert expected["own.vip-first"].model_dump()["text"] == VIP


def test_what_one_is_given_can_be_set_from_outside(file: Path) -> None:
    scenario = load(file, ["expect.own.late.params.within=5s"])
    assert dict(scenario.expectations())["own.late"].model_dump()["params"] == {"within": "5s"}


def test_a_scenario_written_out_in_full_loads_again(file: Path) -> None:
    resolved = load(file).resolved()
    assert Scenario.model_validate(resolved).resolved() == resolved
    assert resolved["expect"]["own"]["vip-first"]["python"] == "checks/vip.py:vip_first"


def test_everything_that_is_wrong_is_said_at_once(file: Path) -> None:
    text = VALID + OWN.replace("late.sql", "lat.sql").replace("vip_first", "vip_frist")
    with pytest.raises(ScenarioError) as refused:
        load_text(text, file)
    assert [(each.path, each.meant) for each in refused.value.problems] == [
        ("expect.own.late.sql", "checks/late.sql"),
        ("expect.own.vip-first.python", "checks/vip.py:vip_first"),
    ]


def test_none_at_all_is_a_slip(file: Path) -> None:
    with pytest.raises(ScenarioError, match="must hold at least one entry"):
        load_text(VALID + "  own: {}\n", file)


def test_a_text_that_is_too_large_or_no_text_is_refused(file: Path) -> None:
    late, vip = file.parent / "checks" / "late.sql", file.parent / "checks" / "vip.py"
    late.write_bytes(b"-" * 300_000)
    vip.write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError) as refused:
        load(file)
    assert ["KiB" in refused.value.problems[0].message, "UTF-8" in refused.value.problems[1].message] == [
        True,
        True,
    ]
