"""A check as a query: each row is a thing that was looked at; one with a `why` offends.

So a query that looks at nothing has no rows, and cannot pass. It is one SELECT over the views and `$run`. The
columns it may have are those of `COLUMNS`; another name is taken for a slip. It is asked in a transaction
that can only read, and a statement that is not a SELECT is refused before it gets that far.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import duckdb

from harness.checks.finding import MAX_OFFENDERS, Offender
from harness.checks.own import Looked, NotUsable
from harness.history.events import RunStarted
from harness.history.journal import write_events
from harness.history.store import History

COLUMNS = {
    "why": "what is wrong with it, in words; null where nothing is. Needed",
    "token": "the message that it is about",
    "recipient": "whose message that is",
    "subject": "what it is where it is no message, such as `route primary`",
    "cause": "a named class of causes",
    "severity": "a number: the greatest come first",
    "doubt": "why it cannot be told, where it cannot",
}
NOTHING = RunStarted(
    t_ns=0, wall_start="2000-01-01T00:00:00Z", scenario="nothing", resolved={}, seed=0, testbed="", proxy=""
)
_TEXTS = ("why", "token", "recipient", "subject", "cause", "doubt")
MOST_DOUBTS = 3


def statement_of(text: str, given: Mapping[str, Any]) -> str:
    """The one query that a file holds. Raises NotUsable."""
    with duckdb.connect() as con:
        try:
            statements = con.extract_statements(text)
        except duckdb.Error as error:
            raise NotUsable(f"this is not SQL as DuckDB reads it: {_said(error)}") from error
    if len(statements) != 1:
        found = "no statement" if not statements else f"{len(statements)} statements"
        raise NotUsable(
            f"holds {found}, and a check is one query", "Put what goes before into `with … as (…)`."
        )
    (statement,) = statements
    if statement.type != duckdb.StatementType.SELECT:
        raise NotUsable(
            f"this is {statement.type.name}, and a check only reads", "Begin with `select`, `with` or `from`."
        )
    asked = set(statement.named_parameters)
    if "run" not in asked:
        raise NotUsable(
            "nothing in it says which run it is about",
            "Every view has a column `run`: add `where run = $run`.",
        )
    if missing := sorted(asked - {"run"} - set(given)):
        names = ", ".join(f"`${name}`" for name in missing)
        raise NotUsable(f"it asks for {names}, and `params` does not give that", f"Add `{missing[0]}` there.")
    if unused := sorted(set(given) - asked):
        names = ", ".join(f"`{name}`" for name in unused)
        raise NotUsable(
            f"`params` gives {names}, and the query does not ask for that", f"Write `${unused[0]}`."
        )
    return statement.query


def prepare(text: str, given: Mapping[str, Any]) -> None:
    """Ask it of a run in which nothing happened: what is wrong with it shows there. Raises NotUsable."""
    with tempfile.TemporaryDirectory(prefix="harness-history-") as folder:
        path = Path(folder) / "nothing.jsonl"
        write_events(path, "nothing", [NOTHING])
        with History.open(path) as history:
            try:
                ask(history, "nothing", text, given)
            except duckdb.Error as error:
                raise NotUsable(
                    _said(error), "`harness query last` lists the views and their columns."
                ) from error


def ask(history: History, run: str, text: str, given: Mapping[str, Any]) -> Looked:
    """What the query says of one run. Raises NotUsable, duckdb.Error."""
    query = statement_of(text, given)
    con = history.con
    with only_reading(con):
        con.execute(f"create temp table _looked_at as {query}", {"run": run, **given})
        known = _columns(con)
        ((counted, offending, wordless),) = con.execute(
            "select count(*), count(why), count(*) filter (trim(why::varchar) = '') from _looked_at"
        ).fetchall()
        if wordless:
            raise NotUsable(
                f"`why` has no words in {wordless:,} of {counted:,} rows, and a row with a `why` offends",
                "Let it be null where nothing is wrong.",
            )
        texts = ", ".join(name if name in known else f"null as {name}" for name in _TEXTS)
        worst = "severity desc nulls last, " if "severity" in known else ""
        offenders = con.execute(
            f"select {texts} from _looked_at where why is not null "
            f"order by {worst}token, recipient, subject, why limit {MAX_OFFENDERS}"
        ).fetchall()
        doubts = (
            con.execute(
                "select doubt from _looked_at where doubt is not null group by doubt "
                f"order by count(*) desc, doubt limit {MOST_DOUBTS}"
            ).fetchall()
            if "doubt" in known
            else []
        )
    return Looked(
        counted=counted,
        offending=offending,
        offenders=[
            Offender(
                why=str(why),
                token=_text(token),
                recipient=_text(recipient),
                subject=_text(subject),
                cause=_text(cause) or "",
            )
            for why, token, recipient, subject, cause, _ in offenders
        ],
        doubts=[str(doubt) for (doubt,) in doubts],
    )


@contextlib.contextmanager
def only_reading(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Nothing of a history changes in here: its tables and views are for the checks that follow, too."""
    con.execute("begin transaction read only")
    try:
        yield
    finally:
        con.execute("rollback")


def _columns(con: duckdb.DuckDBPyConnection) -> set[str]:
    """The columns of the answer. Raises NotUsable for one that nobody would look at."""
    described = con.execute("describe _looked_at").fetchall()
    kinds = {str(name).lower(): str(kind) for name, kind, *_ in described}
    if unknown := [name for name in kinds if name not in COLUMNS]:
        near = get_close_matches(unknown[0], COLUMNS)
        raise NotUsable(
            f"it has a column `{unknown[0]}`, which says nothing to a report",
            f"Columns are {', '.join(COLUMNS)}.",
            near[0] if near else "",
        )
    if "why" not in kinds:
        raise NotUsable(
            "it has no column `why`, so nothing could offend",
            "Give each thing that was looked at a row, and `why` a text where something is wrong with it.",
        )
    for name in ("why", "doubt"):
        if kinds.get(name) == "BOOLEAN":
            raise NotUsable(
                f"`{name}` is true or false, and both would count",
                f"Let it be a text, or null: `case when … then 'what it is' end as {name}`.",
            )
    if kinds.get("severity", "").startswith(("VARCHAR", "ENUM")):
        raise NotUsable("`severity` is a text, of which '9' comes before '10'", "Let it be a number.")
    return set(kinds)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _said(error: duckdb.Error) -> str:
    """DuckDB's own words, without a picture of the line, since that has what is put before the query."""
    words, _, rest = str(error).partition("\nLINE ")
    line = rest.partition(":")[0]
    return " ".join(words.split()) + (f" (line {line})" if line else "")
