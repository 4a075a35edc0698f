"""Mailgun's webhooks: one JSON object a POST, with a signature beside what happened.

From the documentation: the shapes, the signature (HMAC-SHA256 over timestamp and token, in hexadecimal, which
covers none of the event) and the schedule of retries (10, 10, 15 and 30 minutes, 1, 2 and 4 hours; 406 stops
them). Both bounces and delays are `failed`, told apart by `severity`; mail to whom an earlier one bounced or
complained is accepted, and fails for good by itself (605 to 607 [users' reports]). `user-variables` is an
empty list where there are none.

Not here: opens, clicks and unsubscribing, which nothing in a drill does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from harness.providers.presets._mailgun_mail import VARIABLE
from harness.providers.webhooks import Fate, Happening, Post, Signing

_MINUTE_S = 60.0
_ACCEPTED = "accepted"
_SUPPRESSED = {
    Fate.BOUNCED: ("suppress-bounce", 605, "Not delivering to previously bounced address"),
    Fate.COMPLAINED: (
        "suppress-complaint",
        607,
        "Not delivering to a user who marked your messages as spam",
    ),
    None: ("suppress-unsubscribe", 606, "Not delivering to unsubscribed address"),
}


class MailgunEvents:
    begins = _ACCEPTED
    every_s = 0.5
    waits_s = tuple(minutes * _MINUTE_S for minutes in (10, 10, 15, 30, 60, 120, 240))
    gives_up_after_s = sum(waits_s)
    stops_at = frozenset({406})
    secret = "{hex:32}"

    def verifies_with(self, secret: str) -> str:
        return secret

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        return [
            Post(
                body=msgspec.json.encode(
                    {"signature": _signature(happening, signing), "event-data": _event(happening)}
                ),
                headers={"Content-Type": "application/json", "User-Agent": "mailgun/treq-20.9.0"},
                happenings=[happening],
            )
            for happening in happenings
        ]


def _signature(happening: Happening, signing: Signing) -> dict[str, str]:
    timestamp = str(int(signing.epoch_s))
    token = hashlib.sha256(happening.id.encode()).hexdigest()[:50]
    signature = hmac.digest(signing.secret.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hex()
    return {"timestamp": timestamp, "token": token, "signature": signature}


def _event(happening: Happening) -> dict[str, Any]:
    receipt, echo = happening.receipt, happening.echo
    recipient = receipt.recipient or ""
    message_id = receipt.text.strip("<>")  # as the answer named it
    domain = message_id.rpartition("@")[2]
    variables = {
        name.removeprefix(VARIABLE): value for name, value in echo.items() if name.startswith(VARIABLE)
    }
    return {
        **_what(happening),
        "id": base64.urlsafe_b64encode(bytes.fromhex(happening.id)).rstrip(b"=").decode(),
        "timestamp": happening.epoch_s,
        "account": {"id": hashlib.sha256(receipt.account.encode()).hexdigest()[:24]},
        "domain": {"name": domain},
        "envelope": {"sender": f"bounce+{domain}", "targets": recipient, "transport": "smtp"},
        "flags": {
            "is-authenticated": True,
            "is-routed": False,
            "is-system-test": False,
            "is-test-mode": False,
        },
        "message": {
            "attachments": [],
            "headers": {
                "to": echo.get("to", ""),
                "message-id": message_id,
                "from": echo.get("from", ""),
                "subject": echo.get("subject", ""),
            },
            "size": receipt.body_bytes or 0,
        },
        "recipient": recipient,
        "recipient-domain": recipient.rpartition("@")[2],
        "tags": [tag for tag in echo.get("tags", "").split(",") if tag],
        "campaigns": [],
        "user-variables": variables or [],
    }


def _what(happening: Happening) -> dict[str, Any]:
    """What is particular to each kind."""
    code, _, said = happening.cause.partition(" ")
    number = int(code) if code.isdecimal() else 0
    match happening.event:
        case Fate.DELIVERED:
            return {"event": "delivered", "log-level": "info", "delivery-status": _status(250, "OK")}
        case Fate.COMPLAINED:
            return {"event": "complained", "log-level": "warn"}
        case Fate.DROPPED:
            reason, suppressed, words = _SUPPRESSED[happening.suppressed_by]
            return _failed("permanent", reason, _status(suppressed, "", words))
        case Fate.BOUNCED if happening.permanent:
            return _failed("permanent", "bounce", _status(number, said) | {"bounce-type": "hard"})
        case Fate.BOUNCED:
            return _failed("temporary", "generic", _status(number, said) | {"bounce-type": "soft"})
        case Fate.DEFERRED:
            return _failed("temporary", "generic", _status(number, said) | {"retry-seconds": 600})
        case _:
            return {"event": happening.event, "log-level": "info", "method": "HTTP"}


def _failed(severity: str, reason: str, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "event": "failed",
        "log-level": "error" if severity == "permanent" else "warn",
        "severity": severity,
        "reason": reason,
        "delivery-status": status,
    }


def _status(code: int, message: str, description: str | None = None) -> dict[str, Any]:
    enhanced, _, _ = message.partition(" ")
    is_enhanced = enhanced.count(".") == 2 and enhanced.replace(".", "").isdecimal()
    return {
        "attempt-no": 1,
        "code": code,
        "message": message,
        "description": description,
        "session-seconds": 0.2,
        "enhanced-code": enhanced if is_enhanced else None,
    }
