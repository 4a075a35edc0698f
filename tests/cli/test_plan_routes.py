"""`harness plan --routes`, for a system that is configured once; and the operator in a plan."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from harness.cli.plan_routes import show_routes
from harness.cli.scenarios import Planned
from harness.scenario.loader import load_text
from harness.scenario.plan import plan
from harness.testbed.address import route_address
from tests.cli.conftest import Harness
from tests.providers.stand_ins import standing_in
from tests.scenario.writing import VALID

SYSTEMS = Path(__file__).resolve().parents[2] / "scenarios" / "systems"
EXTERNAL, APPROVAL = SYSTEMS / "external.yaml", SYSTEMS / "approval.yaml"


def routes(harness: Harness, *more: object) -> dict[str, dict[str, object]]:
    ended = harness("plan", EXTERNAL, "--routes", "--json", *more)
    assert ended.code == 0, ended.err
    return dict(json.loads(ended.out))


def test_it_tells_each_routes_address_and_account_as_a_run_has_them(harness: Harness) -> None:
    known = routes(harness)
    primary = known["primary"]
    assert (primary["host"], primary["port"], primary["scheme"]) == ("127.0.0.1", 2525, "smtp")
    assert primary["username"] == "app-primary@contoso.example"
    assert str(primary["password"]) in str(primary["url"])
    assert known["backup"]["password"] != primary["password"]


def test_the_accounts_are_the_same_each_time_and_others_with_another_seed(harness: Harness) -> None:
    assert routes(harness) == routes(harness)
    assert routes(harness)["primary"]["password"] != routes(harness, "--seed", "6")["primary"]["password"]


def test_a_port_that_a_run_chooses_is_not_invented(harness: Harness) -> None:
    known = routes(harness, "--set", "routes.backup.listen=null", "--set", "system.setup=[[configure]]")
    assert known["backup"]["url"] is None and known["backup"]["port"] is None
    assert known["backup"]["password"]
    shown = harness("plan", EXTERNAL, "--routes", "--set", "routes.backup.listen=null", "--set",
                    "system.setup=[[configure]]").out  # fmt: skip
    assert "chosen at each start, unless the route has a `listen`" in shown


def test_an_address_that_is_taken_is_exit_2_before_anything_starts(harness: Harness, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        sets = ("--set", f"routes.primary.listen={taken}", "--out", tmp_path / "runs")
        ended = harness("run", EXTERNAL, *sets, "--on", "local")
    assert ended.code == 2
    assert f"route `primary` cannot listen at {taken}" in ended.err
    assert "nothing was started" in ended.err
    assert not (tmp_path / "runs").exists()


def test_the_plan_shows_the_operators_actions(harness: Harness) -> None:
    table = harness("plan", APPROVAL).out
    assert "operator approve" in table and "POST /operator/approve" in table
    lanes = harness("plan", APPROVAL, "--lanes").out
    assert "▼approve" in next(line for line in lanes.splitlines() if line.startswith("operator"))
    entries = json.loads(harness("plan", APPROVAL, "--json").out)["entries"]
    (action,) = [entry for entry in entries if entry["entry"] == "operator"]
    assert action == {
        "entry": "operator",
        "at_ns": 7_000_000_000,
        "action": "approve",
        "detail": "POST /operator/approve",
    }


def test_endpoints_tenants_and_what_verifies_events_are_told_as_a_run_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listen = "{provider: grid, listen: 127.0.0.1:2526, tenant: shop}"
    text = VALID.replace("{provider: grid}", listen)
    with standing_in():
        scenario = load_text(text, tmp_path / "drill.yaml")
        planned = Planned(tmp_path, scenario, plan(scenario))
        show_routes(planned, as_json=True)
        known = json.loads(capsys.readouterr().out)
        address = route_address(scenario, 7, "backup", ("127.0.0.1", 2526), {"token": ("127.0.0.1", 9)})
        show_routes(planned, as_json=False)
        shown = capsys.readouterr().out
    backup = known["backup"]
    assert backup["base_url"] == "http://127.0.0.1:2526" and backup["token_url"] is None
    assert backup["tenant"] == "shop"
    assert backup["events_key"] == address.events_key != ""
    assert known["primary"]["events_key"] == "" and "token_url" not in known["primary"]
    assert address.template_context()["token_url"] == "http://127.0.0.1:9"
    assert "  token_url  chosen at each start\n" in shown and f"  events_key {address.events_key}\n" in shown
