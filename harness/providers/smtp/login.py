"""AUTH: the conversation up to a user name and a secret, and what they open."""

from __future__ import annotations

from harness.providers.faults import Decision, FaultType
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.auth import MECHANISMS, CancelledAuth, MalformedAuth, exchange
from harness.providers.smtp.session import Session
from harness.providers.wire import ProviderFault


async def log_in(session: Session, argument: str) -> None:
    """Answer AUTH where it is in order: hello was said, nobody is logged in, no message is under way."""
    texts, wire, service = session.texts, session.wire, session.service
    begin_ns = session.clock.now_ns()
    name, _, initial = argument.partition(" ")
    mechanism, fault = name.upper(), None
    try:
        if mechanism not in service.manners.mechanisms(encrypted=wire.encrypted):
            refusal = texts.auth_unknown
        else:
            credentials = await exchange(MECHANISMS[mechanism](initial.strip() or None), wire)
            refusal = texts.auth_refused
            session.recorder.claim(credentials.username)
            decision = _decide(session, mechanism)
            rotated = decision is not None and decision.fault.type == FaultType.KEY_ROTATED
            if decision is not None and not rotated:
                await session.refuse(decision, Stage.AUTH, begin_ns)
                return
            if service.account(credentials.username, credentials.secret, after_rotation=rotated) is not None:
                session.logged_in = True
                session.count_in(credentials.username)
                await session.say(texts.auth_ok)
                return
            fault = decision.fault.id if decision is not None else None
    except MalformedAuth:
        refusal = texts.auth_malformed
    except CancelledAuth:
        refusal = texts.auth_cancelled
    reply = session.reply(refusal, mechanism=name)
    session.recorder.refusal(reply, begin_ns, fault=fault)
    await session.answer(reply)


def _decide(session: Session, mechanism: str) -> Decision[SmtpAnswer] | None:
    named = session.service.manners.named

    def concerns(fault: ProviderFault) -> bool:
        """An answer about passwords is no answer to a token."""
        answer = named.get(fault.named or "")
        return answer is None or not answer.mechanisms or mechanism in answer.mechanisms

    return session.decide(Stage.AUTH, session.subject(key=session.id), concerns)
