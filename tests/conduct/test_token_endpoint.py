"""Runs in which the token service breaks: its fault is its route's, unless a token that is still good hides
it. A page that nobody mails by is out of all counts.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks.finding import Finding, Verdict
from harness.conduct.judge import ExitCode, Judgement, judge
from harness.conduct.run import RunRequest, run
from harness.history.store import History
from harness.scenario.loader import load_text
from harness.scenario.plan import plan
from tests.providers.stand_ins import standing_in

SYSTEM = Path(__file__).parent / "systems" / "tokened.py"
TEXT = f"""\
scenario: token-service
summary: Nobody gets a token for a while.
seed: 5
baseline: {{for: 2s}}
providers:
  page: {{fake: smtp}}
  grid: {{fake: sendgrid}}
  m365: {{fake: microsoft365-smtp, limits: {{messages_per_minute: 6000, connections: 20}}}}
routes:
  status: {{provider: page}}
  primary: {{provider: grid}}
  backup: {{provider: m365}}
system:
  process: [python, {SYSTEM}]
  env:
    API_URL: "{{{{ routes.primary.base_url }}}}"
    TOKEN_URL: "{{{{ routes.primary.token_url }}}}"
    CLIENT: "{{{{ routes.primary.username }}}}"
    SECRET: "{{{{ routes.primary.password }}}}"
    BACKUP_URL: "{{{{ routes.backup.url }}}}"
  submit: {{http: "POST /messages"}}
  longest_retry: 1s
  signals: {{detected: {{http: /status, when: down}}}}
workload:
  - {{stream: receipts, class: transactional, rate: 5/s, for: 10s, within: 3s}}
faults:
  - {{at: 2s, for: 5s, on: primary.token, fault: FAULT}}
  - {{at: 3s, for: 5s, on: status, fault: outage}}
drain: {{deadline: 20s}}
expect: {{exposure: required, duplicates: none, delivered: all, mttd: 8s, mttr: 8s}}
"""


async def judged(out: Path, fault: str, lasts_s: float) -> Judgement:
    with standing_in(lasts_s):
        scenario = load_text(TEXT.replace("FAULT", fault), out / "token-service.yaml")
        request = RunRequest(scenario, plan(scenario), on="local", proxy="embedded", out=out / "runs")
        return judge(await run(request))


def finding(judgement: Judgement, check: str) -> Finding:
    return next(each for each in judgement.findings if each.check == check)


@pytest.mark.e2e
@pytest.mark.parametrize("fault", ["auth-failure", "outage", "refuse, code: 429"])
async def test_without_tokens_mail_leaves_by_the_backup_and_the_time_that_takes_is_measured(
    fault: str, tmp_path: Path
) -> None:
    judgement = await judged(tmp_path, fault, lasts_s=0.5)
    assert judgement.exit_code is ExitCode.PASS, judgement
    assert finding(judgement, "exposure").numbers == {"faults": 1, "exposed": 1}
    for check in ("mttd", "mttr"):
        assert finding(judgement, check).counted == 1
    with History.open(judgement.run_dir) as history:
        rows = history.con.execute("select routes, lead_routes from incidents").fetchall()
        assert rows == [(["primary"], ["primary"])]
        switched = history.con.execute("select switched_hi from instants(2)").fetchall()
        assert switched != [(None,)]
        asked = history.con.execute("select count(*) from calls where code = 200").fetchone()
        assert asked is not None and asked[0] >= 4, "a token lasts half a second"
        assert history.con.execute("select distinct route from copies").fetchall() != [("primary",)]


@pytest.mark.e2e
async def test_a_token_that_is_still_good_hides_it_and_then_nothing_is_proved(tmp_path: Path) -> None:
    judgement = await judged(tmp_path, "outage", lasts_s=3600)
    assert judgement.exit_code is ExitCode.INCONCLUSIVE, judgement
    exposure = finding(judgement, "exposure")
    assert exposure.verdict is Verdict.INCONCLUSIVE
    assert exposure.numbers == {"faults": 1, "exposed": 0}
    assert "met outage on primary.token" in exposure.reason
    with History.open(judgement.run_dir) as history:
        assert history.con.execute("select distinct route from copies").fetchall() == [("primary",)]
