"""The views and the checks' queries against a slow model in plain Python, on random histories: every run
must agree.

Hundreds of histories go into one file and each query answers for all of them at once. The seeds are the
same ones in every run of the tests; `make model` takes as many new ones as it is asked to. What fails
names its seed, and Hypothesis shrinks a history that two ways of counting see differently.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.checks.analytics import EVENTS
from harness.checks.approval import WAITED
from harness.checks.cost import ATTEMPTS, REPEATS
from harness.checks.delivered import FATES
from harness.checks.duplicates import EXTRA_COPIES
from harness.checks.evidence import READ_BACK, WATCHED
from harness.checks.fallback import DUE
from harness.checks.false_alarm import ALARMS, UNREADABLE
from harness.checks.flapping import CHANGES
from harness.checks.pause import IN_PLAY, OFFENCES
from harness.checks.priority import PASSED
from harness.checks.reconciliation import ACCOUNTS
from harness.checks.suppression import TRIED_AGAIN, UNDER_WAY_NS
from harness.checks.throttle import EARLY, GRACE_NS, peaks
from harness.checks.unexpected import UNEXPECTED
from harness.checks.waves import LEAD_NS, WAVES
from harness.history import events as ev
from harness.history.store import History
from tests.checks.generated import history, in_order
from tests.checks.histories import PAGE, Run, opened
from tests.checks.model import Record, accounts, ending, exposure, instants, mail, pace, stops

BATCH = 150
HISTORIES = int(os.environ.get("MODEL_HISTORIES", "2400"))
FIRST_SEED = int(os.environ.get("MODEL_FIRST_SEED", "0"))
EVERY_NS = 2_000_000_000
STOP_GRACE_NS = 1_000_000_000
APART_NS, ERROR_NS = 250_000_000, 50_000_000
PAUSED_BY = ("operator", "detection")
AFTER_NS, WITHIN_NS = 1_000_000_000, 3_000_000_000
ALL_RUNS = {"run": None}

Answers = dict[str, Any]
"""By run."""


def grouped(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for run, *rest in rows:
        found[run].append(tuple(rest))
    return found


def duplicates(con: Any) -> Answers:
    rows = grouped(con.execute(EXTRA_COPIES, ALL_RUNS).fetchall())
    return {
        run: {(token, rkey, copy, cause) for token, _, rkey, copy, *_, cause in each}
        for run, each in rows.items()
    }


def delivered(con: Any) -> Answers:
    rows = grouped(con.execute(FATES, ALL_RUNS).fetchall())
    return {run: {token: fate for token, *_, fate in each} for run, each in rows.items()}


def unexpected(con: Any) -> Answers:
    rows = grouped(con.execute(UNEXPECTED, ALL_RUNS).fetchall())
    return {run: sorted((end, what) for *_, end, what in each) for run, each in rows.items()}


def suppression(con: Any) -> Answers:
    asked = {"run": None, "grace": 1_000_000_000, "under_way": UNDER_WAY_NS}
    rows = grouped(con.execute(TRIED_AGAIN, asked).fetchall())
    return {
        run: sorted(
            ((who.lower(), begin) for _, who, _, begin, *_ in each), key=lambda each: (each[1], each[0])
        )
        for run, each in rows.items()
    }


def flapping(con: Any) -> Answers:
    rows = grouped(con.execute(CHANGES, ALL_RUNS).fetchall())
    return {run: [(before, route) for _, _, before, route, *_ in each] for run, each in rows.items()}


def too_early(con: Any) -> Answers:
    found: Answers = {}
    for route in ("primary", "backup"):
        asked = {"run": None, "route": route, "grace": GRACE_NS}
        for run, rows in grouped(con.execute(EARLY, asked).fetchall()).items():
            found.setdefault(run, {})[route] = len(rows)
    return found


def waves(con: Any) -> Answers:
    asked = {"run": None, "class": None, "share": 0.1, "every": EVERY_NS, "lead": LEAD_NS}
    rows = grouped(con.execute(WAVES, asked).fetchall())
    return {
        run: [(backlog, largest, allowed) for _, _, _, backlog, largest, _, allowed in each]
        for run, each in rows.items()
    }


def times(con: Any) -> Answers:
    rows = con.execute(
        "select run, incident, impact_ns, endless, restored_ns, any_overdue, never_drained, drained_ns, "
        "detected_lo, detected_hi, acknowledged_lo, acknowledged_hi, switched_lo, switched_hi, "
        "failed_back_ns, offered_impact_ns, offered_restored_ns, offered_any_overdue, offered_drained_ns "
        "from instants(2)"
    ).fetchall()
    found: Answers = defaultdict(dict)
    for run, incident, *told in rows:
        d_lo, d_hi, a_lo, a_hi, s_lo, s_hi, back = told[6:13]
        found[run][incident] = instants.Instants(
            *told[:6],
            tuple(told[13:]),
            None if d_hi is None else (d_lo, d_hi),
            None if a_hi is None else (a_lo, a_hi),
            None if s_hi is None else (s_lo + s_hi) // 2,
            back,
        )
    return found


def overdue(con: Any) -> Answers:
    rows = grouped(con.execute("select run, token, from_ns, until_ns from overdue").fetchall())
    return {run: sorted(each) for run, each in rows.items()}


def watched(con: Any) -> Answers:
    return {run: dict(each) for run, each in grouped(con.execute(WATCHED, ALL_RUNS).fetchall()).items()}


def read_back(con: Any) -> Answers:
    return dict(con.execute(READ_BACK, ALL_RUNS).fetchall())


def missing(con: Any) -> Answers:
    return {run: dict(each) for run, each in grouped(con.execute("from gaps").fetchall()).items()}


def exposed(con: Any) -> Answers:
    rows = con.execute(
        "select run, fault, in_play, attempts, detected, switched, overdue, waited, exposed from exposures"
    ).fetchall()
    return {run: {fault: tuple(rest) for fault, *rest in each} for run, each in grouped(rows).items()}


def tried_while_paused(con: Any) -> Answers:
    found: Answers = defaultdict(dict)
    for by in PAUSED_BY:
        asked = {"run": None, "class": "marketing", "by": by, "grace": STOP_GRACE_NS}
        for run, rows in grouped(
            con.execute(f"select run, begin_ns, blurred from ({OFFENCES})", asked).fetchall()
        ).items():
            found[run][by] = sorted(rows)
    return found


def there_to_be_sent(con: Any) -> Answers:
    found: Answers = defaultdict(dict)
    for by in PAUSED_BY:
        asked = {"run": None, "class": "marketing", "by": by, "grace": STOP_GRACE_NS}
        for run, messages in con.execute(IN_PLAY, asked).fetchall():
            found[run][by] = messages
    return found


def waited(con: Any) -> Answers:
    asked = {"run": None, "class": "marketing", "lead": LEAD_NS}
    rows = con.execute(
        "select w.run, token, accepted, left_ns, route, left_ns is not null and before, "
        "left_ns is not null and perhaps_before "
        f"from ({WAITED}) w join messages using (message) order by left_ns",
        asked,
    ).fetchall()
    return {run: grouped(each) for run, each in grouped(rows).items()}


def turns(con: Any) -> Answers:
    asked = {
        "run": None, "first": "transactional", "then": "marketing", "lead": LEAD_NS, "apart": APART_NS,
        "error": ERROR_NS,
    }  # fmt: skip
    rows = con.execute(
        f"select run, number, token, size, then_ns, there_ns, turn_ns, passed, perhaps from ({PASSED})", asked
    ).fetchall()
    return {
        run: {(number, token): tuple(rest) for number, token, *rest in each}
        for run, each in grouped(rows).items()
    }


def false_alarms(con: Any) -> Answers:
    rows = grouped(con.execute(ALARMS, {"run": None, "grace": STOP_GRACE_NS}).fetchall())
    return {run: sorted(each, key=lambda alarm: (alarm[2], alarm[0] or "")) for run, each in rows.items()}


def unreadable(con: Any) -> Answers:
    return dict(con.execute(UNREADABLE, {"run": None, "grace": STOP_GRACE_NS}).fetchall())


def silence(con: Any) -> Answers:
    rows = con.execute("select run, quiet_ns, given_ns from quiescence").fetchall()
    return {run: (quiet, given) for run, quiet, given in rows}


def reconciliation(con: Any) -> Answers:
    rows = grouped(con.execute(f"select run, token, account from ({ACCOUNTS})", ALL_RUNS).fetchall())
    return {run: dict(each) for run, each in rows.items()}


def analytics(con: Any) -> Answers:
    asked = {"run": None, "events": []}
    rows = grouped(con.execute(f"select run, token, event, known from ({EVENTS})", asked).fetchall())
    return {run: Counter(each) for run, each in rows.items()}


def cost(con: Any) -> Answers:
    rows = grouped(
        con.execute(f"select run, token, attempts, by_fallback from ({ATTEMPTS})", ALL_RUNS).fetchall()
    )
    return {run: {token: tuple(rest) for token, *rest in each} for run, each in rows.items()}


def repeats(con: Any) -> Answers:
    rows = grouped(con.execute(f"select run, token, cause from ({REPEATS})", ALL_RUNS).fetchall())
    return {run: Counter(each) for run, each in rows.items()}


def fallback(route: str | None) -> Callable[[Any], Answers]:
    def ask(con: Any) -> Answers:
        asked = {
            "run": None,
            "class": "transactional",
            "after": AFTER_NS,
            "within": WITHIN_NS,
            "route": route,
        }
        rows = grouped(con.execute(f"select run, token, fate from ({DUE})", asked).fetchall())
        return {run: dict(each) for run, each in rows.items()}

    return ask


def switches(con: Any) -> Answers:
    rows = grouped(con.execute("select run, incident, switched_ns, error_ns, k from switches").fetchall())
    return {run: {incident: tuple(rest) for incident, *rest in each} for run, each in rows.items()}


def failbacks(con: Any) -> Answers:
    rows = grouped(con.execute("select run, incident, failed_back_ns from failbacks").fetchall())
    return {run: dict(each) for run, each in rows.items()}


def releases(con: Any) -> Answers:
    rows = con.execute("select run, t_ns, release, number, next_ns from releases order by run, number")
    return grouped(rows.fetchall())


def pauses(con: Any) -> Answers:
    rows = con.execute(
        "select run, number, began_by, begin_lo, begin_hi, signal, route, end_ns from pauses('marketing')"
    ).fetchall()
    return {
        run: {number: (by, stops.Pause(*rest)) for number, by, *rest in each}
        for run, each in grouped(rows).items()
    }


def stopped(con: Any) -> Answers:
    rows = con.execute(
        "select run, stop, line, begin_lo, begin_hi, until_ns, approved_ns from stops('marketing')"
    ).fetchall()
    return {run: {stop: tuple(rest) for stop, *rest in each} for run, each in grouped(rows).items()}


def usual_routes(con: Any) -> Answers:
    rows = grouped(con.execute("select run, route from usual_routes").fetchall())
    return {run: sorted(route for (route,) in each) for run, each in rows.items()}


def operator_words(con: Any) -> Answers:
    return grouped(con.execute("select run, t_ns, action, class from operator_words order by seq").fetchall())


def by_fallback(con: Any) -> Answers:
    rows = con.execute(
        "select run, token, fallback_ns, fallback_route, fallback_error_ns, fallback_taken_ns, "
        "fallback_bounced from fallbacks"
    ).fetchall()
    return {run: {token: tuple(rest) for token, *rest in each} for run, each in grouped(rows).items()}


def numbered(times: list[tuple[int, str]]) -> list[tuple[int, str, int, int | None]]:
    """Each with its number and the time of the next."""
    after = [at for at, _ in times[1:]]
    return [(*each, i + 1, after[i] if i < len(after) else None) for i, each in enumerate(times)]


QUESTIONS: dict[str, tuple[Callable[[Any], Answers], Callable[[Record], Any]]] = {
    "duplicates": (duplicates, mail.extra_copies),
    "delivered": (delivered, mail.fates),
    "unexpected": (unexpected, mail.unexpected),
    "suppression": (suppression, lambda run: mail.tried_again(run, 1_000_000_000)),
    "flapping": (flapping, mail.changes_of_route),
    "retry-after": (
        too_early,
        lambda run: {r: count for r in ("primary", "backup") if (count := pace.too_early(run, r))},
    ),
    "waves": (waves, lambda run: pace.waves(run, Fraction(1, 10), EVERY_NS)),
    "overdue": (overdue, lambda run: sorted(mail.overdue(run))),
    "mttd and mttr": (times, lambda run: instants.instants(run, 2)),
    "watched": (watched, instants.watched),
    "read back": (read_back, mail.read_back),
    "gaps": (missing, ending.missing),
    "switches": (switches, pace.switches),
    "failbacks": (failbacks, instants.failbacks),
    "releases": (releases, lambda run: numbered(pace.named_releases(run))),
    "pauses": (pauses, lambda run: stops.numbered_pauses(run, "marketing")),
    "stops": (stopped, lambda run: stops.stops(run, "marketing")),
    "operator words": (
        operator_words,
        lambda run: [(word.t_ns, word.action, word.class_) for word in run.of(ev.Operator)],
    ),
    "usual routes": (usual_routes, lambda run: sorted(map(str, stops.usual_routes(run)))),
    "fallbacks": (by_fallback, accounts.by_fallback),
    "exposure": (exposed, exposure.exposures),
    "pause": (
        tried_while_paused,
        lambda run: {
            by: tried
            for by in PAUSED_BY
            if (tried := stops.tried_while_paused(run, "marketing", by, STOP_GRACE_NS))
        },
    ),
    "pause, in play": (
        there_to_be_sent,
        lambda run: {
            by: count
            for by in PAUSED_BY
            if (count := stops.there_to_be_sent(run, "marketing", by, STOP_GRACE_NS))
        },
    ),
    "approval": (waited, lambda run: stops.waited(run, "marketing")),
    "priority": (turns, lambda run: stops.turns(run, "transactional", "marketing", APART_NS, ERROR_NS)),
    "false-alarm": (false_alarms, lambda run: ending.false_alarms(run, STOP_GRACE_NS)),
    "false-alarm, unreadable": (unreadable, lambda run: ending.unreadable(run, STOP_GRACE_NS)),
    "quiescence": (silence, ending.silence),
    "reconciliation": (reconciliation, accounts.reconciled),
    "analytics": (analytics, accounts.told),
    "cost": (cost, accounts.attempts),
    "repeats": (repeats, accounts.repeats),
    "fallback": (fallback(None), lambda run: accounts.due(run, AFTER_NS, WITHIN_NS, None)),
    "fallback on a page": (fallback(PAGE), lambda run: accounts.due(run, AFTER_NS, WITHIN_NS, PAGE)),
    "fallback by route": (fallback("backup"), lambda run: accounts.due(run, AFTER_NS, WITHIN_NS, "backup")),
}


def compare(told: History, records: dict[str, Record]) -> None:
    for what, (ask, count) in QUESTIONS.items():
        answers = ask(told.con)
        for name, record in records.items():
            expected = count(record)
            empty = None if expected is None else type(expected)()
            assert (answers.get(name) or empty) == expected, f"{what}, {name}"
    for route, rate in (("primary", 2.0), ("backup", 0.75)):
        found = peaks(told, route, rate)
        for name, record in records.items():
            peak = pace.peak(record, route, Fraction(rate))
            assert (name in found) == (peak is not None), f"throttle, {name}"
            assert peak is None or Fraction(*found[name][:2]) == peak, f"throttle, {name}"


def agree(runs: list[Run]) -> None:
    with opened(*runs) as told:
        compare(told, {run.name: Record(in_order(run)) for run in runs})


@pytest.mark.parametrize("batch", range(HISTORIES // BATCH))
def test_a_batch_of_random_histories_is_seen_alike(batch: int) -> None:
    first = FIRST_SEED + batch * BATCH
    agree([history(f"seed {seed}", random.Random(seed)) for seed in range(first, first + BATCH)])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_and_so_is_one_that_can_be_shrunk(dice: random.Random) -> None:
    agree([history("shrunk", dice)])
