"""Run every full-length command that the project promises, and see that each ends as stated.

`make shows` runs it. Each show is a real command line with its exit code and, where more is claimed, a look
at what the run recorded, taken with jq or the json module and none of the harness's own code. Takes about
three quarters of an hour; arguments choose shows by a part of their name, and --list names them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
DEMO = "scenarios/m365-auth-outage.yaml"
GREY_OUTAGE = "scenarios/failure-modes/04-grey-outage.yaml"

Look = Callable[["Ran"], str | None]


@dataclass(frozen=True)
class Ran:
    """What a command printed and, of a run, what it left."""

    output: str
    document: dict[str, Any]

    @property
    def run(self) -> dict[str, Any]:
        return dict(self.document["runs"][0])

    @property
    def folder(self) -> Path:
        return ROOT / self.run["run_dir"]

    def finding(self, check: str) -> dict[str, Any]:
        return next(dict(each) for each in self.run["findings"] if each["check"] == check)

    def failed(self) -> set[str]:
        return {f["check"] for f in self.run["findings"] if f["decides"] and f["verdict"] == "fail"}

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "history.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Show:
    name: str
    command: list[str]
    exit_code: int
    look: Look | None = None
    needs: tuple[str, ...] = ()  # programs without which the show is left out, and said to be


def harness(*arguments: str) -> list[str]:
    return [str(BIN / "harness"), "run", *arguments, "--json"]


def failed_by(*checks: str) -> Look:
    def look(ran: Ran) -> str | None:
        return (
            None if ran.failed() & set(checks) else f"failed by {ran.failed() or 'nothing'}, not by {checks}"
        )

    return look


def no_event_lost(ran: Ran) -> str | None:
    fates = [e["webhook"] for e in ran.events() if e["kind"] == "provider.event"]
    if "lost" in fates or "late" not in fates:
        return f"of {len(fates)} events {fates.count('late')} were late, {fates.count('lost')} lost"
    return None


def demo_counts(ran: Ran) -> str | None:
    """325 distinct tokens accepted by a provider outside the baseline; an MTTR; 100 newsletters in waves."""
    accepted = _accepted_tokens(ran)
    mttr = [value for name, value in ran.finding("mttr")["numbers"].items() if name.startswith("mttr_s")]
    waves = [value for name, value in ran.finding("waves")["numbers"].items() if value == 100]
    if accepted != 325:
        return f"{accepted} distinct accepted tokens outside the baseline, not 325"
    if not any(isinstance(value, int | float) for value in mttr):
        return f"mttr is no number: {ran.finding('mttr')['numbers']}"
    return None if waves else f"no B = 100 in waves: {ran.finding('waves')['numbers']}"


JQ = """
[inputs] | map(select(.kind == "message.submitting" and .baseline)) as $warm_up
| ($warm_up | map(.token)) as $warm
| map(select(.kind == "receipt" and .token and (.canary | not)))
| map(select(.result == "accepted" or .result == "ack-lost"))
| map(.token) | unique | map(select(. as $token | $warm | index($token) | not)) | length
"""


def _accepted_tokens(ran: Ran) -> int:
    if shutil.which("jq"):
        history = str(ran.folder / "history.jsonl")
        done = subprocess.run(["jq", "-n", JQ, history], capture_output=True, text=True, check=True)
        return int(done.stdout)
    events = ran.events()
    warm = {e["token"] for e in events if e["kind"] == "message.submitting" and e.get("baseline")}
    return len(
        {
            e["token"]
            for e in events
            if e["kind"] == "receipt" and e["result"] in ("accepted", "ack-lost") and not e.get("canary")
        }
        - warm
        - {None}
    )


def lost_acknowledgements(ran: Ran) -> str | None:
    by_provider: dict[str, int] = {}
    for event in ran.events():
        if event["kind"] == "receipt" and event["result"] == "ack-lost" and not event.get("canary"):
            by_provider[event["provider"]] = by_provider.get(event["provider"], 0) + 1
    both = len(by_provider) >= 2 and sum(by_provider.values()) >= 10
    return (
        None
        if both
        else f"acknowledgements lost: {by_provider}; at least 10, by SMTP and by HTTP, were promised"
    )


def duplicates_by_lost_ack(ran: Ran) -> str | None:
    causes = {offender["cause"] for offender in ran.finding("duplicates")["offenders"]}
    if "duplicates" not in ran.failed():
        return f"failed by {ran.failed()}, not by duplicates"
    wanted = "cross-route after a lost acknowledgement"
    return None if wanted in causes else f"causes {causes}, without '{wanted}'"


class SameVerdicts:
    """Each run under it must list the same [check, verdict] pairs, and name the server's binary."""

    def __init__(self) -> None:
        self.first: list[tuple[str, str]] | None = None

    def __call__(self, ran: Ran) -> str | None:
        pairs = [(each["check"], each["verdict"]) for each in ran.run["findings"]]
        started = ran.events()[0]
        if not started.get("binaries"):
            return "run.started names no server's binary"
        if self.first is None:
            self.first = pairs
        return None if pairs == self.first else f"{pairs} differs from {self.first}"


POSTFIX = "scenarios/systems/postfix.yaml"


def nothing_on_the_engine(ran: Ran) -> str | None:
    """No container, network or volume carries the label of the run any more, by Docker's own client."""
    marker = json.loads((ran.folder / "resources.jsonl").read_text().splitlines()[0])["marker"]
    label = f"label=org.mail-failover-harness.run={marker}"
    left = [
        line
        for what in (("ps", "-a"), ("network", "ls"), ("volume", "ls"))
        for line in subprocess.run(
            ["docker", *what, "-q", "--filter", label], capture_output=True, text=True, check=True
        ).stdout.split()
    ]
    return f"still on the Docker engine: {left}" if left else None


def shows() -> list[Show]:
    same = SameVerdicts()
    defect = "system.env.DEFECTS={}".format
    return [
        Show("demo", ["make", "--no-print-directory", "demo"], 0),
        Show("demo, counted without our code", harness(DEMO), 0, demo_counts),
        Show(
            "demo on Toxiproxy",
            harness(DEMO, "--on", "local", "--proxy", "toxiproxy"),
            0,
            same,
            ("toxiproxy-server",),
        ),
        Show("demo on the embedded proxy", harness(DEMO, "--proxy", "embedded"), 0, same),
        Show(
            "demo in containers",
            harness(DEMO, "--on", "containers"),
            0,
            lambda ran: same(ran) or nothing_on_the_engine(ran),
            ("docker",),
        ),
        Show("ack-loss", harness("scenarios/ack-loss.yaml"), 0, lost_acknowledgements),
        Show(
            "ack-loss, blind-resend",
            harness("scenarios/ack-loss.yaml", "--set", defect("blind-resend")),
            1,
            duplicates_by_lost_ack,
        ),
        Show("replay-burst", harness("scenarios/replay-burst.yaml"), 0),
        Show(
            "replay-burst, no-throttle",
            harness("scenarios/replay-burst.yaml", "--set", defect("no-throttle")),
            1,
            failed_by("throttle", "waves"),
        ),
        Show("demo, slow-detect", harness(DEMO, "--set", defect("slow-detect")), 1, failed_by("mttd")),
        Show("primary-refused", harness("scenarios/primary-refused.yaml"), 0),
        Show(
            "primary-refused, forgets-on-restart",
            harness("scenarios/primary-refused.yaml", "--set", defect("forgets-on-restart")),
            1,
            failed_by("delivered"),
        ),
        Show("grey outage", harness(GREY_OUTAGE, "--variant", "busy"), 0),
        Show(
            "grey outage, never-switches-on-451",
            harness(GREY_OUTAGE, "--variant", "busy", "--set", defect("never-switches-on-451")),
            1,
            failed_by("mttd"),
        ),
        Show(
            "every failure mode",
            [str(BIN / "python"), "-m", "pytest", "scenarios/failure-modes", "-n", "4"],
            0,
        ),
        Show("every planted bug", ["make", "--no-print-directory", "defects"], 0),
        Show("authentication", harness("scenarios/authentication.yaml"), 0),
        Show("authentication", harness("scenarios/authentication.yaml"), 0),
        Show("every planted bug", ["make", "--no-print-directory", "defects"], 0),
        Show("mail by SMTP", harness("scenarios/systems/smtp.yaml"), 0),
        Show("mail by a command", harness("scenarios/systems/command.yaml"), 0),
        Show("mail by a Python function", harness("scenarios/systems/python.yaml"), 0),
        Show("approval", harness("scenarios/systems/approval.yaml"), 0),
        Show("observed in every way", harness("scenarios/systems/observed.yaml"), 0),
        Show("postfix", harness(POSTFIX), 0, needs=("postfix",)),
        Show(
            "postfix, without the allowance",
            harness(POSTFIX, "--set", "expect.duplicates=none"),
            1,
            duplicates_by_lost_ack,
            ("postfix",),
        ),
        Show(
            "the wheels of a service with its providers compiled in",
            [str(BIN / "python"), "fixtures/systems/hardcoded/prepare.py"],
            0,
            needs=("docker",),
        ),
        Show("hard-coded hosts", harness("scenarios/hard-coded-hosts.yaml"), 0, needs=("docker",)),
        Show("two services of a compose file", harness("scenarios/compose.yaml"), 0, needs=("docker",)),
        Show(
            "no message meets the fault",
            harness(DEMO, "--set", "workload.receipts.for=5s", "--set", "workload.newsletter.at=1s"),
            3,
        ),
        Show("a system that does not start", harness(DEMO, "--set", 'system.process=["/bin/false"]'), 4),
        Show("webhook-loss", harness("scenarios/webhook-loss.yaml"), 0, no_event_lost),
        Show("fallback by SMS", harness("scenarios/fallback-sms.yaml"), 0),
        Show("fallback on a status page", harness("scenarios/fallback-page.yaml"), 0),
        Show(
            "nothing left in containers",
            [str(BIN / "python"), "-m", "pytest", "tests/testbed/containers/test_nothing_left.py"],
            0,
            needs=("docker",),
        ),
        Show(
            "mailpit-smoke under pytest",
            [str(BIN / "python"), "-m", "pytest", "scenarios/mailpit-smoke.yaml", "--proxy", "toxiproxy"],
            0,
            needs=("toxiproxy-server", "mailpit"),
        ),
    ]


def main(arguments: list[str]) -> int:
    chosen = [show for show in shows() if not arguments or any(part in show.name for part in arguments)]
    if "--list" in arguments:
        print("\n".join(show.name for show in shows()))
        return 0
    env = os.environ | {"PATH": os.pathsep.join([str(ROOT / ".tools"), str(BIN), os.environ.get("PATH", "")])}
    wrong, left_out = 0, 0
    print(f"{'show':38} {'exit':>9} {'time':>7}")
    for show in chosen:
        missing = [name for name in show.needs if not shutil.which(name, path=env["PATH"])]
        if missing:
            left_out += 1
            print(f"{show.name:38} {'':>9} {'':>7}  LEFT OUT: {', '.join(missing)} is not here")
            continue
        began = time.monotonic()
        done = subprocess.run(show.command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
        problem = _judge(show, done)
        wrong += problem is not None
        print(
            f"{show.name:38} {done.returncode:4} of {show.exit_code} {took:5.0f} s  {problem or 'as stated'}",
            flush=True,
        )
        if problem:
            print((done.stderr or done.stdout)[-2000:])
    print(f"{len(chosen) - wrong - left_out} as stated, {wrong} not, {left_out} left out")
    return 1 if wrong or (left_out and os.environ.get("HARNESS_REQUIRE_REAL") == "1") else 0


def _judge(show: Show, done: subprocess.CompletedProcess[str]) -> str | None:
    if done.returncode != show.exit_code:
        return f"NOT AS STATED: exit {done.returncode}, not {show.exit_code}"
    if show.look is None:
        return None
    ran = Ran(done.stdout, json.loads(done.stdout))
    said = show.look(ran)
    return None if said is None else f"NOT AS STATED: {said}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
