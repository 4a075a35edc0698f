"""The shipped scenarios, shortened: right where the system is right, caught by the named check where it is
not.

Every run is a real one, `harness run` in a process of its own with real providers and proxies; up to four go
on at once, since they mostly wait. `make shows` runs the same at full length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.ran import Ran, run_harness
from tests.requires import find_tool, require_tool

AT_ONCE = 4
QUICK_ROUTER = {
    "baseline.for": "1s",
    "system.env.DETECT_AFTER": "1s",
    "system.env.PROBE_EVERY": "200ms",
    "system.env.FAILBACK_AFTER": "1s",
    "system.env.MAX_RETRY": "1s",
    "system.longest_retry": "1s",
    "drain.deadline": "15s",
    # A fault cuts what is in flight, and a right system holds that: of so few messages one is above 1 %.
    "expect.delivered": "{held_at_most: 5%}",
}
AUTH_OUTAGE = {
    **QUICK_ROUTER,
    "system.env.DETECT_AFTER": "1500ms",
    "workload.receipts.within": "600ms",
    "workload.receipts.for": "9s",
    "workload.newsletter.at": "2s",
    "workload.newsletter.count": "12",
    "system.env.WAVES": "25% every 1s",
    "faults.0.at": "1s",
    "faults.0.for": "5s",
    "faults.1.at": "3s",
    "faults.1.for": "1s",
    "expect.waves.share": "25%",
    "expect.waves.every": "1s",
    "expect.mttd": "3s",
    "expect.mttr": "8s",
}
ACK_LOSS = {
    **QUICK_ROUTER,
    "workload.receipts.for": "11s",
    "faults.0.at": "500ms",
    "faults.0.for": "3s",
    "faults.1.at": "4s",
    "faults.1.for": "5s",
    "faults.2.at": "6s",
    "faults.2.for": "3s",
}
REPLAY_BURST = {
    **QUICK_ROUTER,
    "workload.receipts.for": "8s",
    "workload.newsletter.at": "2s",
    "workload.newsletter.count": "40",
    "system.env.WAVES": "25% every 1s",
    "faults.0.at": "1s",
    "faults.0.for": "5s",
    "expect.waves.share": "25%",
    "expect.waves.every": "1s",
}
PRIMARY_REFUSED = {
    **QUICK_ROUTER,
    "workload.receipts.for": "9s",
    "workload.newsletter.at": "2s",
    "workload.newsletter.count": "12",
    "system.env.WAVES": "25% every 1s",
    "faults.0.at": "1s",
    "faults.0.for": "6s",
    "faults.1.at": "4s",
    "faults.1.restart_after": "500ms",
    "expect.waves.every": "1s",
}


@dataclass(frozen=True)
class Case:
    scenario: str
    settings: dict[str, str]
    proxy: str = "embedded"
    defect: str = ""


CASES = {
    "auth outage": Case("m365-auth-outage", AUTH_OUTAGE),
    "auth outage on Toxiproxy": Case("m365-auth-outage", AUTH_OUTAGE, "toxiproxy"),
    "slow-detect": Case("m365-auth-outage", AUTH_OUTAGE, defect="slow-detect"),
    "no message meets the fault": Case(
        "m365-auth-outage", {**AUTH_OUTAGE, "workload.receipts.for": "500ms", "workload.newsletter.at": "0s"}
    ),
    "ack loss": Case("ack-loss", ACK_LOSS),
    "blind-resend": Case("ack-loss", ACK_LOSS, defect="blind-resend"),
    "replay burst": Case("replay-burst", REPLAY_BURST),
    "no-throttle": Case("replay-burst", REPLAY_BURST, defect="no-throttle"),
    "primary refused": Case("primary-refused", PRIMARY_REFUSED),
    "forgets-on-restart": Case("primary-refused", PRIMARY_REFUSED, defect="forgets-on-restart"),
}


def conduct(case: Case, out: Path) -> Ran:
    settings = {**case.settings, **({"system.env.DEFECTS": case.defect} if case.defect else {})}
    return run_harness(case.scenario, settings, out, case.proxy)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ran]]]:
    """Every case, under way."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(conduct, case, tmp_path_factory.mktemp("runs"))
            for name, case in CASES.items()
            if case.proxy != "toxiproxy" or find_tool("toxiproxy-server") is not None
        }


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["auth outage", "ack loss", "replay burst", "primary refused"])
def test_the_right_system_passes(runs, name):
    ran = runs[name].result()
    assert ran.exit_code == 0, ran.said
    assert {f["verdict"] for f in ran.run["findings"] if f["decides"]} == {"pass"}


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("defect", "checks"),
    [
        ("slow-detect", {"mttd"}),
        ("blind-resend", {"duplicates"}),
        ("no-throttle", {"throttle", "waves"}),
        ("forgets-on-restart", {"delivered"}),
    ],
)
def test_a_defect_is_caught_by_its_check(runs, defect, checks):
    ran = runs[defect].result()
    assert ran.exit_code == 1, ran.said
    assert ran.failed & checks, ran.said


@pytest.mark.e2e
def test_both_proxies_give_the_same_verdicts_and_are_named(runs):
    require_tool("toxiproxy-server")
    embedded, toxiproxy = runs["auth outage"].result(), runs["auth outage on Toxiproxy"].result()
    assert toxiproxy.exit_code == 0, toxiproxy.said
    pairs = [[(f["check"], f["verdict"]) for f in ran.run["findings"]] for ran in (embedded, toxiproxy)]
    assert pairs[0] == pairs[1]
    binaries = toxiproxy.events()[0]["binaries"]
    assert set(binaries) == {"primary.smtp", "backup.api"}
    assert all(each["path"].endswith("toxiproxy-server") and each["sha256"] for each in binaries.values())


@pytest.mark.e2e
def test_a_run_in_which_no_message_met_the_fault_is_never_a_pass(runs):
    ran = runs["no message meets the fault"].result()
    assert ran.exit_code == 3, ran.said


@pytest.mark.e2e
def test_the_providers_receipts_counted_without_the_checks(runs):
    ran = runs["auth outage"].result()
    events = ran.events()
    baseline = {e["token"] for e in events if e["kind"] == "message.submitting" and e.get("baseline")}
    handed_off = {
        e["token"]
        for e in events
        if e["kind"] == "receipt" and not e.get("canary") and e["result"] in ("accepted", "ack-lost")
    }
    held = ran.finding("delivered")["numbers"]["held"]
    assert len(handed_off - baseline) + held == 9 * 5 + 12
    assert ran.finding("waves")["numbers"]["backlog"] == 12
    assert isinstance(ran.finding("mttr")["numbers"]["mttr_s_max"], float)


@pytest.mark.e2e
def test_the_cause_of_a_blind_resend_is_named(runs):
    ran = runs["blind-resend"].result()
    causes = {offender["cause"] for offender in ran.finding("duplicates")["offenders"]}
    assert "cross-route after a lost acknowledgement" in causes


@pytest.mark.e2e
def test_every_step_of_every_fault_is_in_the_history(runs):
    for name in ("auth outage", "primary refused", "ack loss"):
        events = runs[name].result().events()
        by_fault: dict[str, list[str]] = {}
        for event in events:
            if event["kind"].startswith("fault."):
                by_fault.setdefault(event["fault"], []).append(event["kind"].removeprefix("fault."))
        assert len(by_fault) >= 2
        for steps in by_fault.values():
            assert steps == ["injecting", "active", "acted", "removing", "removed"], (name, by_fault)


@pytest.mark.e2e
def test_nothing_is_left_running(runs):
    folders = [runs[name].result().run["run_dir"] for name in runs]
    left = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and any(folder in command for folder in folders):
            left.append(command)
    assert left == []
