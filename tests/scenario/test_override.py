"""`--set path=value`: what it addresses, what it may add, and how it answers a slip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario.errors import ScenarioError
from harness.scenario.loader import load_text
from tests.scenario.writing import FILE, VALID, loaded, problem

S = 1_000_000_000


def test_streams_providers_and_routes_go_by_name() -> None:
    scenario = loaded(
        sets=(
            "workload.receipts.for=5s",
            "providers.m365.limits.messages_per_minute=60",
            "routes.third.provider=grid",
        )
    )
    assert scenario.workload[0].for_ == 5 * S
    assert scenario.providers["m365"].limits == {"messages_per_minute": 60}
    assert scenario.routes["third"].provider == "grid"


@pytest.mark.parametrize("path", ["faults.1.at", "faults[1].at"])
def test_other_lists_go_by_index(path: str) -> None:
    assert loaded(sets=(f"{path}=8s",)).faults[1].at == 8 * S


def test_a_stream_goes_by_index_too() -> None:
    assert loaded(sets=("workload.1.count=7",)).workload[1].count == 7


def test_values_are_yaml() -> None:
    assert loaded(sets=('system.process=["/bin/false"]',)).system.process == ("/bin/false",)


def test_a_key_that_is_not_there_is_added() -> None:
    scenario = loaded(sets=("system.env.DEFECTS=blind-resend", "system.ready.http=/status"))
    assert scenario.system.env["DEFECTS"] == "blind-resend"
    assert scenario.system.ready is not None and scenario.system.ready.http == "/status"


def test_an_empty_value_is_an_empty_text() -> None:
    assert loaded(sets=("system.env.DEFECTS=",)).system.env["DEFECTS"] == ""


def test_null_takes_a_key_away() -> None:
    expected = {name for name, _ in loaded(sets=("expect.mttr=null", "expect.waves=null")).expectations()}
    assert expected == {"duplicates", "delivered", "throttle", "mttd"}


def test_values_may_hold_an_equals_sign() -> None:
    assert loaded(sets=("system.env.QUERY=a=b",)).system.env["QUERY"] == "a=b"


def test_later_ones_win_and_all_are_remembered() -> None:
    scenario = loaded(sets=("seed=1", "seed=2"))
    assert scenario.seed == 2
    assert scenario.overrides == ("seed=1", "seed=2")
    assert scenario.source_text == VALID


def test_its_errors_name_its_text_and_no_line() -> None:
    found = problem(VALID, "faults.0.on=primry")
    assert (found.override, found.line, found.meant) == ("faults.0.on=primry", 0, "primary")


def test_several_wrong_ones_are_reported_together() -> None:
    with pytest.raises(ScenarioError) as caught:
        load_text(VALID, FILE, ["workload.x.for=1s", "faults.9.at=1s"])
    assert len(caught.value.problems) == 2


@given(st.text(alphabet="abfoutls.[]=:{}0129 \n*&!\"'", max_size=30))
def test_any_text_is_applied_or_refused(text: str) -> None:
    try:
        load_text(VALID, FILE, [text])
    except ScenarioError as error:
        assert all(each.render() for each in error.problems)
