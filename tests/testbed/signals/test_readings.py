"""From a scenario to readings: which source, which question, what is shared, and where templates lead."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from harness.scenario.models import Scenario
from harness.scenario.system import System
from harness.testbed.commands import Surround
from harness.testbed.signals.question import AskFirstColumn, AskJson, AskMetrics, AskText
from harness.testbed.signals.readings import (
    PUMP_LAG_NS,
    Reach,
    readings_of,
    states_source,
    webhook_names,
)
from harness.testbed.signals.webhook import Webhook
from harness.testbed.system.states import States, StatesUnreadable, Told
from tests.scenario.writing import loaded

SIGNALS = """\
    by_http: {http: /status, when: down}
    also_by_http: {http: /status, value: queue, every: 1s}
    other_path: {http: /queue, value: depth}
    by_metrics: {prometheus: /status, value: depth}
    by_log: {log: down, until: up}
    by_log_too: {log: 'depth=(?P<value>.*)'}
    by_own_log: {log: down, file: "{{ system.state_dir }}/app.log"}
    by_file: {file: "{{ system.state_dir }}/status", when: down}
    by_text: {file: "{{ system.state_dir }}/status", format: text, when: down}
    by_file_of_the_scenario: {file: status.json, when: down}
    by_sql: {sql: "select 1", database: "sqlite:///{{ system.state_dir }}/x.db"}
    by_sql_too: {sql: "select 1", database: "sqlite:///{{ system.state_dir }}/x.db", value: n}
    by_command: {command: [python, -c, "print('{{ system.state_dir }}')"], format: text, when: down}
    by_webhook: {webhook: alerts, when: down, route: backup}
"""


@pytest.fixture
def scenario() -> Scenario:
    return loaded(("workload:", f"{SIGNALS}workload:"), ("SENDERS: 4", 'ALERTS: "{{ webhooks.alerts }}"'))


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    return Reach(
        base_url="http://127.0.0.1:1",
        log_path=tmp_path / "system.log",
        context={"system": {"state_dir": str(tmp_path / "state")}, "python": sys.executable},
        commands=Surround(env=os.environ, cwd=tmp_path, marker="readings"),
    )


async def test_what_is_read_in_the_same_way_from_the_same_place_is_one_source(
    scenario: Scenario, reach: Reach
) -> None:
    hook = Webhook("alerts")
    readings = {r.signal: r for r in readings_of(scenario, reach, {"alerts": hook})}
    sources = {name: reading.source for name, reading in readings.items()}
    shared = [("by_http", "also_by_http"), ("by_http", "detected"), ("by_log", "by_log_too")]
    shared += [("by_sql", "by_sql_too")]
    assert all(sources[one] is sources[other] for one, other in shared)
    assert len(set(sources.values())) == len(sources) - len(shared)
    assert sources["by_webhook"] is hook
    for source in set(sources.values()) - {hook}:
        await source.close()


async def test_only_what_the_system_prints_is_behind_the_truth(scenario: Scenario, reach: Reach) -> None:
    lags = {r.signal: r.lag_ns for r in readings_of(scenario, reach, {"alerts": Webhook("alerts")})}
    assert lags["by_log"] == PUMP_LAG_NS
    assert {lag for name, lag in lags.items() if name not in ("by_log", "by_log_too")} == {0}


async def test_each_has_its_question_its_route_and_its_pace(scenario: Scenario, reach: Reach) -> None:
    readings = {r.signal: r for r in readings_of(scenario, reach, {"alerts": Webhook("alerts")})}
    questions = {name: type(reading.question).__name__ for name, reading in readings.items()}
    assert questions == {
        "detected": AskJson.__name__, "by_http": AskJson.__name__, "also_by_http": AskJson.__name__,
        "other_path": AskJson.__name__, "by_metrics": AskMetrics.__name__, "by_log": "LogWatch",
        "by_log_too": "LogWatch", "by_own_log": "LogWatch", "by_file": AskJson.__name__,
        "by_text": AskText.__name__, "by_file_of_the_scenario": AskJson.__name__,
        "by_sql": AskFirstColumn.__name__, "by_sql_too": AskJson.__name__, "by_command": AskText.__name__,
        "by_webhook": AskJson.__name__,
    }  # fmt: skip
    assert readings["by_log"].question.is_condition and not readings["by_log_too"].question.is_condition
    assert (readings["by_webhook"].route, readings["detected"].route) == ("backup", "primary")
    assert [readings[name].every_ns // 10**6 for name in ("by_http", "also_by_http", "by_command")] == [
        100, 1000, 1000
    ]  # fmt: skip
    for reading in readings.values():
        if not isinstance(reading.source, Webhook):
            await reading.source.close()


async def test_templates_and_relative_paths_lead_where_they_say(scenario: Scenario, reach: Reach) -> None:
    readings = {r.signal: r for r in readings_of(scenario, reach, {"alerts": Webhook("alerts")})}
    folder = reach.commands.cwd
    assert readings["by_file"].source.how == f"file {folder}/state/status"
    assert readings["by_file_of_the_scenario"].source.how == f"file {folder}/status.json"
    assert readings["by_own_log"].source.how == f"log {folder}/state/app.log"
    command = readings["by_command"].source
    assert not isinstance(command, Webhook)
    assert await command.read() == f"{folder}/state\n"


def test_webhooks_are_named_once(scenario: Scenario) -> None:
    assert webhook_names(scenario) == ["alerts"]
    assert webhook_names(loaded()) == []


STATES = {
    "by a file": '{file: "states.json", items: messages}',
    "by a command": '{command: [cat, states.json], items: "messages[].{token: token, state: state}"}',
    "by a query": '{sql: "select token, state from m", database: "sqlite:///m.db"}',
}


def states_of(text: str, reach: Reach) -> States:
    system: System = loaded(("workload:", f"  states: {text}\nworkload:")).system
    assert system.states is not None
    return States(states_source(system.states, reach), system.states.items)


@pytest.mark.parametrize("way", STATES)
async def test_states_come_from_any_document(way: str, reach: Reach) -> None:
    folder = reach.commands.cwd
    (folder / "states.json").write_text('{"messages": [{"token": "a", "state": "held"}]}')
    connection = sqlite3.connect(folder / "m.db")
    connection.execute("create table m as select 'a' as token, 'held' as state")
    connection.commit()
    connection.close()
    states = states_of(STATES[way], reach)
    assert await states.read() == [Told("a", None, "held")]
    await states.close()


@pytest.mark.parametrize(
    ("said", "events"),
    [
        ('["delivered", "bounced"]', ["delivered", "bounced"]),
        ('"delivered, bounced"', ["delivered", "bounced"]),
        ("[]", []),
        ('""', []),
        ("null", None),
    ],
)
async def test_states_may_name_the_events_that_the_system_knows_of(
    said: str, events: list[str] | None, reach: Reach
) -> None:
    text = f'{{"messages": [{{"recipient": "c.a@customer.example", "state": "sent", "events": {said}}}]}}'
    (reach.commands.cwd / "states.json").write_text(text)
    states = states_of(STATES["by a file"], reach)
    assert await states.read() == [Told("a", "c.a@customer.example", "sent", events)]


@pytest.mark.parametrize("said", ["7", "[7]", '{"delivered": true}'])
async def test_events_that_are_no_words_make_no_sense(said: str, reach: Reach) -> None:
    text = f'{{"messages": [{{"token": "a", "state": "sent", "events": {said}}}]}}'
    (reach.commands.cwd / "states.json").write_text(text)
    with pytest.raises(StatesUnreadable, match="neither a list of words nor a text"):
        await states_of(STATES["by a file"], reach).read()


async def test_a_query_names_events_in_a_column(reach: Reach) -> None:
    connection = sqlite3.connect(reach.commands.cwd / "m.db")
    connection.execute("create table m (token text, event text)")
    connection.executemany("insert into m values (?, ?)", [("a", "processed"), ("a", "delivered")])
    connection.commit()
    connection.close()
    query = "select token, 'sent' as state, group_concat(event) as events from m group by token"
    states = states_of(f'{{sql: "{query}", database: "sqlite:///m.db"}}', reach)
    assert await states.read() == [Told("a", None, "sent", ["processed", "delivered"])]
    await states.close()


@pytest.mark.parametrize("way", STATES)
async def test_states_that_cannot_be_read_say_so(way: str, reach: Reach) -> None:
    states = states_of(STATES[way], reach)
    with pytest.raises(StatesUnreadable, match=r"unreachable|exited with code 1"):
        await states.read()
    await states.close()
