"""A small valid scenario, and ways to spoil it."""

from __future__ import annotations

from pathlib import Path

from harness.scenario.errors import Problem, ScenarioError
from harness.scenario.loader import load_text
from harness.scenario.models import Scenario

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
FILE = "drill.yaml"

VALID = """\
scenario: drill
summary: The primary is down for a while.
seed: 7
baseline: {for: 2s}
providers:
  m365: {fake: microsoft365-smtp, limits: {messages_per_minute: 1200}}
  grid: {fake: sendgrid, limits: {rate: 50/s, burst: 50}}
  pit: {fake: mailpit}
routes:
  primary: {provider: m365}
  backup: {provider: grid}
  third: {provider: pit}
system:
  process: [python, -m, mailrouter]
  env: {PRIMARY_URL: "{{ routes.primary.url }}", SENDERS: 4}
  submit: {http: "POST /messages"}
  longest_retry: 2s
  signals:
    detected: {http: /status, when: "routes.primary.state == 'down'"}
workload:
  - {stream: receipts, class: transactional, rate: 5/s, for: 20s, within: 1s}
  - {stream: newsletter, class: marketing, count: 100, at: 6s}
faults:
  - {at: 5s, for: 8s, on: primary, fault: auth-failure}
  - {at: 7s, for: 2s, on: backup, fault: latency, latency: 400ms, jitter: 100ms}
drain: {deadline: 60s}
expect:
  duplicates: none
  delivered: all
  throttle: {primary: {rate: 20/s, burst: 20}, backup: {rate: 50/s, burst: 50}}
  waves: {class: marketing, share: 10%, every: 2s}
  mttd: 5s
  mttr: 15s
"""


def changed(*changes: tuple[str, str]) -> str:
    """The valid scenario with texts replaced; each must be there."""
    text = VALID
    for old, new in changes:
        assert old in text, f"{old!r} is not in the valid scenario"
        text = text.replace(old, new)
    return text


def loaded(*changes: tuple[str, str], sets: tuple[str, ...] = ()) -> Scenario:
    return load_text(changed(*changes), FILE, sets)


def problems(text: str, *sets: str) -> tuple[Problem, ...]:
    """What is wrong with a scenario; empty if nothing is."""
    try:
        load_text(text, FILE, sets)
    except ScenarioError as error:
        return error.problems
    return ()


def problem(text: str, *sets: str) -> Problem:
    """The one thing that is wrong with a scenario."""
    found = problems(text, *sets)
    assert len(found) == 1, "\n\n".join(each.render() for each in found) or "nothing is wrong"
    return found[0]
