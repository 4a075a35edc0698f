"""What leaves Postmark: the message made of one email of a request."""

from __future__ import annotations

from typing import Any

from harness.providers.outgoing import Content, Taken, compose, the_one
from harness.providers.presets._mail_parts import address_of, decode_json, split_list


def outgoing(taken: Taken) -> bytes:
    content = decode_json(taken.body)
    email = the_one(
        taken,
        content if isinstance(content, list) else [content],
        lambda each: [address_of(one) for one in _mailboxes(each, "To", "Cc", "Bcc")],
    )
    return compose(
        taken,
        Content(
            sender=email.get("From") or "",
            to=_mailboxes(email, "To"),
            cc=_mailboxes(email, "Cc"),
            subject=email.get("Subject") or "",
            text=email.get("TextBody") or "",
            html=email.get("HtmlBody") or "",
            headers=[(str(each["Name"]), str(each["Value"])) for each in email.get("Headers") or ()],
        ),
        id_domain="mtasv.postmark.example",
    )


def _mailboxes(email: Any, *fields: str) -> list[str]:
    if not isinstance(email, dict):
        return []
    return [mailbox for field in fields for mailbox in split_list(email.get(field) or "")]
