"""A check of one's own in Python: a function that is given a history and says what it looked at."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from harness.checks import evaluate
from harness.checks.finding import Finding, Verdict
from harness.checks.own import NotUsable, function
from tests.checks.histories import Run, opened

FIRST = '''
"""Who pays more is served first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.checks.own import Looked, Offender
from harness.history.store import History


@dataclass
class Served:
    recipient: str
    at_ns: int


def vip_first(history: History, run: str, params: dict[str, Any]) -> Looked:
    rows = history.con.execute(
        "select recipient, end_ns from copies where run = ? and not baseline order by end_ns", [run]
    ).fetchall()
    served = [Served(*row) for row in rows]
    vips = [each for each in served if each.recipient.startswith(params["prefix"])]
    last_ns = max((each.at_ns for each in vips), default=0)
    early = [each.recipient for each in served if each not in vips and each.at_ns < last_ns]
    return Looked(
        counted=len(served),
        offenders=[Offender(recipient=each, why="was served before the last VIP") for each in early],
        doubts=[] if vips else ["there was no VIP"],
        numbers={"vips": len(vips)},
    )
'''


def judged(run: Run, text: str = FIRST, where: str = "checks/vip.py:vip_first") -> Finding:
    params: dict[str, Any] = {"python": where, "text": text, "params": {"prefix": "vip"}}
    with opened(run) as history:
        return evaluate(history, run.name, [{"check": "own.vip-first", "params": params}])[0]


def served(*recipients: str) -> Run:
    run = Run()
    run.fault(5, 15)
    run.receipt(run.message(5.5, result="refused"), 5.6, "primary", "deferred")
    for number, recipient in enumerate(recipients):
        run.copy(run.message(6 + number, recipient=f"{recipient}@customer.example"), 6.5 + number, "backup")
    return run


def test_offenders_make_a_fail_and_none_a_pass() -> None:
    finding = judged(served("ann", "vip", "bob"))
    assert (finding.check, finding.verdict, finding.counted) == ("own.vip-first", Verdict.FAIL, 3)
    assert [each.recipient for each in finding.offenders] == ["ann@customer.example"]
    assert finding.numbers == {"offending": 1, "vips": 1}
    assert finding.formula == "checks/vip.py:vip_first"
    assert judged(served("vip", "ann")).verdict is Verdict.PASS


def test_a_doubt_of_its_own_and_nothing_looked_at_are_inconclusive() -> None:
    assert judged(served("ann")).reason == "there was no VIP"
    assert judged(served()).reason == "own.vip-first looked at nothing"


def test_a_crash_is_inconclusive_and_shows_the_line_as_it_was() -> None:
    finding = judged(served("ann"), FIRST.replace('params["prefix"]', 'params["prefx"]'))
    assert (finding.verdict, finding.decides) == (Verdict.INCONCLUSIVE, True)
    assert "KeyError: 'prefx'" in finding.reason
    assert 'params["prefx"]' in (finding.traceback or "")


def test_it_cannot_change_what_the_other_checks_see() -> None:
    spoils = FIRST.replace(
        "    served = [", '    history.con.execute("delete from _messages")\n    served = [', 1
    )
    run = served("vip", "ann")
    with opened(run) as history:
        params = {"python": "vip.py:vip_first", "text": spoils, "params": {"prefix": "vip"}}
        findings = evaluate(history, run.name, [{"check": "own.x", "params": params}])
        copies = history.con.execute("select count(*) from copies where not baseline").fetchone()
    assert findings[0].verdict is Verdict.INCONCLUSIVE
    assert "read-only" in findings[0].reason
    assert copies == (2,)


def test_what_is_no_answer_is_inconclusive() -> None:
    finding = judged(served("ann"), FIRST.replace("return Looked(", "return dict("))
    assert "gave dict, and not Looked" in finding.reason


def test_more_offenders_than_were_looked_at_is_no_answer() -> None:
    finding = judged(served("ann", "vip"), FIRST.replace("counted=len(served)", "counted=0"))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "looked at 0" in finding.reason


WRONG = {
    "no Python": ("def vip_first(:", "vip.py:vip_first", "not Python, line 1"),
    "another name": (FIRST, "vip.py:vip_frist", "no function `vip_frist`"),
    "what is no function": ("vip_first = 3", "vip.py:vip_first", "no function"),
    "too few arguments": ("def vip_first(history): ...", "vip.py:vip_first", "cannot be called"),
    "asynchronous": ("async def vip_first(h, r, p): ...", "vip.py:vip_first", "asynchronous"),
    "what lies beside it": ("import lies_beside_it", "vip.py:vip_first", "lies_beside_it"),
    "what ends the process": ("raise SystemExit(0)", "vip.py:vip_first", "SystemExit"),
    "no function named": (FIRST, "vip.py", "names no function"),
    "no file named": (FIRST, ":vip_first", "names no function"),
    "a function that no name can be": (FIRST, "vip.py:vip first", "names no function"),
    "what no text holds": ("\0", "vip.py:vip_first", "this is not Python: source code string"),
    "an annotation that names nothing": (
        "def vip_first(history: Histroy, run, params): ...",
        "vip.py:vip_first",
        "'Histroy' is not defined",
    ),
}


@pytest.mark.parametrize(("text", "where", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_asked_is_refused(text: str, where: str, said: str) -> None:
    with pytest.raises(NotUsable) as refused:
        function.function_of(text, where)
    assert said in refused.value.what


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one() -> None:
    with pytest.raises(NotUsable) as refused:
        function.function_of(FIRST, "checks/vip.py:vip_frist")
    assert refused.value.meant == "checks/vip.py:vip_first"


@pytest.mark.parametrize(
    ("text", "do", "meant"),
    [
        ("import lies_beside_it", "It may import what is installed, and nothing that lies beside it.", ""),
        ("1 / 0", "", ""),
        ("", "It defines none.", ""),
        ("def one(): ...\ndef two(): ...", "It has one, two.", ""),
        ("def vip_fist(): ...\ndef vip_firsts(): ...", "It has vip_fist, vip_firsts.", "x.py:vip_firsts"),
    ],
)
def test_what_to_do_about_it_is_said(text: str, do: str, meant: str) -> None:
    with pytest.raises(NotUsable) as refused:
        function.function_of(text, "x.py:vip_first")
    assert (refused.value.do, refused.value.meant) == (do, meant)


def test_its_source_can_be_read_wherever_its_file_is_now() -> None:
    found = function.function_of(FIRST, "checks/vip.py:vip_first")
    assert inspect.getsource(found) == FIRST[FIRST.index("def vip_first") :]


LOOKED = "from harness.checks.own import Looked, Offender\ndef ask(history, run, params):\n    "


@pytest.mark.parametrize("code", [0, 1, "'text'", None])
def test_one_that_leaves_by_sys_exit_does_not_end_the_run_with_that_code(code: object) -> None:
    finding = judged(served("vip"), f"import sys\n{LOOKED}sys.exit({code})", "x.py:ask")
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "`x.py:ask` left by sys.exit(" in finding.reason and finding.traceback is None


def test_what_it_prints_is_not_in_what_a_program_reads(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"print('at its top')\n{LOOKED}print('within')\n    return Looked(counted=1)"
    assert judged(served("vip"), text, "x.py:ask").verdict is Verdict.PASS
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "at its top\nwithin\n")


@pytest.mark.parametrize(
    ("looked", "said"),
    [
        ("counted='5'", "Expected `int`, got `str` - at `$.counted`"),
        ("counted=float('nan')", "Expected `int`, got `float` - at `$.counted`"),
        ("counted=3, offenders=['x']", "at `$.offenders[0]`"),
        ("counted=3, offenders=[Offender(why=5)]", "at `$.offenders[0].why`"),
        ("counted=3, doubts='abc'", "at `$.doubts`"),
        ("counted=1, numbers={'a': object()}", "gave a Looked that no report can hold"),
        ("counted=-1", "it says that it looked at -1"),
        ("counted=5, offending=-3", "says that -3 offend"),
        ("counted=5, offenders=[Offender(why='late')], offending=0", "it names 1 offender, and says that 0"),
    ],
)
def test_what_it_says_must_make_sense_and_no_pass_comes_of_what_does_not(looked: str, said: str) -> None:
    finding = judged(served("vip"), f"{LOOKED}return Looked({looked})", "x.py:ask")
    assert finding.verdict is Verdict.INCONCLUSIVE and said in finding.reason
