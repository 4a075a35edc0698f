"""Twilio's status callbacks: a form for each change of a message's status, signed with the auth token.

The form's fields, the signature (HMAC-SHA1 over the URL and the sorted fields) and the retries are
documented: one more try where no connection came about, none after any answer. Callbacks may come out of
order, as the real ones do. A callback goes to the route's events URL, through its proxy; `StatusCallback` in
a request is taken and not looked at, so that nothing is posted past the proxy.

Not told, because Twilio does not: that a recipient complained (he would answer STOP), and that a carrier was
slow. `queued` and `sent` come together; the history has them as one event.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from harness.providers.credentials import OF_THE_ACCOUNT
from harness.providers.presets._twilio_message import API_VERSION, FROM
from harness.providers.webhooks import Fate, Happening, Post, Signing

UNKNOWN_HANDSET, UNREACHABLE_HANDSET, QUEUE_OVERFLOW = 30005, 30003, 30001


class TwilioEvents:
    begins = "queued"
    every_s = 0.2
    waits_s = (1.0,)
    gives_up_after_s = 1.5
    stops_at = range(100, 600)
    secret = OF_THE_ACCOUNT

    def verifies_with(self, secret: str) -> str:
        return secret

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        posts = []
        for each in happenings:
            statuses = _statuses(each)
            # The journal has one event of each happening, so the last of its posts stands for it.
            posts += [_callback(each, status, signing, []) for status in statuses[:-1]]
            posts += [_callback(each, status, signing, [each]) for status in statuses[-1:]]
        return posts


def signature(secret: str, url: str, form: Mapping[str, str]) -> str:
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha1)).decode()


def error_code(event: str, *, permanent: bool) -> int | None:
    """Why a message did not get there."""
    if event == Fate.BOUNCED:
        return UNKNOWN_HANDSET if permanent else UNREACHABLE_HANDSET
    return QUEUE_OVERFLOW if event == Fate.DROPPED else None


def status_of(event: str) -> str:
    """The last status that a message has by this event; empty where Twilio has none."""
    told = {
        TwilioEvents.begins: "sent",
        Fate.DELIVERED: "delivered",
        Fate.BOUNCED: "undelivered",
        Fate.DROPPED: "failed",
    }
    return told.get(event, "")


def _statuses(happening: Happening) -> list[str]:
    status = status_of(happening.event)
    if happening.event == TwilioEvents.begins:
        return ["queued", status]
    return [status] if status else []


def _callback(happening: Happening, status: str, signing: Signing, tells: list[Happening]) -> Post:
    receipt = happening.receipt
    form = {
        "SmsSid": receipt.text,
        "SmsStatus": status,
        "MessageStatus": status,
        "To": receipt.recipient or "",
        "MessageSid": receipt.text,
        "AccountSid": receipt.account,
        "From": happening.echo.get(FROM, ""),
        "ApiVersion": API_VERSION,
    }
    if (code := error_code(happening.event, permanent=happening.permanent)) is not None:
        form["ErrorCode"] = str(code)
    if status == "delivered":
        form["RawDlrDoneDate"] = f"{datetime.fromtimestamp(happening.epoch_s, UTC):%y%m%d%H%M}"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "User-Agent": "TwilioProxy/1.1",
        "I-Twilio-Idempotency-Token": f"{happening.id[:8]}-{status}",
    }
    if signing.secret:
        headers["X-Twilio-Signature"] = signature(signing.secret, signing.url, form)
    return Post(body=urlencode(form).encode(), headers=headers, happenings=tells)
