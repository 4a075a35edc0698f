"""Writes a made-up history of any size, with planted violations, and the truth about them.

A `Wanted` flows in; Parquet files and `truth.json` come out. One run's files lie in the folder itself, those
of several runs in a folder each. DuckDB makes the rows, so many messages at a time, in bounded memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import duckdb
import msgspec

from harness.history.columns import known_columns, quoted, struct_literal, text_literal
from harness.history.journal import write_events
from harness.history.synthesis import frame, plan
from harness.history.synthesis.plan import Course, SynthesisRefused, Wanted

TRUTH = "truth.json"
_MESSAGES_A_FILE = 1_000_000
_LINES_AT_A_TIME = 20_000


def synthesize(
    wanted: Wanted,
    folder: Path,
    *,
    lines: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Fill `folder`, which must be empty or not there; returns what `truth.json` says.

    `lines`: as a journal writes them, instead of Parquet; far slower. `progress` is told how many events
    have been written. Raises SynthesisRefused.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SynthesisRefused(f"{folder} is not an empty folder; name a new one")
    width = max(4, len(str(wanted.runs)))
    names = [f"synth-{number:0{width}}" for number in range(1, wanted.runs + 1)]
    shares = [wanted.of_run(number) for number in range(wanted.runs)]
    courses = [plan.course_of(share, number, names[number]) for number, share in enumerate(shares)]
    truths: dict[str, dict[str, Any]] = {}
    written = 0
    with tempfile.TemporaryDirectory(prefix="harness-synth-") as scratch, duckdb.connect() as con:
        con.execute(f"set temp_directory = {text_literal(scratch)}")
        con.execute("set preserve_insertion_order = true")
        con.execute(_definitions())
        for share, course in zip(shares, courses, strict=True):
            run = _Run(con, course, share, Path(scratch))
            truths[course.run] = run.truth()
            place = folder if wanted.runs == 1 else folder / course.run
            place.mkdir(parents=True, exist_ok=True)
            for events in run.write(place, lines):
                written += events
                progress(written)
    truth = {
        "events": written,
        "seed": wanted.seed,
        "duplicates": sorted(token for each in truths.values() for token in each["duplicates"]),
        "lost": sorted(token for each in truths.values() for token in each["lost"]),
        "runs": truths,
    }
    (folder / TRUTH).write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=2) + b"\n")
    return truth


def _definitions() -> str:
    text = (files("harness.history.synthesis") / "messages.sql").read_text(encoding="utf-8")
    return Template(text).substitute(
        marketing_every=plan.MARKETING_EVERY,
        deferred_every=plan.DEFERRED_EVERY,
        outages=plan.OUTAGES,
        waves=plan.WAVES,
        baseline_ns=plan.BASELINE_NS,
    )


class _Run:
    """One run on its way to disk: first what is planted, then file by file."""

    def __init__(self, con: duckdb.DuckDBPyConnection, course: Course, wanted: Wanted, scratch: Path) -> None:
        self._con, self._course, self._wanted = con, course, wanted
        con.execute("delete from course")
        con.execute(
            "insert into course values (?, ?, ?, ?, ?, ?, ?)",
            [
                course.run,
                course.messages,
                course.every_ns,
                course.first_ns,
                course.gap_ns,
                course.outage_ns,
                course.token_base,
            ],
        )
        self._plant()
        self._frame = self._make_frame(scratch)

    def truth(self) -> dict[str, Any]:
        """Which tokens are planted, and what else a reader may want to count."""

        def tokens(what: str) -> list[str]:
            rows = self._con.execute(
                "select format('{:016x}', mixed(token_base + cast(i as ubigint))) "
                "from planted, course where what = ? order by 1",
                [what],
            ).fetchall()
            return [str(token) for (token,) in rows]

        return {
            "messages": self._course.messages,
            "duplicates": tokens("duplicate"),
            "lost": tokens("lost"),
            "outages": [{"from_ns": begin, "until_ns": end} for begin, end in self._course.outages],
        }

    def write(self, place: Path, lines: bool) -> Iterator[int]:
        """The number of events in each file that is done."""
        course = self._course
        steps = range(0, course.messages, _MESSAGES_A_FILE)
        seq, primary, backup = 0, 0, 0
        for number, lowest in enumerate(steps, 1):
            highest = min(lowest + _MESSAGES_A_FILE, course.messages)
            self._con.execute(
                "create or replace temp table made as "
                "select row_number() over (order by t_ns, token nulls first, kind, n, source"
                + (", signal" if number == 1 else "")
                + ") + $seq as seq, * "
                f"from (select * from message_events({lowest}, {highest}, {primary}, {backup})"
                + (f" union all by name ({self._frame})" if number == 1 else "")
                + ")",
                {"seq": seq},
            )
            made, primary_made, backup_made = self._con.execute(
                "select count(*), count(*) filter (source = 'm365' and n is not null), "
                "count(*) filter (source = 'sendgrid' and n is not null) from made"
            ).fetchall()[0]
            seq, primary, backup = seq + made, primary + primary_made, backup + backup_made
            if lines:
                self._append_lines(place / "history.jsonl")
            else:
                name = "history.parquet" if len(steps) == 1 else f"history-{number:04}.parquet"
                self._con.execute(
                    f"copy made to {text_literal(str(place / name))} (format parquet, compression zstd)"
                )
            self._con.execute("drop table made")
            yield made

    def _plant(self) -> None:
        """Choose the messages that go wrong, where nothing else goes on."""
        con, wanted = self._con, self._wanted
        con.execute(f"create or replace temp table quiet as select * from calm(0, {self._course.messages})")
        both, marketing = con.execute("select count(*), count(*) filter (marketing) from quiet").fetchall()[0]
        if wanted.lost > marketing or wanted.duplicates + wanted.lost > both:
            raise SynthesisRefused(
                f"a run of {wanted.events:,} events has room for {marketing:,} lost messages, and for "
                f"{both:,} lost and duplicated ones together; ask for more events or fewer violations"
            )
        con.execute("delete from planted")
        for what, condition, most in (
            ("lost", "marketing", wanted.lost),
            ("duplicate", "i not in (select i from planted)", wanted.duplicates),
        ):
            con.execute(
                f"insert into planted select i, '{what}' from quiet where {condition} "
                f"order by mixed(mixed(i + {wanted.seed % 2**32 + 1}) >> 7), i limit {most}"
            )

    def _make_frame(self, scratch: Path) -> str:
        """A query for all that is about no message. Queue depths fill up what the messages leave."""
        con, course, wanted = self._con, self._course, self._wanted
        deferred = con.execute(
            "select count(*) from quiet where deferred and i not in (select i from planted)"
        ).fetchall()[0][0]
        con.execute("drop table quiet")
        events = frame.events(course)
        receipts = course.messages + deferred + wanted.duplicates - wanted.lost
        depths = wanted.events - 2 * course.messages - receipts - len(events) - course.polls
        path = scratch / f"{course.run}.jsonl"
        write_events(path, course.run, events)
        present = {key for line in path.read_bytes().splitlines() for key in msgspec.json.decode(line)}
        columns = {name: kind for name, kind in known_columns().items() if name in present}
        return (
            f"select * exclude (seq) from read_json({text_literal(str(path))}, format='newline_delimited', "
            f"columns={struct_literal(columns)}) union all by name select * from signal_events("
            f"{plan.POLL_NS}, {course.polls}, {course.ends_ns // depths}, {depths})"
        )

    def _append_lines(self, path: Path) -> None:
        kinds = known_columns()
        first = ("run", "seq", "kind", "t_ns")
        found = [str(name) for name, *_ in self._con.execute("describe made").fetchall()]
        names = [*first, *(name for name in found if name not in first)]
        rows = self._con.execute(f"select {', '.join(map(quoted, names))} from made order by seq")
        raw = [kinds[name] == "JSON" for name in names]
        encode = msgspec.json.Encoder().encode
        with path.open("ab") as file:
            while some := rows.fetchmany(_LINES_AT_A_TIME):
                for row in some:
                    event = {
                        name: msgspec.Raw(value.encode()) if as_is else value
                        for name, value, as_is in zip(names, row, raw, strict=True)
                        if value is not None
                    }
                    file.write(encode(event) + b"\n")
