"""Where in a session a fault acts, and what the answer is.

    connect - tls - auth - mail - rcpt - data - body - limit - taken - ack - aftermath
    in place of the greeting; the handshake of STARTTLS; the login is judged; MAIL FROM; RCPT TO; DATA or the
    first BDAT; the final dot; the account's limits; it has been taken (or, silently, not); the answer goes
    out; what becomes of the message (aftermath.py)

The stage is the fault's own, or that of the named answer, or a default. A selection that needs to know more
than that can moves it on: `share` goes by the token and `recipient` by the address, which RCPT TO tells, and
`class` by a header, which comes with the body. At the connection nobody has logged in yet, so a selection
there counts the harness's canary like everybody else. After RCPT TO a message counts once, and is hit as a
whole if a fault is about any of its recipients.

A provider that answers an error and throws the message away (SES: `454` after DATA) needs no fault of its
own: that is `refuse` at stage body. `ack-loss` with a code is the opposite: an error, and the message taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

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
from harness.providers.http.answers import check_throttle
from harness.providers.wire import ProviderFault

CODES = range(400, 600)


class Stage(StrEnum):
    CONNECT = "connect"  # in place of the greeting
    TLS = certificates.STAGE  # which certificate a handshake shows
    AUTH = "auth"  # in place of judging the credentials
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # in place of the 354; of the first BDAT's answer
    BODY = "body"  # after the final dot
    LIMIT = "limit"  # in place of the account's own limits, after the final dot
    TAKEN = "taken"  # taken, or so it seems
    ACK = "ack"  # in place of the answer that says so, or late
    MID_REPLY = "mid-reply"  # half of that answer, and then a reset


REFUSING = (Stage.CONNECT, Stage.AUTH, Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.BODY)
LOSING = (Stage.ACK, Stage.MID_REPLY)
_KNOWS_RECIPIENT = (Stage.RCPT, Stage.DATA, Stage.BODY)

_TAKES: Mapping[FaultType, frozenset[str]] = {
    FaultType.REFUSE: frozenset({"code", "text", "named", "stage"}),
    FaultType.ACK_LOSS: frozenset({"code", "text", "named", "stage"}),
    FaultType.SLOW_ACK: frozenset({"delay_s"}),
    FaultType.HANG: frozenset({"stage"}),
    FaultType.DISCONNECT: frozenset({"stage"}),
    FaultType.SILENT_DROP: frozenset(),
    FaultType.THROTTLE: frozenset({"rate", "burst", "quota"}),
    FaultType.CERTIFICATE: frozenset({"named"}),
    FaultType.KEY_ROTATED: frozenset(),
}


class SmtpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal. A preset's `text` is a template (voice.py); a scenario's own text is taken as it is."""

    code: int
    text: str
    stage: Stage = Stage.MAIL
    mechanisms: tuple[str, ...] = ()  # the logins that it can be an answer to; none named: all
    literal: bool = False

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Offers(msgspec.Struct, frozen=True, kw_only=True):
    """What a preset has for faults to use."""

    preset: str
    named: Mapping[str, SmtpAnswer]
    login: bool = True
    tls: bool = True
    events: bool = False  # whether it tells senders what became of their messages


def place(fault: ProviderFault, offers: Offers) -> Placed[SmtpAnswer]:
    """Stage and answer of a fault; raises FaultRefused that says what is valid."""
    if fault.type in aftermath.TAKES:
        if not offers.events:
            raise FaultRefused(
                f"preset {offers.preset} tells nobody what became of a message, so it cannot play "
                f"{fault.type!r}; `silent-drop` loses mail, and `refuse` at stage body returns it"
            )
        return aftermath.place(fault)
    if fault.type not in _TAKES:
        raise unknown_type(fault, offers.preset, [each.value for each in _TAKES])
    kind = FaultType(fault.type)
    check_attributes(fault, _TAKES[kind])
    if fault.endpoint:
        raise FaultRefused(f"preset {offers.preset} has no endpoint {fault.endpoint!r}: SMTP has one")
    match kind:
        case FaultType.REFUSE:
            answer = _answer(fault, offers)
            stage = _stage(fault, answer.stage)
            if stage is Stage.AUTH and not offers.login:
                raise FaultRefused(f"preset {offers.preset} takes no logins; use stage mail")
            return Placed(stage=stage, answer=answer)
        case FaultType.ACK_LOSS:
            return _lost(fault, offers)
        case FaultType.SLOW_ACK:
            if fault.delay_s is None or not 0 < fault.delay_s <= LONGEST_DELAY_S:
                raise FaultRefused(f"slow-ack needs delay_s, above 0 and at most {LONGEST_DELAY_S}")
            return Placed(stage=Stage.ACK)
        case FaultType.HANG | FaultType.DISCONNECT:
            return Placed(stage=_stage(fault, Stage.BODY))
        case FaultType.SILENT_DROP:
            return Placed(stage=Stage.TAKEN)
        case FaultType.THROTTLE:
            check_throttle(fault)
            return Placed(stage=Stage.LIMIT)
        case FaultType.CERTIFICATE:
            if not offers.tls:
                raise FaultRefused(f"preset {offers.preset} shows no certificate; one with STARTTLS does")
            return certificates.place(fault)
        case _:
            if not offers.login:
                raise FaultRefused(f"preset {offers.preset} takes no logins, so it has no key to rotate")
            _check_known(fault, Stage.AUTH)
            return Placed(stage=Stage.AUTH)


def _lost(fault: ProviderFault, offers: Offers) -> Placed[SmtpAnswer]:
    stage = Stage.ACK if fault.stage is None else fault.stage
    if stage not in LOSING:
        raise FaultRefused(f"stage {stage!r} of ack-loss is none of {', '.join(LOSING)}")
    if fault.code is None and fault.named is None and fault.text is None:
        return Placed(stage=stage)
    if stage != Stage.ACK:
        raise FaultRefused(f"at stage {stage} the reply is the provider's own: no code, no named")
    return Placed(stage=stage, answer=_answer(fault, offers))


def _answer(fault: ProviderFault, offers: Offers) -> SmtpAnswer:
    if fault.named is not None:
        if fault.code is not None or fault.text is not None:
            raise FaultRefused("give either `named` or `code` and `text`, not both")
        if fault.named not in offers.named:
            raise unknown_answer(fault.named, offers.preset, offers.named)
        return offers.named[fault.named]
    if fault.code is None:
        choices = ", ".join(sorted(offers.named))
        raise FaultRefused(f"{fault.type} needs a code, or one of the named answers: {choices}")
    if fault.code not in CODES:
        raise FaultRefused(f"code {fault.code} refuses nothing; a refusal is 400 to 599")
    text = fault.text or "Refused by a fault that the harness put in place"
    if not text.isprintable() or len(text) > 400:
        raise FaultRefused("the text of an answer is one printable line of at most 400 characters")
    return SmtpAnswer(code=fault.code, text=text, literal=True)


def _stage(fault: ProviderFault, default: Stage) -> Stage:
    """Of a fault that answers in place of the provider."""
    if fault.stage is None:
        stage = default
    elif fault.stage in REFUSING:
        stage = Stage(fault.stage)
    else:
        raise FaultRefused(f"stage {fault.stage!r} is none of {', '.join(REFUSING)}")
    needed = stage
    if fault.class_ is not None:
        needed = Stage.BODY
    elif stage not in _KNOWS_RECIPIENT and (
        fault.recipient is not None or (fault.share < 1 and stage is Stage.MAIL)
    ):
        needed = Stage.RCPT
    if fault.stage is not None and needed != stage:
        raise FaultRefused(f"at stage {stage} nobody knows token, class or recipient; use stage {needed}")
    _check_known(fault, needed)
    return needed


def _check_known(fault: ProviderFault, stage: Stage) -> None:
    """Refuse a selection by what is not known at a stage that cannot be moved on."""
    if stage is Stage.CONNECT and fault.tenant is not None:
        raise FaultRefused(f"at stage {stage} nobody has logged in, so no tenant is known; use stage auth")
    if stage is Stage.AUTH and (fault.class_ is not None or fault.recipient is not None):
        raise FaultRefused(f"{fault.type} acts before there is a message: no class, no recipient")
