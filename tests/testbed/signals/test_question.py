"""Questions to a document: what is a value, and what is garbage."""

from __future__ import annotations

import json

import pytest

from harness.testbed.signals.prometheus import parse_query, parse_samples
from harness.testbed.signals.question import AskFirstColumn, AskJson, AskText
from harness.testbed.signals.source import Garbage

METRICS = """# TYPE route_up gauge
route_up{route="primary",zone="a"} 0
route_up{route="backup",zone="a"} 1
# TYPE queue gauge
queue{class="x"} 3
queue{class="y"} 4
"""


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("queue", 7),
        ('queue{class="x"}', 3),
        ('route_up{route="primary"} == 0', True),
        ('route_up{route="backup",zone="a"} < 1', False),
        ("absent", None),
        ('queue{class="z"} == 0', None),
    ],
)
def test_a_selector_answers_from_one_scrape(query: str, value: object) -> None:
    assert parse_query(query).evaluate(parse_samples(METRICS)) == value


@pytest.mark.parametrize("text", ["", "a b", "queue{", "queue{class=x}", 'queue{class="x"} ~ 1'])
def test_what_is_no_selector_is_refused_with_the_form_expected(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_query(text)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (r"depth=(?P<value>\d+)", 12),
        (r"load=(?P<value>\S+)", 0.5),
        (r"route=(?P<value>\w+)", "backup"),
        (r"^route=\w+$", "route=backup"),
        (r"\d+", 12),
    ],
)
def test_a_text_s_value_is_the_group_or_the_whole_match_and_a_number_where_it_is_one(
    expression: str, value: object
) -> None:
    text = "depth=12\nroute=backup\nload=0.5\n"
    assert AskText(expression, is_condition=False).values(text) == [value]


def test_a_text_is_asked_whether_something_is_in_it() -> None:
    assert AskText("^paused$", is_condition=True).values("running\npaused\n") == [True]
    assert AskText("^paused$", is_condition=True).values("running\n") == [False]


def test_a_value_that_is_not_in_the_text_is_not_zero() -> None:
    with pytest.raises(Garbage, match="not found"):
        AskText(r"depth=(?P<value>\d+)", is_condition=False).values("")


def test_a_text_that_no_file_can_hold_is_told_as_far_as_it_can_be() -> None:
    (value,) = AskJson("@", is_condition=False).values(json.loads('"\\ud800 x"'))
    assert value == "? x"
    with pytest.raises(Garbage) as caught:
        AskJson("abs(@)", is_condition=False).values(json.loads('"\\ud800"'))
    assert caught.value.said.encode()


@pytest.mark.parametrize(
    ("expression", "document"),
    [
        ("depth > `3`", {"depth": "n/a"}),
        ("length(queue[?age > `3`]) > `0`", {"queue": [{"age": "old"}]}),
        ("max_by(queue, &age).age", {"queue": [{"age": 1}, {"age": "old"}]}),
        ("ceil(depth)", {"depth": float("inf")}),
        ("floor(depth)", {"depth": float("nan")}),
        ("sum(depth)", {"depth": 3}),
        ("depth[::0]", {"depth": [1]}),
    ],
)
def test_a_document_that_does_not_fit_the_question_is_garbage(expression: str, document: object) -> None:
    with pytest.raises(Garbage):
        AskJson(expression, is_condition=False).values(document)


@pytest.mark.parametrize("document", [None, {"n": None}, {"n": [1]}, {}])
def test_no_row_or_an_empty_one_is_not_zero(document: object) -> None:
    with pytest.raises(Garbage):
        AskFirstColumn().values(document)


@pytest.mark.parametrize("found", ["null", "{}", "[]", "1e999", "1" + "0" * 30])
def test_what_is_no_value_is_garbage(found: str) -> None:
    with pytest.raises(Garbage):
        AskJson("found", is_condition=False).values({"found": json.loads(found)})
