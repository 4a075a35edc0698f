"""Postmark's webhooks: one JSON object a POST, told apart by `RecordType`.

From the documentation: the shapes, the bounce types with their numbers, and the schedule of retries (1, 5,
10, 10 and 10 minutes, 15 and 30 minutes, 1, 2 and 6 hours; 403 stops them). A hard bounce and a complaint
come with a SubscriptionChange, for the address gets nothing more. Postmark signs nothing: who wants to know
the sender puts a user name and a password into the URL, which are sent as Basic authorisation.

Not here: opens and clicks, and subscription changes of a recipient's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from harness.providers.presets._postmark_mail import METADATA, SERVER_ID, instant
from harness.providers.webhooks import Fate, Happening, Post, Signing

_MINUTE_S = 60.0
_HOUR_S = 60 * _MINUTE_S
_HARD = ("HardBounce", 1, "Hard bounce")
_SOFT = ("SoftBounce", 4096, "Soft bounce")
_TRANSIENT = ("Transient", 2, "Message delayed")
_SPAM = ("SpamComplaint", 100001, "Spam complaint")
_DESCRIPTIONS = {
    "HardBounce": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
    "SoftBounce": "Unable to temporarily deliver message (i.e. mailbox full, account disabled, exceeds quota,"
    " out of disk space).",
    "Transient": "The server could not temporarily deliver your message (ex: Message is delayed due to"
    " network troubles).",
    "SpamComplaint": "The subscriber explicitly marked this message as spam.",
}


class PostmarkEvents:
    begins = None  # nothing tells that a message was taken
    every_s = 0.5
    waits_s = (
        *(minutes * _MINUTE_S for minutes in (1, 5, 10, 10, 10, 15, 30)),
        *(hours * _HOUR_S for hours in (1, 2, 6)),
    )
    gives_up_after_s = sum(waits_s)
    stops_at = frozenset({403})
    secret = ""

    def verifies_with(self, secret: str) -> str:
        return ""

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        return [post for happening in happenings for post in _posts(happening)]


def _posts(happening: Happening) -> list[Post]:
    match happening.event:
        case Fate.DELIVERED:
            return [_post(_delivery(happening), happening)]
        case Fate.DEFERRED:
            return [_post(_bounce(happening, _TRANSIENT), happening)]
        case Fate.BOUNCED if not happening.permanent:
            return [_post(_bounce(happening, _SOFT), happening)]
        case Fate.BOUNCED:
            change = _change(happening, "HardBounce")
            return [_post(_bounce(happening, _HARD), happening), _post(change)]
        case Fate.COMPLAINED:
            change = _change(happening, "SpamComplaint")
            return [_post(_bounce(happening, _SPAM), happening), _post(change)]
        case _:
            return []  # mail to whom nothing goes is refused, not dropped


def _post(event: dict[str, Any], happening: Happening | None = None) -> Post:
    """`happening` is what is known to be told once this is taken; what comes with it is not counted again."""
    return Post(
        body=msgspec.json.encode(event),
        headers={"Content-Type": "application/json", "User-Agent": "Postmark"},
        happenings=[] if happening is None else [happening],
    )


def _common(happening: Happening) -> dict[str, Any]:
    echo = happening.echo
    return {
        "MessageID": happening.receipt.text,  # as the answer named it
        "ServerID": SERVER_ID,
        "MessageStream": echo.get("MessageStream") or "outbound",
        "Tag": echo.get("Tag", ""),
        "Metadata": {
            name.removeprefix(METADATA): value for name, value in echo.items() if name.startswith(METADATA)
        },
    }


def _delivery(happening: Happening) -> dict[str, Any]:
    return {
        "RecordType": "Delivery",
        **_common(happening),
        "Recipient": happening.receipt.recipient,
        "DeliveredAt": instant(happening.epoch_s),
        "Details": "250 2.0.0 OK",
    }


def _bounce(happening: Happening, kind: tuple[str, int, str]) -> dict[str, Any]:
    type_, code, name = kind
    for_good = type_ in ("HardBounce", "SpamComplaint")
    return {
        "RecordType": "SpamComplaint" if type_ == "SpamComplaint" else "Bounce",
        "ID": int(happening.id[:15], 16),
        "Type": type_,
        "TypeCode": code,
        "Name": name,
        **_common(happening),
        "Description": _DESCRIPTIONS[type_],
        "Details": f"smtp;{happening.cause}" if happening.cause else "",
        "Email": happening.receipt.recipient,
        "From": happening.echo.get("From", ""),
        "BouncedAt": instant(happening.epoch_s),
        "DumpAvailable": for_good,
        "Inactive": for_good,
        "CanActivate": type_ != "SpamComplaint",
        "Subject": happening.echo.get("Subject", ""),
    }


def _change(happening: Happening, reason: str) -> dict[str, Any]:
    return {
        "RecordType": "SubscriptionChange",
        **_common(happening),
        "ChangedAt": instant(happening.epoch_s),
        "Recipient": happening.receipt.recipient,
        "Origin": "Recipient",
        "SuppressSending": True,
        "SuppressionReason": reason,
    }
