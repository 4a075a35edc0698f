"""Resend's webhooks: one JSON object a POST, sent and signed by Svix.

From the documentation: the shapes, Svix's headers, signature (HMAC-SHA256 over id, time and body, by the
secret behind `whsec_`) and schedule of retries (at once, then after 5 s, 5 and 30 minutes, 2, 5, 10 and 10
hours). `svix-id` stays the same when an event comes twice. Mail to whom an earlier one bounced or complained
is taken, and told of as `email.suppressed`.

Not here: opens and clicks, and what becomes of contacts and domains.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from harness.providers.presets._resend_mail import TAG
from harness.providers.webhooks import Fate, Happening, Post, Signing

_HOUR_S = 3_600.0
_SENT = "sent"
_TYPES = {
    _SENT: "email.sent",
    Fate.DELIVERED: "email.delivered",
    Fate.DEFERRED: "email.delivery_delayed",
    Fate.BOUNCED: "email.bounced",
    Fate.COMPLAINED: "email.complained",
    Fate.DROPPED: "email.suppressed",
}
_SUPPRESSED = {
    "message": "Resend has suppressed sending to this address because it is on the account-level suppression"
    " list. This does not count toward your bounce rate metric",
    "type": "OnAccountSuppressionList",
}


class ResendEvents:
    begins = _SENT
    every_s = 0.2
    waits_s = (5.0, 300.0, 1_800.0, 2 * _HOUR_S, 5 * _HOUR_S, 10 * _HOUR_S, 10 * _HOUR_S)
    gives_up_after_s = sum(waits_s)
    stops_at: frozenset[int] = frozenset()
    secret = "whsec_{bytes:24}"

    def verifies_with(self, secret: str) -> str:
        return secret

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        return [_post(happening, signing) for happening in happenings]


def _post(happening: Happening, signing: Signing) -> Post:
    body = msgspec.json.encode(_event(happening))
    headers = {"Content-Type": "application/json", "User-Agent": "Svix-Webhooks/1.62"}
    if signing.secret:
        message_id, timestamp = f"msg_{happening.id[:27]}", str(int(signing.epoch_s))
        headers |= {
            "svix-id": message_id,
            "svix-timestamp": timestamp,
            "svix-signature": _signature(signing.secret, message_id, timestamp, body),
        }
    return Post(body=body, headers=headers, happenings=[happening])


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _event(happening: Happening) -> dict[str, Any]:
    receipt, echo = happening.receipt, happening.echo
    created_s = happening.epoch_s - happening.at_s + receipt.end_ns / 1e9
    data: dict[str, Any] = {
        "created_at": datetime.fromtimestamp(created_s, UTC).isoformat(timespec="microseconds"),
        "email_id": receipt.text,  # as the answer named it
        "from": echo.get("from", ""),
        "to": [receipt.recipient],
        "subject": echo.get("subject", ""),
    }
    if happening.event == Fate.BOUNCED:
        data["bounce"] = {
            "message": happening.cause,
            "subType": "General",
            "type": "Permanent" if happening.permanent else "Transient",
        }
    if happening.event == Fate.DROPPED:
        data["suppressed"] = _SUPPRESSED
    data["tags"] = {name.removeprefix(TAG): value for name, value in echo.items() if name.startswith(TAG)}
    moment = datetime.fromtimestamp(happening.epoch_s, UTC).isoformat(timespec="milliseconds")
    return {
        "type": _TYPES[happening.event],
        "created_at": moment.replace("+00:00", "Z"),
        "data": data,
    }
