"""Where in an exchange a fault acts, and what the answer is.

    head - auth - limit - body - taken - reply - aftermath
    the headers are there; the credential is judged; the account's limits; the whole request is judged; it has
    been taken (or, silently, not); the answer goes out; what becomes of each message (aftermath.py)

A selection that goes by the token, the class or the recipient needs the body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus

from harness.providers import aftermath, certificates
from harness.providers.errors import FaultRefused
from harness.providers.faults import (
    LONGEST_DELAY_S,
    FaultType,
    Placed,
    check_attributes,
    unknown_answer,
    unknown_type,
)
from harness.providers.http.messages import Answer
from harness.providers.wire import ProviderFault

CODES = range(400, 600)
_PHRASES = {each.value: each.phrase for each in HTTPStatus}


class Stage(StrEnum):
    HEAD = "head"  # before the body is read
    AUTH = "auth"  # in place of judging the credential
    LIMIT = "limit"  # in place of the account's own limits
    BODY = "body"  # in place of taking what came
    TAKEN = "taken"  # taken, or so it seems
    REPLY = "reply"  # in place of the answer, or late
    TOLD = "told"  # in what a status page says; no request is touched
    MID_REPLY = "mid-reply"  # half of the answer, and then the end of the connection


REFUSING = (Stage.HEAD, Stage.AUTH, Stage.BODY)
LOSING = (Stage.REPLY, Stage.MID_REPLY)
Error = Callable[[int, str | None, float | None], Answer]

_TAKES: Mapping[FaultType, frozenset[str]] = {
    FaultType.REFUSE: frozenset({"code", "text", "named", "retry_after_s", "stage"}),
    FaultType.ACK_LOSS: frozenset({"code", "text", "named", "stage"}),
    FaultType.SLOW_ACK: frozenset({"delay_s"}),
    FaultType.HANG: frozenset({"stage"}),
    FaultType.DISCONNECT: frozenset({"stage"}),
    FaultType.SILENT_DROP: frozenset(),
    FaultType.THROTTLE: frozenset({"rate", "burst", "quota", "retry_after_s"}),
    FaultType.CERTIFICATE: frozenset({"named"}),
    FaultType.KEY_ROTATED: frozenset(),
    FaultType.STATUS: frozenset({"named", "text"}),
}


def place(
    fault: ProviderFault,
    preset: str,
    named: Mapping[str, Answer],
    error: Error,
    endpoints: tuple[str, ...] = (),
    *,
    announces: Sequence[str] = (),
    events: bool = False,
) -> Placed[Answer]:
    """Stage and answer of a fault; raises FaultRefused that says what is valid. `announces`: the states of an
    incident that the provider can tell of; `events`: whether it tells senders what became of their mail."""
    after = aftermath.TAKES if events else {}
    if fault.type in after:
        return aftermath.place(fault)
    valid = [each for each in _TAKES if announces or each is not FaultType.STATUS]
    if fault.type not in valid:
        raise unknown_type(fault, preset, [each.value for each in (*valid, *after)])
    kind = FaultType(fault.type)
    check_attributes(fault, _TAKES[kind])
    if fault.endpoint and fault.endpoint not in endpoints:
        there = ", ".join(endpoints) or "none"
        raise FaultRefused(f"preset {preset} has no endpoint {fault.endpoint!r} beside the main one: {there}")
    match kind:
        case FaultType.REFUSE:
            return Placed(
                stage=_stage(fault, Stage.BODY, REFUSING), answer=_answer(fault, preset, named, error)
            )
        case FaultType.ACK_LOSS:
            stage = _stage(fault, Stage.REPLY, LOSING)
            if fault.code is None and fault.named is None:
                return Placed(stage=stage)
            if stage is not Stage.REPLY:
                raise FaultRefused(f"at stage {stage} the reply is the provider's own: no code, no named")
            return Placed(stage=stage, answer=_answer(fault, preset, named, error))
        case FaultType.SLOW_ACK:
            if fault.delay_s is None or not 0 < fault.delay_s <= LONGEST_DELAY_S:
                raise FaultRefused(f"slow-ack needs delay_s, above 0 and at most {LONGEST_DELAY_S}")
            return Placed(stage=Stage.REPLY)
        case FaultType.HANG | FaultType.DISCONNECT:
            return Placed(stage=_stage(fault, Stage.BODY, (Stage.HEAD, Stage.BODY)))
        case FaultType.SILENT_DROP:
            return Placed(stage=Stage.TAKEN)
        case FaultType.THROTTLE:
            check_throttle(fault)
            return Placed(stage=Stage.LIMIT)
        case FaultType.STATUS:
            if fault.named not in announces:
                raise FaultRefused(f"status needs `named`, which is one of: {', '.join(announces)}")
            return Placed(stage=Stage.TOLD)
        case FaultType.CERTIFICATE:
            return certificates.place(fault)
        case _:
            return Placed(stage=Stage.AUTH)


def check_throttle(fault: ProviderFault) -> None:
    """For any engine: either a rate or a quota."""
    if (fault.rate is None) == (fault.quota is None):
        raise FaultRefused("throttle needs a rate (so many a second) or a quota (so many more, then none)")
    if fault.rate is not None and fault.rate <= 0:
        raise FaultRefused(f"rate {fault.rate} is not above 0; `quota: 0` lets nothing through")
    if fault.burst is not None and (fault.rate is None or fault.burst < 1):
        raise FaultRefused("burst goes with rate, and is at least 1")
    if fault.quota is not None and fault.quota < 0:
        raise FaultRefused(f"quota {fault.quota} is below 0")


def _answer(fault: ProviderFault, preset: str, named: Mapping[str, Answer], error: Error) -> Answer:
    if fault.named is not None:
        if fault.code is not None or fault.text is not None:
            raise FaultRefused("`named` already says code and text; give either")
        if fault.named not in named:
            raise unknown_answer(fault.named, preset, named)
        return named[fault.named]
    if fault.code is None or fault.code not in CODES:
        choices = ", ".join(sorted(named))
        raise FaultRefused(f"{fault.type} needs an HTTP status from 400 to 599 or one of: {choices}")
    return error(fault.code, fault.text, fault.retry_after_s)


def _stage(fault: ProviderFault, default: Stage, valid: tuple[Stage, ...]) -> Stage:
    if fault.stage is None:
        return default
    if fault.stage not in valid:
        raise FaultRefused(f"stage {fault.stage!r} is none of {', '.join(valid)}")
    stage = Stage(fault.stage)
    needs_body = fault.share < 1 or fault.class_ is not None or fault.recipient is not None
    if needs_body and stage in (Stage.HEAD, Stage.AUTH):
        raise FaultRefused(f"at stage {stage} nobody knows token, class or recipient; use stage body")
    return stage


def phrase(code: int) -> str:
    """What stands behind a status, for an error without a text of its own."""
    return _PHRASES.get(code) or f"Error {code}"
