"""What people read when a scenario is wrong: each message in full, as a file under snapshots/.

UPDATE_SNAPSHOTS=1 writes them anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scenario.writing import VALID, changed, problems

EVENTS = ("longest_retry: 2s", 'longest_retry: 2s\n  events: {grid: "POST /events/sendgrid"}')
SNAPSHOTS = Path(__file__).parent / "snapshots"

PROCESS = "process: [python, -m, mailrouter]"
NO_ENV = ('  env: {PRIMARY_URL: "{{ routes.primary.url }}", SENDERS: 4}\n', "")
LISTENING = [
    ("{provider: m365}", "{provider: m365, listen: 127.0.0.1:2525}"),
    ("{provider: grid}", "{provider: grid, listen: 127.0.0.1:2526}"),
    ("{provider: pit}", "{provider: pit, listen: 127.0.0.1:2527}"),
]

PAUSED = [
    ("drain:", "operator: [{at: 9s, action: pause}]\ndrain:"),
    (PROCESS, PROCESS + '\n  operator: {pause: {http: "POST /pause"}}'),
]
DETECTED = """{http: /status, when: "routes.primary.state == 'down'"}"""


def signal(text: str) -> str:
    """The valid scenario, in which `detected` is this."""
    return changed((DETECTED, text))


def states(text: str) -> str:
    return changed(("workload:\n", f"  states: {text}\nworkload:\n"))


def own(text: str) -> str:
    """The valid scenario, which expects this of its own."""
    return changed(("expect:\n", f"expect:\n  own: {text}\n"))


CASES: dict[str, str | tuple[str, ...]] = {
    "unknown-key": changed(("summary:", "sumary:")),
    "unknown-key-in-a-fault": changed(("jitter: 100ms", "jiter: 100ms")),
    "misspelt-required-key": changed(("latency: 400ms", "latncy: 400ms")),
    "unknown-fault": changed(("fault: auth-failure", "fault: auth_failure")),
    "fault-without-kind": changed((", fault: auth-failure", "")),
    "unknown-fake": changed(("fake: sendgrid", "fake: sendgird")),
    "unknown-provider": changed(("{provider: m365}", "{provider: m356}")),
    "unknown-route": changed(("on: primary", "on: primery")),
    "unknown-check": changed(("duplicates: none", "duplicate: none")),
    "unknown-route-in-an-expectation": changed(("throttle: {primary:", "throttle: {primry:")),
    "unknown-class-in-an-expectation": changed(("waves: {class: marketing", "waves: {class: newsletter")),
    "unknown-fallback-in-an-expectation": changed(
        (
            "waves: {class: marketing",
            "fallback: {after: 5s, within: 5s, route: sms}\n  waves: {class: marketing",
        )
    ),
    "text-for-a-check-without-a-short-form": changed(("mttd: 5s", "fallback: 5s")),
    "text-for-a-check-that-takes-a-number": changed(("mttd: 5s", "cost: few")),
    "list-for-a-check": changed(("mttd: 5s", "mttd: [5s]")),
    "word-that-a-check-has-not": changed(("mttd: 5s", "quiescence: soon")),
    "number-for-a-check-that-takes-a-word": changed(("duplicates: none", "duplicates: 0")),
    "missing-key-of-a-check": changed((", every: 2s}", "}")),
    "missing-key-of-a-bucket": changed(("{rate: 50/s, burst: 50}}\n  waves", "{burst: 50}}\n  waves")),
    "unknown-key-of-a-check": changed(("duplicates: none", "duplicates: {atmost: 1%}")),
    "key-as-python-spells-it": changed(
        ("waves: {class:", "fallback: {after: 1s, within: 2s, class_: marketing}\n  waves: {class_:")
    ),
    "unknown-limit": changed(("messages_per_minute", "messages_per_min")),
    "limit-without-unit": changed(("limits: {rate: 50/s", "limits: {rate: 50")),
    "duration-without-unit": changed(("longest_retry: 2s", "longest_retry: 2")),
    "duration-with-wrong-unit": changed(("for: 8s", "for: 8 sec")),
    "rate-without-unit": changed(("rate: 5/s", "rate: 5")),
    "share-without-unit": changed(("share: 10%", "share: 10")),
    "expectation-without-unit": changed(("mttd: 5s", "mttd: 5")),
    "own-check-of-no-kind": own("{late: {params: {within: 2s}}}"),
    "own-check-of-two-kinds": own("{late: {sql: late.sql, python: 'late.py:late'}}"),
    "own-check-without-a-file": own("{late: {sql: tests/scenario/own/lat.sql}}"),
    "own-check-with-an-unknown-view": own("{late: {sql: tests/scenario/own/no-view.sql}}"),
    "own-check-with-a-misspelt-column": own("{late: {sql: tests/scenario/own/misspelt.sql}}"),
    "own-check-that-writes": own("{late: {sql: tests/scenario/own/writes.sql}}"),
    "own-check-without-a-value": own("{late: {sql: tests/scenario/own/late.sql}}"),
    "own-check-with-a-value-too-many": own(
        "{late: {sql: tests/scenario/own/late.sql, params: {within: 2s, withn: 2s}}}"
    ),
    "own-check-without-its-function": own("{late: {python: 'tests/scenario/own/late.py:lat'}}"),
    "own-check-that-is-no-function": own("{late: {python: tests/scenario/own/late.py}}"),
    "own-check-that-cannot-be-imported": own("{late: {python: 'tests/scenario/own/beside.py:late'}}"),
    "own-check-with-an-unknown-need": own("{late: {sql: tests/scenario/own/late.sql, needs: [exposre]}}"),
    "empty-value": changed(("mttd: 5s", "mttd:")),
    "everything-missing": "scenario: drill\n",
    "missing-key": changed(("drain: {deadline: 60s}\n", "")),
    "within-missing": changed((", within: 1s", "")),
    "rate-without-end": changed(("rate: 5/s, for: 20s", "rate: 5/s")),
    "empty-workload": VALID[: VALID.index("workload:")] + "workload: []\n" + VALID[VALID.index("faults:") :],
    "misspelt-class": changed(("class: transactional", "class: transactinal")),
    "real-recipient": changed(
        ("count: 100", "count: 100, recipients: {pool: [ann@customer.example, bob@gmail.com]}")
    ),
    "wrong-type": changed(("process: [python, -m, mailrouter]", "process: python -m mailrouter")),
    "out-of-range": changed(("latency: 400ms", "latency: 2m")),
    "jitter-above-latency": changed(("jitter: 100ms", "jitter: 500ms")),
    "fraction-of-a-millisecond": changed(("latency: 400ms", "latency: 400.5ms")),
    "fault-that-mailpit-cannot-play": changed(
        ("on: primary, fault: auth-failure", "on: third, fault: ack-loss")
    ),
    "unknown-named-answer": changed(
        ("on: primary, fault: auth-failure", "on: primary, fault: refuse, named: sever-busy")
    ),
    "stage-of-another-protocol": changed(
        ("on: backup, fault: latency, latency: 400ms, jitter: 100ms", "on: backup, fault: hang, stage: rcpt")
    ),
    "kind-that-a-provider-cannot-play": changed(
        ("on: primary, fault: auth-failure", "on: primary, fault: events-lost")
    ),
    "rate-of-nothing": changed(("fault: auth-failure", "fault: bandwidth, rate: 0kB/s")),
    "two-faults-in-a-provider-at-once": changed(
        (
            "faults:\n",
            "faults:\n  - {at: 5s, for: 3s, on: backup, fault: hang, share: 50%}\n"
            "  - {at: 6s, for: 3s, on: backup, fault: silent-drop, every: 2}\n",
        )
    ),
    "unknown-sequence": changed(
        ("for: 8s, on: primary, fault: auth-failure", "on: primary, sequence: m365-2026-01-23")
    ),
    "sequence-of-another-provider": changed(
        ("for: 8s, on: primary, fault: auth-failure", "on: backup, sequence: m365-smtp-auth-retired")
    ),
    "network-fault-on-the-system": changed(("on: primary, fault", "on: system, fault")),
    "claimed-host-for-a-process": changed(("{provider: m365}", "{provider: m365, as: [smtp.office365.com]}")),
    "claimed-host-that-is-none": changed(
        (
            "{provider: m365}",
            "{provider: m365, as: ['https://api.example/v3', '*.office365.com', 127.0.0.1, localhost]}",
        )
    ),
    "fault-on-events-that-nobody-posts": changed(("on: backup", "on: backup.events")),
    "fault-on-an-unknown-endpoint": changed(("on: backup", "on: backup.event"), EVENTS),
    "fault-on-no-target": changed(("on: backup", "on: backup.events.late"), EVENTS),
    "fault-that-events-cannot-have": changed(("on: primary", "on: backup.events"), EVENTS),
    "events-of-nobody": changed(("longest_retry: 2s", 'longest_retry: 2s\n  events: {gird: "POST /events"}')),
    "events-that-no-fake-posts": changed(
        ("longest_retry: 2s", 'longest_retry: 2s\n  events: {m365: "POST /e", pit: "GET /e"}')
    ),
    "two-routes-with-one-host": changed(
        ("third: {provider: pit}", "Back_Up: {provider: pit}\n  back-up: {provider: pit}")
    ),
    "partition-of-a-process": changed(
        ("faults:\n", "faults:\n  - {at: 1s, for: 1s, on: system, fault: partition}\n")
    ),
    "system-faults-at-once": changed(
        (
            "faults:\n",
            "faults:\n  - {at: 1s, for: 3s, on: system, fault: pause}\n"
            "  - {at: 3s, on: system, fault: kill, restart_after: 1s}\n"
            "  - {at: 4s, on: system, fault: restart}\n",
        )
    ),
    "pause-of-a-route": changed(("on: primary, fault: auth-failure", "on: primary, fault: pause")),
    "unknown-variable": changed(("routes.primary.url", "routes.primary.ulr")),
    "template-that-computes": changed(("{{ routes.primary.url }}", "{% for x in y %}{% endfor %}")),
    "template-without-quotes": changed(('"{{ routes.primary.url }}"', "{{ routes.primary.url }}")),
    "bad-jmespath": changed(("routes.primary.state ==", "routes.primary.state =")),
    "signal-without-source": signal("{when: down}"),
    "signal-with-two-sources": signal('{http: /status, sql: "select 1", database: "sqlite:///x", when: x}'),
    "signal-with-two-questions": signal("{http: /status, when: down, value: pending}"),
    "signal-without-question": signal("{file: status.json}"),
    "signal-read-too-often": signal("{http: /status, when: down, every: 1ms}"),
    "command-run-too-often": signal("{command: [mailq], when: down, every: 20ms}"),
    "misspelt-source": signal("{htpt: /status, when: down}"),
    "regular-expression-that-is-none": signal("{log: 'primary (is down'}"),
    "question-to-a-log": signal("{log: down, when: down}"),
    "end-of-a-value": signal("{log: 'depth=(?P<value>.*)', until: done}"),
    "until-without-log": signal("{http: /status, when: down, until: up}"),
    "text-that-is-asked-by-jmespath": signal('{file: status.txt, format: text, when: "state == (down"}'),
    "json-that-is-asked-by-a-regular-expression": signal("{file: status.json, when: '^down$'}"),
    "format-of-an-answer": signal("{http: /status, format: text, when: down}"),
    "unknown-format": signal("{command: [mailq], format: txt, when: down}"),
    "exit-code-of-a-file": signal("{file: status, format: exit-code, when: down}"),
    "query-without-database": signal('{sql: "select 1"}'),
    "query-that-writes": signal('{sql: "delete from outbox", database: "sqlite:///x.db"}'),
    "database-without-query": signal('{http: /status, when: down, database: "sqlite:///x.db"}'),
    "database-in-memory": signal('{sql: "select 1", database: "sqlite:///:memory:"}'),
    "database-that-is-a-file": signal('{sql: "select 1", database: queue.db}'),
    "unknown-variable-in-a-signal": signal('{file: "{{ system.statedir }}/x.json", when: down}'),
    "webhook-that-is-polled": signal("{webhook: alerts, when: down, every: 1s}"),
    "webhook-that-nobody-is-told": signal("{webhook: alerts, when: down}"),
    "unknown-webhook": changed(
        ("SENDERS: 4", 'SENDERS: 4, ALERTS: "{{ webhooks.alert }}", A: "{{ webhooks.alerts }}"'),
        (DETECTED, "{webhook: alerts, when: down}"),
    ),
    "states-without-items": states("{file: states.json}"),
    "states-without-source": states("{items: messages}"),
    "items-of-rows": states('{sql: "select 1", database: "sqlite:///x", items: x}'),
    "duplicate-key": VALID + "summary: again\n",
    "duplicate-stream": changed(("stream: newsletter", "stream: receipts")),
    "tab": changed(("  m365:", "\tm365:")),
    "not-a-mapping": "- a\n- b\n",
    "empty-file": "# nothing yet\n",
    "two-documents": VALID + "---\nscenario: other\n",
    "alias-bomb": "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n"
    "c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\n"
    "e: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e]\n",
    "alias-to-itself": "a: &a [*a]\n",
    "too-deep": "a: " + "[" * 60 + "]" * 60 + "\n",
    "tag": changed(("seed: 7", "seed: !!python/object:os.system 7")),
    "many-at-once": changed(
        ("sendgrid,", "sendgird,"), ("on: backup", "on: bakup"), ("seed: 7", "seed: -1"), ("5/s", "5")
    ),
    "impossible-drain": changed(("drain: {deadline: 60s}", "drain: {deadline: 3s}")),
    "impossible-waves": changed(("share: 10%, every: 2s", "share: 1%, every: 2s")),
    "impossible-throttle": changed(("primary: {rate: 20/s, burst: 20}", "primary: {rate: 1/s, burst: 5}")),
    "impossible-throttle-of-the-backup": changed(
        ("backup: {rate: 50/s, burst: 50}", "backup: {rate: 1/s, burst: 5}, third: {rate: 1/s, burst: 5}"),
        ("mttr: 15s", "mttr: 5s"),
    ),
    "impossible-delivery": changed(
        ("messages_per_minute: 1200", "messages_per_minute: 60"),
        ("rate: 50/s, burst: 50}}\n  pit", "rate: 1/s, burst: 1}}\n  pit"),
        ("  third: {provider: pit}\n", ""),
        ("count: 100,", "count: 4000,"),
        ("share: 10%, every: 2s", "share: 50%, every: 2s"),
    ),
    "impossible-baseline": changed(
        ("messages_per_minute: 1200", "messages_per_minute: 2"), ("rate: 5/s", "rate: 20/s")
    ),
    "impossible-mttd": changed(("mttd: 5s", "mttd: 100ms")),
    "expectation-without-target": changed(("mttr: 15s", "mttr: {}")),
    "time-to-recover-from-nothing": VALID[: VALID.index("faults:")] + VALID[VALID.index("drain:") :],
    "mitigation-without-another-route": changed(
        ("mttd: 5s", "mttm: 5s"),
        ("  backup: {provider: grid}\n  third: {provider: pit}\n", ""),
        ("  - {at: 7s, for: 2s, on: backup, fault: latency, latency: 400ms, jitter: 100ms}\n", ""),
        (", backup: {rate: 50/s, burst: 50}}", "}"),
    ),
    "priority-over-a-class-that-is-not-there": changed(
        ("mttd: 5s", "priority: transactional"),
        ("class: marketing, count", "class: digest, count"),
        ("waves: {class: marketing", "waves: {class: digest"),
    ),
    "priority-of-an-unknown-class": changed(("mttd: 5s", "priority: {first: receipts, then: newsletter}")),
    "priority-where-nothing-is-let-go": VALID[: VALID.index("faults:")]
    + VALID[VALID.index("drain:") : VALID.index("  mttd:")]
    + "  priority: transactional\n",
    "pause-that-nobody-makes": changed(("mttd: 5s", "pause: marketing")),
    "pause-of-an-unknown-class": changed(("mttd: 5s", "pause: newsletter"), *PAUSED),
    "pause-by-a-detection-that-nothing-tells": changed(
        ("mttd: 5s", "pause: {class: marketing, from: detection}"), ("detected: {http", "broken: {http")
    ),
    "alarm-that-nothing-tells": changed(
        ("mttd: 5s", "false-alarm: none"), ("detected: {http", "broken: {http")
    ),
    "approval-where-nothing-waits": VALID[: VALID.index("faults:")]
    + VALID[VALID.index("drain:") : VALID.index("  mttd:")]
    + "  approval: {class: marketing}\n",
    "masked-fault": changed(("on: backup, fault: latency", "on: primary, fault: latency")),
    "two-systems": changed(("process: [", "compose: {file: compose.yaml, service: web}\n  process: [")),
    "no-system": changed(("  process: [python, -m, mailrouter]\n", "")),
    "container-without-image": changed((PROCESS, "container: {command: [serve]}")),
    "container-built-and-pulled": changed(
        (PROCESS, "container: {image: shop/mailer, dockerfile: Dockerfile}")
    ),
    "port-of-a-process": changed((PROCESS, PROCESS + "\n  port: 8080")),
    "path-of-a-container": changed((PROCESS, "container: {image: shop/mailer}\n  path: ../lib")),
    "environment-of-an-external-system": changed((PROCESS, "external: {port: 8025}"), *LISTENING),
    "external-system-without-listen": changed((PROCESS, "external: {port: 8025}"), NO_ENV),
    "log-of-an-external-system": changed(
        (PROCESS, "external: {port: 8025}"), *LISTENING, NO_ENV, (DETECTED, "{log: down}")
    ),
    "kill-of-an-external-system": changed(
        (PROCESS, "external: {port: 8025}"),
        NO_ENV,
        *LISTENING,
        ("on: primary, fault: auth-failure", "on: system, fault: kill, restart_after: 2s"),
        ("for: 8s, ", ""),
    ),
    "two-routes-at-one-address": changed(*((old, new.replace("2526", "2525")) for old, new in LISTENING)),
    "listen-without-a-port": changed(("{provider: m365}", "{provider: m365, listen: localhost}")),
    "two-ways-in": changed(('http: "POST /messages"', 'http: "POST /messages", smtp: "2525"')),
    "no-way-in": changed(('http: "POST /messages"', "from: shop@shop.example")),
    "tls-of-http": changed(('http: "POST /messages"', 'http: "POST /messages", starttls: true')),
    "body-by-smtp": changed(('http: "POST /messages"', 'smtp: "2525", body: {to: "{{ to }}"}')),
    "smtp-without-a-port": changed(('http: "POST /messages"', "smtp: localhost")),
    "user-without-a-password": changed(('http: "POST /messages"', 'smtp: "2525", username: shop')),
    "python-without-a-function": changed(('http: "POST /messages"', "python: caller.py")),
    "python-file-that-is-not-there": changed(('http: "POST /messages"', '"python": "caller.py:submit"')),
    "unknown-variable-in-a-hook": changed((PROCESS, PROCESS + '\n  setup: [[touch, "{{ run_dri }}/x"]]')),
    "action-that-nobody-defined": changed(("drain:", "operator: [{at: 9s, action: approve}]\ndrain:")),
    "unknown-action": changed(
        ("drain:", "operator: [{at: 9s, action: aprove}]\ndrain:"),
        (PROCESS, PROCESS + '\n  operator: {approve: {http: "POST /approve"}}'),
    ),
    "action-about-an-unknown-class": changed(
        *PAUSED, ("action: pause}", "action: pause, class: newsletter}")
    ),
    "misspelt-action": changed((PROCESS, PROCESS + '\n  operator: {aprove: {http: "POST /approve"}}')),
    "action-done-twice": changed(
        (PROCESS, PROCESS + '\n  operator: {approve: {http: "POST /approve", command: [approve]}}')
    ),
    "set-without-equals": (VALID, "workload.receipts.for"),
    "set-unknown-stream": (VALID, "workload.recepts.for=5s"),
    "set-unknown-index": (VALID, "faults.2.at=1s"),
    "set-unknown-key": (VALID, "workload.receipts.fro=5s"),
    "set-into-a-text": (VALID, "expect.mttd.target.unit=s"),
    "set-wrong-unit": (VALID, "workload.receipts.for=5"),
    "set-not-yaml": (VALID, "system.process=[/bin/false"),
    "set-to-an-unknown-provider": (VALID, "routes.primary.provider=m356"),
}


@pytest.mark.parametrize("name", CASES)
def test_message_reads_as_recorded(name: str) -> None:
    case = CASES[name]
    text, *sets = (case,) if isinstance(case, str) else case
    found = problems(text, *sets)
    assert found, "nothing was wrong"
    rendered = "\n\n".join(each.render() for each in found) + "\n"
    snapshot = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(rendered, encoding="utf-8")
    assert rendered == snapshot.read_text(encoding="utf-8")


def test_every_snapshot_has_its_case() -> None:
    assert {each.stem for each in SNAPSHOTS.glob("*.txt")} == set(CASES)
