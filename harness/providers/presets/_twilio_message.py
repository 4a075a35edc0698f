"""Twilio's Message resource: what a form asks for, what is wrong with it, and how the resource looks.

To whom: only numbers that belong to nobody. North American numbers 555-0100 to 555-0199 are reserved for
fiction, and +1 500 555 00xx are Twilio's own test numbers, of which some mean an error, as its documentation
lists them. A number that somebody may have is refused as a trial account's message to an unverified number
is (21608): a scenario that names one is wrong, and must not work because it was run against a fake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from harness.providers.http.messages import Answer, HttpRequest, LogicalMessage
from harness.providers.presets import _twilio_errors as errors
from harness.providers.tokens import read_content

API_VERSION = "2010-04-01"
MOST_CHARACTERS = 1_600
MOST_FIELDS = 1_000
FROM, BODY, SERVICE = "From", "Body", "MessagingServiceSid"
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SENDER = re.compile(r"\+?[0-9]{3,15}|(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")  # number, short code, name
_OF_NOBODY = re.compile(r"\+1[2-9][0-9]{2}55501[0-9]{2}|\+1500555[0-9]{4}")
_GSM_7 = re.compile(r"[\x20-\x7e\n\r£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà]*")

Form = Mapping[str, str]


def read_form(body: bytes) -> dict[str, str]:
    """Of repeated fields the first; nothing where there are too many."""
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def message_of(form: Form, body: bytes) -> LogicalMessage:
    """An SMS has no headers: what it carries is the nonce in its text."""
    carried = read_content(b"", form.get(BODY, "").encode("utf-8", "replace"), whole=body)
    echo = {name: form[name] for name in (FROM, BODY, SERVICE) if form.get(name)}
    return LogicalMessage(recipient=form.get("To") or None, carried=carried, echo=echo)


def flaw(form: Form) -> Answer | None:
    """What Twilio would say is wrong, in its order: parameters, numbers, then what it knows of those."""
    to, sender = form.get("To", "").strip(), form.get(FROM, "").strip()
    if not to:
        return errors.no_to()
    if not sender and not form.get(SERVICE):
        return errors.no_from()
    if not form.get(BODY):
        return errors.no_body()
    if len(form[BODY]) > MOST_CHARACTERS:
        return errors.body_too_long()
    if not _E164.fullmatch(to) or to == "+15005550001":
        return errors.to_invalid(to)
    return _flaw_of_sender(sender) or _flaw_of_number(to, sender)


def _flaw_of_sender(sender: str) -> Answer | None:
    match sender:
        case "":
            return None
        case "+15005550007":
            return errors.from_not_owned(sender)
        case "+15005550008":
            return errors.queue_full()
        case "+15005550001":
            return errors.from_invalid(sender)
        case _:
            return None if _SENDER.fullmatch(sender) else errors.from_invalid(sender)


def _flaw_of_number(to: str, sender: str) -> Answer | None:
    match to:
        case "+15005550002":
            return errors.unreachable(to, sender)
        case "+15005550003":
            return errors.no_permission(to)
        case "+15005550004":
            return errors.unsubscribed()
        case "+15005550009":
            return errors.not_mobile(to)
        case _:
            return None if _OF_NOBODY.fullmatch(to) else errors.not_verified(to)


def resource(
    *,
    account: str,
    sid: str,
    to: str,
    echo: Mapping[str, str],
    status: str,
    created_epoch_s: float,
    sent_epoch_s: float | None = None,
    error_code: int | None = None,
) -> dict[str, Any]:
    """The Message resource, its fields in Twilio's order."""
    uri = f"/{API_VERSION}/Accounts/{account}/Messages/{sid}"
    service, text = echo.get(SERVICE), echo.get(BODY, "")
    created = _rfc2822(created_epoch_s)
    return {
        "account_sid": account,
        "api_version": API_VERSION,
        "body": text,
        "date_created": created,
        "date_sent": None if sent_epoch_s is None else _rfc2822(sent_epoch_s),
        "date_updated": created if sent_epoch_s is None else _rfc2822(sent_epoch_s),
        "direction": "outbound-api",
        "error_code": error_code,
        "error_message": None,
        "from": echo.get(FROM),
        "messaging_service_sid": service,
        "num_media": "0",
        "num_segments": "0" if service else str(segments(text)),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": to,
        "uri": f"{uri}.json",
    }


def first_status(form: Form) -> str:
    """`accepted` where a messaging service has still to choose the sender."""
    return "accepted" if form.get(SERVICE) else "queued"


def segments(text: str) -> int:
    """160 characters of GSM's own alphabet or 70 of Unicode are one SMS; of several, 153 or 67 each."""
    alone, each = (160, 153) if _GSM_7.fullmatch(text) else (70, 67)
    return 1 if len(text) <= alone else -(-len(text) // each)


def account_sid(request: HttpRequest) -> str:
    return request.path_params.get("account", "")


def _rfc2822(epoch_s: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(epoch_s), UTC))
