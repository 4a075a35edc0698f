"""Where in a session a fault can answer, and what the answer is.

A fault acts at one stage. The stage is the fault's own, or that of the named answer, or MAIL FROM; a
selection that needs to know more than that stage can moves it on: `share` goes by the token, which the
recipient carries (RCPT TO), and `class` by a header (the end of the body). At the connection nobody has
logged in yet, so a selection there counts the harness's canary like everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from harness.providers.errors import FaultRefused
from harness.providers.faults import FaultType, Placed, unknown_answer, unknown_type
from harness.providers.wire import ProviderFault

CODES = range(400, 600)


class Stage(StrEnum):
    CONNECT = "connect"  # in place of the greeting
    AUTH = "auth"  # in place of judging the credentials
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # in place of the 354; of the first BDAT's answer
    BODY = "body"  # after the final dot
    ACK = "ack"  # after the message was taken


REFUSING = (Stage.CONNECT, Stage.AUTH, Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.BODY)
BEFORE_RCPT = (Stage.CONNECT, Stage.AUTH, Stage.MAIL)


class SmtpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal. A preset's `text` is a template (voice.py); a scenario's own text is taken as it is."""

    code: int
    text: str
    stage: Stage = Stage.MAIL
    literal: bool = False

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


def place(fault: ProviderFault, preset: str, named: Mapping[str, SmtpAnswer]) -> Placed[SmtpAnswer]:
    """Stage and answer of a fault; raises FaultRefused that says what is valid."""
    if fault.type == FaultType.ACK_LOSS:
        if (fault.code, fault.text, fault.named, fault.stage) != (None, None, None, None):
            raise FaultRefused("ack-loss gives no answer: leave out code, text, named and stage")
        return Placed(stage=Stage.ACK)
    if fault.type != FaultType.REFUSE:
        raise unknown_type(fault, preset, [each.value for each in FaultType])
    answer = _answer(fault, preset, named)
    return Placed(stage=_stage(fault, answer.stage), answer=answer)


def _answer(fault: ProviderFault, preset: str, named: Mapping[str, SmtpAnswer]) -> SmtpAnswer:
    if fault.named is not None:
        if fault.code is not None or fault.text is not None:
            raise FaultRefused("give either `named` or `code` and `text`, not both")
        if fault.named not in named:
            raise unknown_answer(fault.named, preset, named)
        return named[fault.named]
    if fault.code is None:
        raise FaultRefused(f"refuse needs a code, or one of the named answers: {', '.join(sorted(named))}")
    if fault.code not in CODES:
        raise FaultRefused(f"code {fault.code} refuses nothing; a refusal is 400 to 599")
    text = fault.text or "Refused by a fault that the harness put in place"
    if not text.isprintable() or len(text) > 400:
        raise FaultRefused("the text of an answer is one printable line of at most 400 characters")
    return SmtpAnswer(code=fault.code, text=text, literal=True)


def _stage(fault: ProviderFault, default: Stage) -> Stage:
    if fault.stage is None:
        stage = default
    elif fault.stage in REFUSING:
        stage = Stage(fault.stage)
    else:
        raise FaultRefused(f"stage {fault.stage!r} is none of {', '.join(REFUSING)}")
    needed = stage
    if fault.class_ is not None:
        needed = Stage.BODY
    elif fault.share < 1 and stage == Stage.MAIL:
        needed = Stage.RCPT
    if fault.stage is not None and needed != stage:
        raise FaultRefused(f"at stage {stage} nobody knows a message's token or class; use stage {needed}")
    return needed
