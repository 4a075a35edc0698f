"""The JSON Schema agrees with the models: what it refuses they refuse, and in structure the other way too."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from harness.scenario import models
from harness.scenario.errors import ScenarioError
from harness.scenario.loader import load_text
from harness.scenario.models import Scenario
from harness.scenario.schema import json_schema
from tests.scenario.writing import FILE, SCENARIOS, VALID

VALIDATOR = Draft202012Validator(json_schema())


def parsed(text: str) -> dict[str, Any]:
    return dict(YAML(typ="safe", pure=True).load(text))


BROAD = parsed(
    VALID.replace(
        "drain:",
        """\
  - {at: 14s, for: 1s, on: primary, fault: refuse, code: 451, text: later, share: 50%, every: 2, count: 3}
  - {at: 16s, for: 1s, on: backup, fault: ack-loss, class: marketing, incident: second}
  - {at: 18s, for: 1s, on: third, fault: reset, after: 50ms}
  - {at: 20s, for: 1s, on: third, fault: bandwidth, rate: 4kB/s, stream: downstream}
  - {at: 20s, for: 1s, on: third, fault: slice, size: 20B, delay: 5ms}
  - {at: 20s, for: 1s, on: third, fault: slow-close, delay: 1s}
  - {at: 20s, for: 1s, on: backup, fault: throttle, rate: 2/s, burst: 4, retry_after: 3s, recipient: "*@x"}
  - {at: 22s, for: 1s, on: backup, fault: bounce, event: complained, nth: 2}
  - {at: 25s, for: 1s, on: backup, fault: slow-ack, delay: 2s}
  - {at: 19s, on: system, fault: kill, restart_after: 500ms}
  - {at: 22s, on: system, fault: restart, grace: 2s}
  - {at: 24s, for: 1s, on: system, fault: pause}
operator: [{at: 3s, action: approve}]
drain:""",
    )
    .replace('{http: "POST /messages"}', '{http: "POST /messages", from: a@shop.example, timeout: 2s}')
    .replace("{provider: m365}", "{provider: m365, listen: 127.0.0.1:2525}")
    .replace(
        "system:\n",
        "system:\n  ready: {http: /status}\n  path: .\n  canaries: [probe@canary.example]\n"
        '  states: {http: /messages, items: "messages[]"}\n'
        '  setup: [[touch, "{{ run_dir }}/x"]]\n  teardown: [[rm, "{{ run_dir }}/x"]]\n'
        '  operator: {approve: {http: "POST /approve", body: {by: me}}, look: {command: ["true"]}}\n',
    )
    .replace(
        "workload:\n",
        """\
    by-metrics: {prometheus: /metrics, value: queue, route: backup, every: 1s}
    by-log: {log: down, until: up, file: app.log}
    by-file: {file: status.json, format: text, when: down}
    by-sql: {sql: "select 1", database: "sqlite:///x.db", value: n}
    by-command: {command: [mailq, -j], value: "@"}
    by-webhook: {webhook: alerts, when: down}
workload:
""",
    )
    .replace("SENDERS: 4", 'SENDERS: 4, ALERTS: "{{ webhooks.alerts }}"')
    .replace("count: 100", "count: 100, expires: 60s, recipients: {pool: [a@x.example]}")
)
"""A scenario with every part of the format in it."""


def schema_takes(data: object) -> bool:
    return bool(VALIDATOR.is_valid(data))


def models_take(data: object) -> bool:
    written = StringIO()
    YAML(typ="safe", pure=True).dump(data, written)
    try:
        load_text(written.getvalue(), FILE)
    except ScenarioError:
        return False
    return True


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in a tree of dicts and lists."""
    found = [path]
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, inner in steps:
        found += places(inner, (*path, step))
    return found


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_scenarios_are_valid(path: Any) -> None:
    VALIDATOR.validate(parsed(path.read_text(encoding="utf-8")))


def test_the_broad_scenario_is_taken_by_both() -> None:
    VALIDATOR.validate(BROAD)
    assert models_take(BROAD)


@pytest.mark.parametrize(
    ("entry", "valid"),
    [
        ({"at": "5s", "on": "primary", "sequence": "m365-2026-01-22", "speed": 100}, True),
        ({"at": "5s", "on": "primary", "sequence": "m365-2026-01-22", "status": "page"}, True),
        ({"at": "5s", "on": "primary", "sequence": "m365-1999-12-31"}, False),
        ({"at": "5s", "on": "primary", "sequence": "backup-cold", "sped": 100}, False),
        ({"on": "primary", "sequence": "backup-cold"}, False),
        ({"at": "5s", "on": "primary", "sequence": "backup-cold", "speed": 0}, False),
    ],
)
def test_a_sequence_is_one_of_those_that_are_there(entry: dict[str, Any], valid: bool) -> None:
    assert schema_takes(BROAD | {"faults": [entry]}) == valid


def test_the_resolved_scenario_is_valid() -> None:
    written = StringIO()
    YAML(typ="safe", pure=True).dump(BROAD, written)
    scenario = load_text(written.getvalue(), FILE)
    VALIDATOR.validate(scenario.resolved())
    again = StringIO()
    YAML(typ="safe", pure=True).dump(scenario.resolved(), again)
    assert load_text(again.getvalue(), FILE).model_dump() == scenario.model_dump()


def test_every_key_of_the_format_is_explained() -> None:
    schema = json_schema()
    silent = [
        f"{name}.{key}"
        for name, part in {"": schema, **schema["$defs"]}.items()
        for key, value in part.get("properties", {}).items()
        if (name in dir(models) or not name) and not {"description", "$ref", "const"} & value.keys()
    ]
    assert not silent


REPLACEMENTS = st.one_of(
    st.booleans(),
    st.integers(-2, 1000),
    st.text("abs /%", max_size=4),
    st.just([]),
    st.just({}),
    st.sampled_from(["5s", "10/s", "10%", "none", "all", "outage", "primary", "transactional", 0.5, 451]),
)


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """The broad scenario with a key removed, added or renamed, or a value replaced."""
    data = copy.deepcopy(BROAD)
    kind = draw(st.sampled_from(["remove", "add", "replace"]))
    path = draw(st.sampled_from([p for p in places(data) if p]))
    parent = at(data, path[:-1])
    if kind == "remove":
        del parent[path[-1]]
    elif kind == "add":
        target = at(data, path)
        if isinstance(target, dict):
            target["unheard-of"] = draw(REPLACEMENTS)
    else:
        parent[path[-1]] = draw(REPLACEMENTS)
    return kind, data


@given(mutations())
@settings(max_examples=150)
def test_what_the_schema_refuses_the_models_refuse(mutation: tuple[str, dict[str, Any]]) -> None:
    _, data = mutation
    if not schema_takes(data):
        assert not models_take(data)


STRUCTURAL = {
    "missing", "extra_forbidden", "dict_type", "model_type", "tuple_type", "list_type", "string_type",
    "int_type", "literal_error", "union_tag_invalid", "union_tag_not_found", "string_pattern_mismatch",
    "greater_than_equal", "less_than_equal", "string_too_short",
}  # fmt: skip


@given(mutations())
@settings(max_examples=150)
def test_what_the_models_refuse_for_its_structure_the_schema_refuses(
    mutation: tuple[str, dict[str, Any]],
) -> None:
    _, data = mutation
    try:
        Scenario.model_validate(data)
    except ValidationError as error:
        kinds = {each["type"] for each in error.errors()}
        # A tuple of refused entries counts as too short, which is the entries' fault.
        if kinds & STRUCTURAL or kinds == {"too_short"}:
            assert not schema_takes(data)
