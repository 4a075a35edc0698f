"""What leaves SendGrid: the message made of one personalization of a mail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.providers.outgoing import Content, Taken, compose, the_one
from harness.providers.presets import _sendgrid_mail as mail


def outgoing(taken: Taken) -> bytes:
    content = mail.decode(taken.body)
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    own = the_one(taken, content.get("personalizations") or (), lambda each: _emails(each, *mail.KINDS))
    blocks = {str(block.get("type")): str(block.get("value")) for block in content.get("content") or ()}
    headers = {**(content.get("headers") or {}), **(own.get("headers") or {})}
    text = blocks.get("text/plain", "")
    for place, value in (own.get("substitutions") or {}).items():
        text = text.replace(place, str(value))
    return compose(
        taken,
        Content(
            sender=_mailbox(content.get("from")),
            to=list(_emails(own, "to")),
            cc=list(_emails(own, "cc")),
            subject=str(own.get("subject") or content.get("subject") or ""),
            text=text,
            html=blocks.get("text/html", ""),
            headers=[(name, str(value)) for name, value in headers.items()],
        ),
        id_domain="geopod-ismtpd.sendgrid.example",
    )


def _emails(personalization: Any, *kinds: str) -> Iterator[str]:
    for kind in kinds:
        for contact in personalization.get(kind) or ():
            yield str(contact.get("email"))


def _mailbox(contact: Any) -> str:
    email, name = str(contact.get("email")), contact.get("name")
    return f'"{name}" <{email}>' if name else email
