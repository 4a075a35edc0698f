"""Events that were cut off arrive late and none is lost; and the inbox of a run that was told to keep it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import httpx
import pytest

from harness.testbed.resources import standing
from tests.ran import HARNESS, ROOT, Ran, command_line
from tests.requires import find_tool, require_tool
from tests.waiting import wait_until

SHORT = {
    "baseline.for": "1s",
    "system.longest_retry": "1s",
    "system.env.PROBE_EVERY": "200ms",
    "system.env.FAILBACK_AFTER": "1s",
    "system.env.MAX_RETRY": "1s",
    "workload.receipts.for": "9s",
    "faults.0.at": "500ms",
    "faults.0.for": "7s",
    "faults.1.at": "2s",
    "faults.1.for": "4s",
    "drain.deadline": "20s",
    # Of so few messages the one in flight at the fault is above 1 %.
    "expect.delivered": "{held_at_most: 10%}",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    keep = ["--keep"] if find_tool("mailpit") is not None else []
    command = [*command_line("webhook-loss", SHORT, tmp_path_factory.mktemp("runs")), *keep]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.stdout, done.stderr
    return Ran(done.returncode, json.loads(done.stdout)["runs"][0], done.stderr)


@pytest.mark.e2e
def test_no_event_is_lost_and_those_of_the_outage_are_late(run: Ran) -> None:
    assert run.exit_code == 0, run.said
    events = [each for each in run.events() if each["kind"] == "provider.event" and not each.get("canary")]
    fates = Counter(each["webhook"] for each in events)
    assert fates["late"] and fates["delivered"] and not fates["lost"], fates
    taken = [
        each["token"]
        for each in run.events()
        if each["kind"] == "receipt" and each["provider"] == "sendgrid" and each["result"] == "accepted"
        and not each.get("canary")
    ]  # fmt: skip
    for event in ("processed", "delivered"):
        assert sorted(each["token"] for each in events if each["event"] == event) == sorted(taken)
    numbers = [each["n"] for each in run.events() if each.get("source") == "sendgrid" and "n" in each]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert all(each["delay_ns"] > 1_000_000_000 for each in events if each["webhook"] == "late")


@pytest.mark.e2e
def test_each_event_is_known_to_the_system_and_its_account_agrees_with_the_record(run: Ran) -> None:
    analytics, taken = run.finding("analytics"), run.finding("reconciliation")
    assert (analytics["verdict"], analytics["numbers"]["judged_by"]) == ("pass", "states")
    assert analytics["numbers"]["late"] > 0
    assert (taken["verdict"], taken["numbers"]["unsaid"]) == ("pass", 0)


@pytest.mark.e2e
def test_a_system_that_throws_late_events_away_is_found_out(tmp_path: Path) -> None:
    defect = {**SHORT, "system.env.DEFECTS": "loses-events"}
    command = command_line("webhook-loss", defect, tmp_path)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    ran = Ran(done.returncode, json.loads(done.stdout)["runs"][0], done.stderr)
    finding = ran.finding("analytics")
    assert (ran.exit_code, finding["verdict"]) == (1, "fail"), ran.said
    assert finding["numbers"]["thrown_away"] > 0 == finding["numbers"]["lost_on_their_way"]


@pytest.mark.e2e
def test_the_system_knows_of_each_delivery_in_the_end(run: Ran) -> None:
    told = [each["value"] for each in run.events() if each.get("signal") == "events_delivered"]
    customers = {
        each["token"]
        for each in run.events()
        if each["kind"] == "provider.event" and each["event"] == "delivered" and not each.get("canary")
    }
    assert told[-1] == len(customers)


@pytest.mark.e2e
def test_the_fault_on_the_way_of_events_is_met_and_times_nothing(run: Ran) -> None:
    assert run.finding("exposure")["numbers"] == {"faults": 2, "exposed": 2}
    assert run.finding("mttd")["numbers"]["incidents"] == 1
    steps = [each["kind"] for each in run.events() if each.get("fault") == "f2" and each["kind"] != "receipt"]
    assert steps == [f"fault.{step}" for step in ("injecting", "active", "acted", "removing", "removed")]


@pytest.mark.e2e
def test_the_witness_agrees_and_the_kept_inbox_is_there_until_it_is_healed(run: Ran) -> None:
    require_tool("mailpit")
    (compared,) = [each for each in run.events() if each["kind"] == "witness.compared"]
    assert compared["taken"] == compared["held"] > 0 and compared["surplus"] == 0
    folder = Path(run.run["run_dir"])
    ((name, url),) = standing(folder).kept_at.items()
    assert f"inbox: {url}, kept until you say: harness heal " in run.stderr
    assert name == "inbox" and standing(folder).is_clean
    assert httpx.get(f"{url}/api/v1/info", trust_env=False).json()["Messages"] == compared["held"]
    nothing = subprocess.run(
        [HARNESS, "heal", "--out", folder.parent], capture_output=True, text=True, check=True
    )
    assert f"{folder}: kept, as --keep asked" in nothing.stdout
    assert httpx.get(f"{url}/readyz", trust_env=False).is_success
    subprocess.run([HARNESS, "heal", folder], capture_output=True, check=True)
    wait_until(lambda: not answers(url))
    assert not standing(folder).keeps_something


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=1).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("scenarios", "more", "said"),
    [
        (["webhook-loss"], ["--repeat", "2"], "this would be 2 runs"),
        (["webhook-loss", "ack-loss"], [], "this would be 2 runs"),
        (["mailpit-smoke"], [], "so there is no inbox to keep"),
    ],
)
def test_only_one_inbox_is_kept_and_only_where_there_is_one(
    scenarios: list[str], more: list[str], said: str, tmp_path: Path
) -> None:
    if "mailpit-smoke" in scenarios:
        require_tool("mailpit")
    files = [f"scenarios/{name}.yaml" for name in scenarios]
    command = [HARNESS, "run", *files, "--on", "local", "--keep", "--out", str(tmp_path / "runs"), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert said in done.stderr and "nothing was started" in done.stderr
