"""Whether the databases that a scenario asks can be asked from here: found out before anything starts."""

from __future__ import annotations

from harness.scenario.models import Scenario
from harness.testbed.discover import NotAvailable


def check_databases(scenario: Scenario) -> None:
    """Raises NotAvailable where SQLAlchemy or a database's driver is missing."""
    system = scenario.system
    asked = [signal.database for signal in system.signals.values()]
    if system.states is not None:
        asked.append(system.states.database)
    for database in dict.fromkeys(asked):
        if database is not None:
            _check(database)


def _check(database: str) -> None:
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    except ImportError as error:
        raise NotAvailable(
            "the scenario asks a database (`sql`), and SQLAlchemy is not here",
            "pip install 'mail-failover-harness[sql]'",
        ) from error
    kind, found, _ = database.partition("://")
    if not found or "{{" in kind:
        return  # known when the templates are filled in
    try:
        make_url(f"{kind}://").get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError) as error:
        raise NotAvailable(
            f"SQLAlchemy knows no database `{kind}`",
            "write for example `sqlite:///…`, `postgresql+psycopg://…`, `mysql+pymysql://…`",
        ) from error
    except ImportError as error:
        raise NotAvailable(
            f"the scenario asks a database by `{kind}`, and its driver is not here: {error}",
            f"pip install {error.name}",
        ) from error
