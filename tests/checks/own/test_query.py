"""A check of one's own in SQL: a row is a thing that was looked at, `why` says what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import evaluate
from harness.checks.finding import Finding, Verdict
from harness.checks.own import NotUsable, query
from tests.checks.histories import Run, opened

LATE = """
-- Copies that came too late.
select token, recipient, copy_ns - scheduled_ns as severity,
       case when copy_ns - scheduled_ns > duration_ns($within) then 'it was late' end as why,
       'late by ' || copy_route as cause
from fates where run = $run and copy_ns is not null and not baseline;  -- the end
"""


def judged(run: Run, text: str = LATE, *, name: str = "own.late", **more: Any) -> Finding:
    params = {"sql": "late.sql", "text": text, "params": {"within": "2s"}, **more}
    with opened(run) as history:
        findings = evaluate(history, run.name, [{"check": name, "params": params}])
        assert [each.check for each in findings if each.decides] == [name]
        return findings[0]


def met_outage(run: Run) -> None:
    run.fault(5, 15)
    run.receipt(run.message(5.5, result="refused"), 5.6, "primary", "deferred")


def test_every_row_is_looked_at_and_one_with_a_why_offends() -> None:
    run = Run()
    met_outage(run)
    run.traffic(0, 5, 1)
    slow, slower = run.message(7), run.message(8)
    run.copy(slow, 10, "backup")
    run.copy(slower, 12, "backup")
    finding = judged(run)
    assert (finding.verdict, finding.counted, finding.numbers["offending"]) == (Verdict.FAIL, 7, 2)
    assert [each.token for each in finding.offenders] == [slower.token, slow.token]
    assert (finding.offenders[0].why, finding.offenders[0].cause) == ("it was late", "late by backup")
    assert finding.formula == "late.sql"
    assert finding.params == {
        "sql": "late.sql",
        "params": {"within": "2s"},
        "needs": ["exposure", "exact-times"],
    }


def test_exactly_at_the_limit_nothing_offends_and_what_it_was_given_moves_the_limit() -> None:
    run = Run()
    met_outage(run)
    run.copy(run.message(7), 9, "backup")
    assert judged(run).verdict is Verdict.PASS
    assert judged(run, params={"within": "1999ms"}).verdict is Verdict.FAIL


def test_other_runs_of_the_history_are_not_looked_at() -> None:
    good, bad = Run("good"), Run("bad")
    for run in (good, bad):
        met_outage(run)
    good.traffic(0, 3, 1)
    bad.copy(bad.message(1), 9)
    params = {"sql": "late.sql", "text": LATE, "params": {"within": "2s"}}
    with opened(good, bad) as history:
        verdicts = [
            evaluate(history, run, [{"check": "own.late", "params": params}])[0].verdict
            for run in ("good", "bad")
        ]
    assert verdicts == [Verdict.PASS, Verdict.FAIL]


def test_nothing_looked_at_is_never_a_pass() -> None:
    run = Run()
    met_outage(run)
    finding = judged(run)
    assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "own.late looked at nothing")


@pytest.mark.parametrize("doubt", ["unexposed", "gap", "read back", "its own"])
def test_what_every_check_stands_on_a_query_stands_on_too(doubt: str) -> None:
    run = Run()
    if doubt == "unexposed":
        run.fault(60, 70)
    else:
        met_outage(run)
    if doubt == "gap":
        run.loses_record()
    run.traffic(0, 3, 1)
    if doubt == "read back":
        run.copy(run.message(6), 6.1, "backup", observed="after")
    text = LATE.replace("select token,", "select 'the clock stood still' as doubt, token,")
    finding = judged(run, text if doubt == "its own" else LATE)
    assert finding.verdict is Verdict.INCONCLUSIVE
    said = {
        "unexposed": "the system never met",
        "gap": "missing from",
        "read back": "no exact times",
        "its own": "the clock stood still",
    }
    assert said[doubt] in finding.reason


def test_a_contradiction_stands_without_grounds() -> None:
    run = Run()
    run.fault(60, 70)
    run.loses_record()
    run.copy(run.message(1), 9)
    assert judged(run).verdict is Verdict.FAIL


def test_a_question_that_no_fault_is_about_needs_none_to_be_met() -> None:
    run = Run()
    run.fault(60, 70)
    run.traffic(0, 3, 1)
    run.copy(run.message(6), 6.1, observed="after")
    assert judged(run, needs=["exact-times"]).verdict is Verdict.INCONCLUSIVE
    assert judged(run, needs=["exposure"]).verdict is Verdict.INCONCLUSIVE
    assert judged(run, needs=[]).verdict is Verdict.PASS


def test_where_everything_offends_it_is_a_fail() -> None:
    run = Run()
    met_outage(run)
    run.copy(run.message(7), 12, "backup")
    finding = judged(run)
    assert (finding.verdict, finding.counted, finding.numbers["offending"]) == (Verdict.FAIL, 1, 1)


THINGS = """
select why, token, recipient, subject, severity from (values
    ('w2', 't1', 'r2', 's2', 1), ('w1', 't1', 'r2', 's2', 1), ('w3', 't1', 'r2', 's1', 1),
    ('w4', 't1', 'r1', 's3', 1), ('w5', 't2', 'r0', 's0', 1), ('w6', 't9', 'r9', 's9', 2),
    ('w7', 't0', 'r0', 's0', null), (null, 't8', 'r8', 's8', 9)
) as things(why, token, recipient, subject, severity) where $run is not null
"""


def test_the_worst_come_first_and_of_the_equally_bad_the_first_by_name() -> None:
    assert [each.why for each in judged(Run(), THINGS, params={}).offenders] == [
        "w6", "w4", "w3", "w1", "w2", "w5", "w7",
    ]  # fmt: skip
    without = THINGS.replace(", severity from", " from")
    finding = judged(Run(), without, params={})
    assert [each.why for each in finding.offenders] == ["w7", "w4", "w3", "w1", "w2", "w5", "w6"]
    assert (finding.offenders[0].subject, finding.offenders[0].cause) == ("s0", "")
    assert (finding.counted, finding.numbers["offending"]) == (8, 7)


@pytest.mark.parametrize("whys", ["fabdce", "afebcd", "bcdefa"])
def test_of_what_is_alike_but_for_its_words_these_decide(whys: str) -> None:
    alike = f"select unnest({list(whys)}) as why, 't1' as token where $run is not null"
    assert [each.why for each in judged(Run(), alike, params={}).offenders] == list("abcdef")


def test_of_many_doubts_the_three_commonest_are_told() -> None:
    doubts = "select null as why, unnest(['d', 'c', 'c', 'b', 'b', 'a', 'e', null, null, null]) as doubt"
    finding = judged(Run(), f"{doubts} where $run is not null", params={})
    assert (finding.verdict, finding.counted) == (Verdict.INCONCLUSIVE, 10)
    assert finding.reason == "b; c; a"


def test_a_slip_is_told_with_its_line_and_with_what_was_meant() -> None:
    with pytest.raises(NotUsable, match=r"^this is not SQL as DuckDB reads it: .* \(line 2\)$"):
        query.prepare("select why\nfrm fates where run = $run", {})
    with pytest.raises(NotUsable) as refused:
        query.prepare("select null as why, 1 as sevrity, 2 as zzz, 3 as tokn from runs where run = $run", {})
    assert refused.value.meant == "severity"
    with pytest.raises(NotUsable) as refused:
        query.prepare("select null as why, 1 as doubject from runs where run = $run", {})
    assert refused.value.meant == "subject"


def test_a_column_may_be_written_in_capitals() -> None:
    assert judged(Run(), "select null as WHY, 1 as Severity where $run is not null", params={}).counted == 1


def test_a_why_without_words_is_counted_among_the_others() -> None:
    text = "select unnest(['late', ' ', 'late', null]) as why where $run is not null"
    assert judged(Run(), text, params={}).reason.startswith("`why` has no words in 1 of 4 rows")


def test_no_more_than_ten_are_named_and_all_are_counted() -> None:
    run = Run()
    met_outage(run)
    for number in range(12):
        run.copy(run.message(6 + number), 9.5 + number, "backup")
    finding = judged(run)
    assert (len(finding.offenders), finding.numbers["offending"]) == (10, 12)


def test_a_query_that_breaks_while_it_is_asked_is_a_crash_with_its_traceback() -> None:
    run = Run()
    met_outage(run)
    run.traffic(0, 3, 1)
    broken = LATE.replace("'it was late'", "error('boom')").replace("$within", "'0s'")
    finding = judged(run, broken, params={})
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "boom" in finding.reason
    assert finding.traceback


def test_what_cannot_be_asked_any_more_is_inconclusive_and_the_other_checks_are_asked() -> None:
    run = Run()
    met_outage(run)
    with opened(run) as history:
        gone = {"sql": "x.sql", "text": "select why from went_with_an_older_version where run = $run"}
        findings = evaluate(history, run.name, [{"check": "own.gone", "params": gone}])
    assert findings[0].verdict is Verdict.INCONCLUSIVE
    assert "went_with_an_older_version" in findings[0].reason
    assert "crashed" not in {each.summary for each in findings[1:]}


WRONG = {
    "two statements": ("select 1 as why; select 2 as why", "2 statements"),
    "no statement": ("-- to do", "no statement"),
    "no SQL": ("selct why from fates", "syntax error"),
    "a statement that writes": ("drop table copies", "DROP"),
    "one that writes elsewhere": ("copy (select 1) to '/tmp/x'", "COPY"),
    "one that writes and answers": (
        "insert into copies (run) select $run returning run as why",
        "INSERT",
    ),
    "no run": ("select why from fates", "which run"),
    "no such view": ("select why from mesages where run = $run", "mesages"),
    "no why": ("select token from fates where run = $run", "no column `why`"),
    "a misspelt column": ("select 'x' as why, token as tokn from fates where run = $run", "`tokn`"),
    "a name without a value": ("select 'x' as why from fates where run = $run and copies > $most", "`$most`"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_asked_is_refused_before_anything_starts(text: str, said: str) -> None:
    with pytest.raises(NotUsable) as refused:
        query.prepare(text, {})
    assert said in refused.value.what


def test_a_value_without_a_name_is_refused() -> None:
    with pytest.raises(NotUsable, match="`most`"):
        query.prepare("select 'x' as why from fates where run = $run", {"most": 1})


def test_what_may_be_asked_is_let_through() -> None:
    query.prepare(LATE, {"within": "2s"})
    query.prepare("with x as (from copies where run = $run) select token, null as why from x", {})


def test_a_query_leaves_nothing_behind() -> None:
    run = Run()
    met_outage(run)
    run.traffic(0, 3, 1)
    with opened(run) as history:
        before = history.con.execute("select count(*) from duckdb_tables()").fetchall()
        for _ in range(2):
            query.ask(history, run.name, LATE, {"within": "2s"})
        assert history.con.execute("select count(*) from duckdb_tables()").fetchall() == before


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("copy_ns is null as why", "`why` is true or false"),
        ("null as why, copy_ns is null as doubt", "`doubt` is true or false"),
        ("null as why, stream as severity", "`severity` is a text"),
    ],
)
def test_a_column_of_a_kind_that_would_not_mean_what_its_author_means(columns: str, said: str) -> None:
    with pytest.raises(NotUsable, match=said):
        query.prepare(f"select {columns} from fates where run = $run", {})


def test_a_why_without_words_is_no_offence_and_no_pass() -> None:
    run = Run()
    met_outage(run)
    run.traffic(0, 5, 1)
    finding = judged(run, "select token, '' as why from fates where run = $run", params={})
    assert finding.verdict is Verdict.INCONCLUSIVE and "Let it be null" in finding.reason
