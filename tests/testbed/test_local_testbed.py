"""The local testbed: what it starts and ends, what it tells the system, what it takes from providers."""

from __future__ import annotations

import json
import sys

import httpx
import msgspec
import psutil
import pytest
import pytest_asyncio

from harness.history.events import (
    ClockCalibrated,
    HarnessWarning,
    Receipt,
    ReceiptResult,
    Submitted,
    SystemProcess,
    SystemState,
    WitnessCompared,
)
from harness.history.journal import Journal
from harness.providers.wire import Account, ProviderConfig
from harness.scenario.timeline import Message
from harness.testbed.heal import processes_of
from harness.testbed.local import testbed as testbed_module
from harness.testbed.local.inbox import LocalInbox
from harness.testbed.processes import ProcessError
from harness.testbed.provider.process import ProviderProcess
from harness.testbed.resources import MARKER, ResourceLedger, standing
from harness.testbed.signals.http import HttpSource
from harness.testbed.system.doors.base import Submission, submission_body
from harness.testbed.system.life import SystemNotReady
from harness.testbed.system.states import States
from tests.requires import find_tool, require_tool
from tests.testbed.local_bench import SCENARIO, Bench, routes_alone, whole
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENDER = "no-reply@shop.example"
MAILPIT = SCENARIO.replace("fake: sendgrid", "fake: mailpit")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory):
    async with whole(tmp_path_factory.mktemp("bench") / "run", "embedded") as bench:
        yield bench


def message(text: str = "202", token: str = "tokenaaaaaaaaaaa", **changes: object) -> Message:
    given = {
        "at_ns": 1_000_000_000,
        "token": token,
        "recipient": f"c.{token}@customer.example",
        "stream": "receipts",
        "class_": "transactional",
        "subject": "Your order",
        "body": f"{text}\nref: hn-{token}-nh\n",
        "headers": {"X-Harness-Token": token},
    }
    return Message(**{**given, **changes})


def kept(bench: Bench, name: str) -> list[dict]:
    return [json.loads(line) for line in (bench.run_dir / "system" / name).read_text().splitlines()]


class TestWhatTheSystemIsGiven:
    async def test_its_templates_are_filled_in_with_the_proxies_addresses(self, bench: Bench):
        env = kept(bench, "starts.jsonl")[0]["env"]
        assert env["PRIMARY"] == bench.addresses["primary"].url
        assert env["BACKUP"] == bench.addresses["backup"].url
        assert env["FOLDER"] == str(bench.run_dir)
        assert bench.testbed.system.host.plan.argv[0] == sys.executable
        assert bench.testbed.system.host.plan.argv[-1] == str(bench.addresses["primary"].port)

    async def test_the_harness_says_where_to_listen_keep_state_and_whom_to_trust(self, bench: Bench):
        env = kept(bench, "starts.jsonl")[0]["env"]
        assert env["PORT"] == str(bench.testbed.system.host.address[1])
        assert env["STATE_DIR"] == str(bench.run_dir / "system")
        assert env["CA_FILE"] == env["SSL_CERT_FILE"] == str(bench.run_dir / "tls" / "ca.pem")
        assert env["HARNESS_RUN"] == bench.run_dir.name
        assert env["PYTHONPATH"].split(":")[0] == str(bench.run_dir / "systems")
        assert env[MARKER]

    async def test_an_address_carries_scheme_and_credentials_and_never_the_providers_port(self, bench: Bench):
        primary, backup = (httpx.URL(bench.addresses[name].url) for name in ("primary", "backup"))
        assert (primary.scheme, backup.scheme) == ("smtp+starttls", "sendgrid+http")
        assert primary.username == "app-primary@contoso.example"
        assert backup.username == "apikey" and backup.password.startswith("SG.")
        assert primary.password != backup.password
        for route, url in (("primary", primary), ("backup", backup)):
            endpoint = bench.endpoint(route)
            assert str(url.port) not in (endpoint.upstream.rpartition(":")[2], endpoint.rejecting_upstream)


class TestSubmission:
    @pytest.mark.parametrize(
        ("text", "result", "code"),
        [
            ("202", Submitted.ACCEPTED, 202),
            ("200", Submitted.ACCEPTED, 200),
            ("400", Submitted.REFUSED, 400),
            ("429", Submitted.REFUSED, 429),
            ("503", Submitted.REFUSED, 503),
            ("500", Submitted.REFUSED, 500),
            ("502", Submitted.INDETERMINATE, 502),
            ("504", Submitted.INDETERMINATE, 504),
            ("close", Submitted.INDETERMINATE, None),
            ("hang", Submitted.INDETERMINATE, None),
        ],
    )
    async def test_an_answer_says_whether_the_message_was_taken(self, bench: Bench, text, result, code):
        answer = await bench.testbed.system.submit(message(text))
        assert (answer.result, answer.code) == (result, code)

    async def test_the_token_is_the_key_and_the_body_is_all_there_is_to_say(self, bench: Bench):
        await bench.testbed.system.submit(message(token="tokenbbbbbbbbbbb"))
        seen = kept(bench, "submissions.jsonl")[-1]
        assert seen["path"] == "/messages"
        assert seen["key"] == "tokenbbbbbbbbbbb"
        assert seen["body"] == {
            "to": "c.tokenbbbbbbbbbbb@customer.example",
            "from": "no-reply@shop.example",
            "subject": "Your order",
            "text": "202\nref: hn-tokenbbbbbbbbbbb-nh\n",
            "class": "transactional",
            "headers": {"X-Harness-Token": "tokenbbbbbbbbbbb"},
        }

    async def test_an_expiry_is_told_as_what_is_left_at_the_scheduled_time(self):
        assert submission_body(message(expires_ns=3_500_000_000), SENDER, None)["expires_in_ms"] == 2500

    async def test_a_scenario_can_give_the_body_its_own_form(self):
        template = {"rcpt": ["{{ to }}"], "meta": {"id": "{{ token }}", "kind": "{{ class }}"}, "fixed": 3}
        assert submission_body(message(), SENDER, template) == {
            "rcpt": ["c.tokenaaaaaaaaaaa@customer.example"],
            "meta": {"id": "tokenaaaaaaaaaaa", "kind": "transactional"},
            "fixed": 3,
        }


class TestStates:
    async def test_what_the_system_says_of_its_messages_is_journalled(self, bench: Bench):
        await bench.testbed.system.read_states()
        (state,) = bench.events(SystemState)
        assert (state.token, state.state) == ("tokenaaaaaaaaaaa", "held")

    @pytest.mark.parametrize("items", ["messages[].key", "path"])
    async def test_states_that_make_no_sense_are_a_warning(self, bench: Bench, items):
        system = bench.testbed.system
        states, before = system.states, len(bench.events(HarnessWarning))
        # A string where a list should be, or a list of strings.
        path = "/status" if items == "path" else "/messages"
        system.states = States(HttpSource(system.base_url, path), items)
        try:
            await system.read_states()
        finally:
            await system.states.close()
            system.states = states
        (warning,) = bench.events(HarnessWarning)[before:]
        assert warning.warning == "states-unreadable"


class TestReceipts:
    async def test_they_arrive_in_order_without_a_gap_on_the_runs_own_clock(self, bench: Bench):
        begun = {}
        for number in range(6):
            token = f"receiptaaaaaaaa{'abcdef'[number]}"
            begun[token] = bench.journal.now_ns()
            assert (await bench.send("primary" if number % 2 else "backup", token)).what == "sent"
        await until(lambda: all(bench.receipts(token) for token in begun))
        error_ns = max(event.error_ns for event in bench.events(ClockCalibrated))
        for token, began_ns in begun.items():
            (receipt,) = bench.receipts(token)
            assert began_ns - error_ns <= receipt.begin_ns <= receipt.end_ns <= bench.journal.now_ns()
            assert receipt.result is ReceiptResult.ACCEPTED
        for source in ("m365", "sendgrid"):
            lines = [json.loads(line) for line in bench.journal.path.read_bytes().splitlines()]
            numbers = [line["n"] for line in lines if line.get("source") == source and "n" in line]
            assert numbers == list(range(1, len(numbers) + 1)) and numbers

    async def test_the_canary_of_the_harness_is_marked(self, bench: Bench):
        sighting = await bench.endpoint("backup").canary.send(3)
        await until(lambda: bool(bench.receipts(sighting.token)))
        assert bench.receipts(sighting.token)[0].canary == "harness"


async def test_start_and_stop_leave_no_process_and_calibrate_at_both_ends(tmp_path):
    async with whole(tmp_path / "run", "embedded") as bench:
        running = processes_of(standing(bench.run_dir))
        inbox = find_tool("mailpit") is not None
        assert len(running) == 6 + inbox, "two providers, two proxies, the system and its log, the inbox"
        await bench.testbed.system.kill()
        assert await bench.testbed.system.submit(message()) == Submission(
            Submitted.REFUSED, text="ConnectionRefusedError"
        )
    assert not processes_of(standing(bench.run_dir))
    assert not any(process.is_running() for process in running.values())
    assert standing(bench.run_dir).is_clean
    calibrations = bench.events(ClockCalibrated)
    assert sorted((each.source, each.when) for each in calibrations) == [
        ("m365", "end"),
        ("m365", "start"),
        ("sendgrid", "end"),
        ("sendgrid", "start"),
    ]
    assert all(0 < each.error_ns < 50_000_000 for each in calibrations)
    assert not bench.events(HarnessWarning)


async def test_a_system_that_ends_before_it_is_ready_is_quoted(tmp_path):
    dying = tmp_path / "dying.py"
    dying.write_text("raise SystemExit('no database here')")
    text = SCENARIO.replace(SCENARIO.split("process: [python, ")[1].split(",")[0], str(dying))
    with pytest.raises(SystemNotReady, match=r"exited with code 1 before it was ready.*\n.*no database here"):
        async with whole(tmp_path / "run", "embedded", text):
            pytest.fail("it started")
    assert not processes_of(standing(tmp_path / "run"))


async def test_a_system_that_exits_unbidden_is_noticed_with_its_last_words(tmp_path):
    async with whole(tmp_path / "run", "embedded") as bench:
        pid = bench.events(SystemProcess)[0].pid
        psutil.Process(pid).kill()
        await until(bench.testbed.system.exited.is_set)
        exited = bench.events(SystemProcess)[-1]
        assert (exited.change, exited.code) == ("exited", -9)
        assert exited.log_tail == ["the stub system listens"]


async def test_a_provider_that_died_is_a_warning_not_a_silence(tmp_path):
    async with routes_alone(tmp_path / "run", "embedded") as bench:
        (pid, _), *_ = standing(bench.run_dir).processes["provider m365"]
        psutil.Process(pid).kill()
        await until(lambda: not bench.endpoint("primary").provider.is_running)
    warnings = [event for event in bench.events(HarnessWarning) if event.subject == "m365"]
    assert [warning.warning for warning in warnings] == ["receipt-gap"]


@pytest.mark.parametrize(
    ("numbers", "last", "complaints"),
    [
        ([1, 2, 3], 3, []),
        ([1, 2, 2, 3], 3, []),  # told twice, as after a reconnect
        ([1, 3], 3, ["record 3 followed 1"]),
        ([1, 2], 4, ["the provider wrote 4 records, 2 were merged"]),
    ],
)
async def test_a_gap_in_the_numbers_of_a_providers_journal_is_warned(tmp_path, numbers, last, complaints):
    def receipt(n: int) -> bytes:
        record = Receipt(
            t_ns=n,
            source="fake",
            n=n,
            provider="fake",
            route="primary",
            endpoint="smtp",
            result=ReceiptResult.ACCEPTED,
            attempt=f"a{n}",
            begin_ns=n,
            end_ns=n,
        )
        return msgspec.json.encode(record) + b"\n"

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path in ("/stats", "/settle"):
            return httpx.Response(200, json={"last_n": last})
        return httpx.Response(200, content=b"".join(map(receipt, numbers)))

    journal = Journal(tmp_path / "history.jsonl", "r", lambda: 0)
    ledger = ResourceLedger(tmp_path, "m")
    config = ProviderConfig(
        name="fake",
        preset="smtp",
        listeners=[],
        canary_account=Account(username="c", secret="s", canary=True),
    )
    provider = ProviderProcess(config, tmp_path, ledger, journal)
    provider.connect(httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://fake"))
    await provider.finish()
    await provider.stop()
    journal.close()
    ledger.close()
    events = [json.loads(line) for line in journal.path.read_bytes().splitlines()]
    assert [event["detail"] for event in events if event["kind"] == "harness.warning"] == complaints
    assert [event["n"] for event in events if event["kind"] == "receipt"] == sorted(set(numbers))


async def test_mailpit_is_read_back_after_the_fact(tmp_path):
    require_tool("mailpit")
    async with routes_alone(tmp_path / "run", "embedded", MAILPIT) as bench:
        assert bench.addresses["backup"].url == f"smtp://127.0.0.1:{bench.addresses['backup'].port}"
        assert (await bench.send("backup", "mailpitaaaaaaaaa")).what == "sent"
        await until(lambda: bool(bench.receipts("mailpitaaaaaaaaa")))
        (receipt,) = bench.receipts("mailpitaaaaaaaaa")
        assert receipt.observed == "after"
        assert (receipt.source, receipt.route) == ("sendgrid", "backup")
        fault = bench.injector("backup", "outage")
        await fault.inject()
        await fault.confirm()
        await fault.act()
        await fault.remove()
        assert await bench.testbed.verify_clean() == []
    assert not processes_of(standing(bench.run_dir))


async def test_an_inbox_that_does_not_start_is_told_and_the_run_goes_on_without(tmp_path, monkeypatch):
    async def fails(self) -> str:
        raise ProcessError("inbox: both ports were taken")

    monkeypatch.setattr(LocalInbox, "start", fails)
    monkeypatch.setattr(testbed_module, "find_tool", lambda _: "mailpit")
    async with routes_alone(tmp_path / "run", "embedded") as bench:
        (warning,) = bench.events(HarnessWarning)
    assert warning.warning == "inbox-missing"
    assert warning.detail == "the run goes on without its inbox: inbox: both ports were taken"
    assert not bench.events(WitnessCompared)
