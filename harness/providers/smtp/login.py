"""AUTH: the conversation up to a user name and a secret, and what they open."""

from __future__ import annotations

from harness.providers.smtp.answers import Stage
from harness.providers.smtp.auth import MECHANISMS, CancelledAuth, MalformedAuth, exchange
from harness.providers.smtp.session import Session


async def log_in(session: Session, argument: str) -> None:
    """Answer AUTH where it is in order: hello was said, nobody is logged in, no message is under way."""
    texts, wire, service = session.texts, session.wire, session.service
    begin_ns = session.clock.now_ns()
    name, _, initial = argument.partition(" ")
    try:
        if name.upper() not in service.manners.mechanisms(encrypted=wire.encrypted):
            refusal = texts.auth_unknown
        else:
            credentials = await exchange(MECHANISMS[name.upper()](initial.strip() or None), wire)
            refusal = texts.auth_refused
            session.recorder.claim(credentials.username)
            if await session.refused(Stage.AUTH, begin_ns, key=session.id):
                return
            if service.account(credentials.username, credentials.secret) is not None:
                session.logged_in = True
                session.count_in(credentials.username)
                await session.say(texts.auth_ok)
                return
    except MalformedAuth:
        refusal = texts.auth_malformed
    except CancelledAuth:
        refusal = texts.auth_cancelled
    reply = session.reply(refusal, mechanism=name)
    session.recorder.refusal(reply, begin_ns)
    await session.answer(reply)
