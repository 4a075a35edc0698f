"""Why a run ends early.

RunEnded
├── BaselineUnmet     the SUT was not healthy before the first fault
├── SystemExited      the SUT ended unbidden after the baseline
├── InjectionFailed   a fault was not put in place, or did not act
├── ActionNotDone     an operator's action of the scenario was not done
└── RemovalFailed     a fault could not be taken away
"""

from __future__ import annotations

from harness.history.events import Outcome


class RunEnded(Exception):
    """The message is for people; `outcome` is what the run's last event says."""

    outcome: Outcome


class BaselineUnmet(RunEnded):
    outcome = Outcome.BASELINE_UNMET


class SystemExited(RunEnded):
    outcome = Outcome.SYSTEM_EXITED


class InjectionFailed(RunEnded):
    outcome = Outcome.INJECTION_FAILED


class ActionNotDone(RunEnded):
    outcome = Outcome.INJECTION_FAILED


class RemovalFailed(RunEnded):
    outcome = Outcome.HEAL_FAILED
