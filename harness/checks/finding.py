"""What a check says: a verdict, the numbers behind it, how sure it is, and the worst offenders.

Findings are plain data. Checks make them; reports, the gate and exit codes read them, and `findings.json`
stores them. A finding is a pass only if the check looked at something and everything it needed was there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

MAX_OFFENDERS = 10


class Verdict(StrEnum):
    """`inconclusive` contradicts nothing and proves nothing."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Offender(msgspec.Struct, frozen=True, kw_only=True):
    """One message (or route, or incident, then without token) that counts against the verdict."""

    why: str
    cause: str = ""  # a named class of causes, e.g. "cross-route after a lost acknowledgement"
    token: str | None = None
    recipient: str | None = None
    subject: str | None = None  # what it is when it is not a message: a route, an incident


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`numbers` holds what the check computed, units in the names (`mttd_s_max`, `lost`)."""

    check: str
    verdict: Verdict
    summary: str  # one plain sentence
    numbers: dict[str, float | int | str | None] = {}
    formula: str = ""
    error: str = ""  # the measurement error, in words and numbers
    counted: int = 0  # how many things the check looked at
    offenders: list[Offender] = []  # worst first, MAX_OFFENDERS at most
    params: dict[str, Any] = {}
    decides: bool = False  # asked for by `expect:`; only these decide the outcome of a run
    reason: str = ""  # why it is inconclusive
    traceback: str | None = None  # of a check that crashed
