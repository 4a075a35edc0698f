"""What a scenario's databases need is looked for before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.scenario.models import Scenario
from harness.testbed.discover import NotAvailable
from harness.testbed.signals.drivers import check_databases
from tests.scenario.writing import changed, loaded

DETECTED = """{http: /status, when: "routes.primary.state == 'down'"}"""


def asking(database: str) -> tuple[str, str]:
    return DETECTED, f'{{sql: "select 1", database: "{database}"}}'


def with_database(database: str) -> Scenario:
    return loaded(asking(database))


def test_what_is_here_will_do() -> None:
    check_databases(with_database("sqlite:///{{ system.state_dir }}/queue.db"))
    check_databases(with_database("{{ run_dir }}"))
    check_databases(loaded())


def test_without_sqlalchemy_the_line_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(NotAvailable, match="SQLAlchemy is not here") as caught:
        check_databases(with_database("sqlite:///x.db"))
    assert caught.value.do == "pip install 'mail-failover-harness[sql]'"
    check_databases(loaded())


def test_the_states_count_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    states = '  states: {sql: "select id as token, state from outbox", database: "sqlite:///x.db"}\nworkload:'
    with pytest.raises(NotAvailable, match="SQLAlchemy"):
        check_databases(loaded(("workload:", states)))


def test_a_driver_that_is_missing_is_named() -> None:
    with pytest.raises(NotAvailable, match="driver is not here") as caught:
        check_databases(with_database("mysql+pymysql://shop@127.0.0.1/mail"))
    assert caught.value.do == "pip install pymysql"


@pytest.mark.parametrize("kind", ["sqlight", "no such thing"])
def test_a_database_that_nobody_knows_is_refused(kind: str) -> None:
    with pytest.raises(NotAvailable, match="knows no database"):
        check_databases(with_database(f"{kind}:///x.db"))


def test_the_command_line_ends_with_2_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "drill.yaml").write_text(
        changed(
            asking("sqlite:///x.db"), ("  pit: {fake: mailpit}\n", ""), ("  third: {provider: pit}\n", "")
        )
    )
    code = "import sys; sys.modules['sqlalchemy'] = None; from harness.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "drill.yaml", "--proxy", "embedded"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "pip install 'mail-failover-harness[sql]'" in done.stderr
    assert not (tmp_path / "reports").exists()
