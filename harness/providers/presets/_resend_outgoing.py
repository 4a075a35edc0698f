"""What leaves Resend: the message made of one email of a request."""

from __future__ import annotations

from typing import Any

from harness.providers.outgoing import Content, Taken, compose, the_one
from harness.providers.presets._mail_parts import address_of, decode_json


def outgoing(taken: Taken) -> bytes:
    content = decode_json(taken.body)
    email = the_one(
        taken,
        content if isinstance(content, list) else [content],
        lambda each: [address_of(one) for one in _mailboxes(each, "to", "cc", "bcc")],
    )
    return compose(
        taken,
        Content(
            sender=email.get("from") or "",
            to=_mailboxes(email, "to"),
            cc=_mailboxes(email, "cc"),
            subject=email.get("subject") or "",
            text=email.get("text") or "",
            html=email.get("html") or "",
            headers=[(name, str(value)) for name, value in (email.get("headers") or {}).items()],
        ),
        id_domain="email.resend.example",
    )


def _mailboxes(email: Any, *fields: str) -> list[str]:
    """Each field is a mailbox or a list of them."""
    if not isinstance(email, dict):
        return []
    given = (email.get(field) for field in fields)
    return [one for each in given if each for one in (each if isinstance(each, list) else [each])]
