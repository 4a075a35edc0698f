"""JUnit XML that the strictest reader takes, and that is never green without a pass."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema

from harness.report.junit import render_junit, write_junit
from tests.report.samples import Sample

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "junit-10.xsd")


def suites(*samples: Sample) -> ET.Element:
    root = ET.fromstring(render_junit([sample.judgement for sample in samples]))
    SCHEMA.validate(root)
    return root


@pytest.mark.parametrize("kind", ["passing", "failing", "inconclusive", "baseline_unmet", "hostile"])
def test_every_kind_of_run_is_valid(sample_of: dict[str, Sample], kind: str) -> None:
    suites(sample_of[kind])


def test_the_schema_refuses_what_jenkins_refuses() -> None:
    for inside in ("<testcase name='a' file='b'/>", "<testcase name='a'><properties/></testcase>"):
        xml = f"<testsuite name='s' tests='1' failures='0' errors='0'>{inside}</testsuite>"
        assert not SCHEMA.is_valid(f"<testsuites>{xml}</testsuites>")


def test_a_case_for_each_check_that_decides_and_the_rest_in_system_out(sample_of: dict[str, Sample]) -> None:
    (suite,) = suites(sample_of["passing"])
    names = [case.get("name") for case in suite.iter("testcase")]
    assert names == ["duplicates", "delivered", "throttle", "waves", "mttd", "mttr"]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "0", "0")
    assert "pass: exposure:" in (suite.findtext("system-out") or "")


def test_a_failure_tells_the_life_of_the_worst_message(sample_of: dict[str, Sample]) -> None:
    (suite,) = suites(sample_of["failing"])
    failure = suite.find("testcase[@name='duplicates']/failure")
    assert failure is not None and failure.get("message") == "6 of 325 messages arrived twice"
    assert "takes the first copy; the acknowledgement is lost" in (failure.text or "")
    assert "takes copy 2" in (failure.text or "")


def test_inconclusive_is_an_error_and_never_a_skip(sample_of: dict[str, Sample]) -> None:
    (suite,) = suites(sample_of["inconclusive"])
    assert suite.get("errors") == "2" and suite.find(".//skipped") is None
    assert {error.get("type") for error in suite.iter("error")} == {"inconclusive"}


def test_a_run_that_judged_nothing_is_red(sample_of: dict[str, Sample]) -> None:
    (suite,) = suites(sample_of["baseline_unmet"])
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    error = suite.find("testcase[@name='run']/error")
    assert error is not None and error.get("type") == "baseline-unmet"
    assert "exited with code 1" in error.get("message", "")


def test_metrics_are_properties_in_the_case_s_output(sample_of: dict[str, Sample]) -> None:
    (suite,) = suites(sample_of["passing"])
    assert "[[PROPERTY|mttd_s_max=2.1]]" in (suite.findtext("testcase[@name='mttd']/system-out") or "")


def test_repeats_of_a_scenario_have_names_of_their_own(sample_of: dict[str, Sample]) -> None:
    root = suites(sample_of["passing"], sample_of["failing"], sample_of["baseline_unmet"])
    assert [suite.get("name") for suite in root] == [
        "m365-auth-outage",
        "m365-auth-outage #2",
        "m365-auth-outage #3",
    ]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("13", "2", "2")


def test_the_file_s_folder_is_made(sample_of: dict[str, Sample], tmp_path: Path) -> None:
    path = write_junit([sample_of["passing"].judgement], tmp_path / "new" / "junit.xml")
    assert path.read_bytes().startswith(b"<?xml version='1.0' encoding='utf-8'?>")
