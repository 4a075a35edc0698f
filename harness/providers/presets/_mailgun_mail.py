"""A message of Mailgun's: who it is for, what it carries, and what is wrong with it.

Each recipient in to, cc and bcc is a logical message of its own. With `recipient-variables` each recipient
gets a message for itself, in which `%recipient.name%` stands for its own values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from harness.providers.http.messages import LogicalMessage
from harness.providers.presets import _mailgun_errors as errors
from harness.providers.presets._mail_parts import (
    address_of,
    carried,
    decode_json,
    is_address,
    split_list,
)
from harness.providers.presets._mailgun_form import Form, headers_of, texts_of
from harness.providers.tokens import Carried

MOST_RECIPIENTS = 1_000
_RECIPIENTS = ("to", "cc", "bcc")
_CONTENTS = ("text", "html", "amp-html", "template")
_PLACE = re.compile(r"%recipient\.([^%\s]{1,100})%")
VARIABLE = "v:"  # in what is echoed: before the names of the sender's own


def read_messages(form: Form, sha256: str) -> list[LogicalMessage]:
    """One for each recipient that can be read; one without recipient if there is none."""
    headers, texts = form.prefixed("h:"), [form.first(name) for name in ("subject", *_CONTENTS)]
    if form.mime is not None:
        headers = [*headers_of(form.mime), *headers]
        texts += texts_of(form.mime)
    shared = carried(headers, texts, sha256)
    echo = _echo(form)
    variables = _variables(form)
    messages = [
        _for_recipient(mailbox, (headers, texts, shared), echo, variables, sha256)
        for mailbox in _mailboxes(form)
    ]
    return messages or [LogicalMessage(carried=shared, echo=echo)]


def complaint(form: Form, *, mime: bool) -> str | None:
    """What is wrong with it: Mailgun tells one thing at a time. `mime`: it came to messages.mime."""
    to = [mailbox for value in form.all("to") for mailbox in split_list(value)]
    if not mime and not form.first("from"):
        return errors.FROM_MISSING
    if not to:
        return errors.TO_MISSING
    for field in ("from", *_RECIPIENTS):
        given = [mailbox for value in form.all(field) for mailbox in split_list(value)]
        if not all(is_address(address_of(mailbox)) for mailbox in given):
            return errors.invalid_address(field)
    if len(to) > MOST_RECIPIENTS:
        return errors.TOO_MANY_RECIPIENTS
    if mime:
        return errors.NO_MIME if form.mime is None else None
    if not any(form.first(name) for name in _CONTENTS):
        return errors.NO_CONTENT
    if form.first("recipient-variables") and not _variables(form):
        return errors.BAD_VARIABLES
    return None


def is_test(form: Form) -> bool:
    """`o:testmode`: taken, and not sent [D]."""
    return form.first("o:testmode").lower() in ("yes", "true", "on")


def _mailboxes(form: Form) -> Iterable[str]:
    return (mailbox for field in _RECIPIENTS for value in form.all(field) for mailbox in split_list(value))


def _for_recipient(
    mailbox: str,
    shared: tuple[list[tuple[str, str]], list[str], Carried],
    echo: Mapping[str, str],
    variables: Mapping[str, Any],
    sha256: str,
) -> LogicalMessage:
    recipient = address_of(mailbox)
    headers, texts, seen = shared
    own = variables.get(recipient)
    if not isinstance(own, dict):
        return LogicalMessage(recipient=recipient, carried=seen, echo=dict(echo))
    fill = _filler(own)
    return LogicalMessage(
        recipient=recipient,
        carried=carried(((name, fill(value)) for name, value in headers), map(fill, texts), sha256),
        echo={name: fill(value) for name, value in echo.items()} | {"to": recipient},
    )


def filled(form: Form, recipient: str) -> Callable[[str], str]:
    """Puts this recipient's own values into a text."""
    own = _variables(form).get(recipient)
    return _filler(own if isinstance(own, dict) else {})


def _filler(own: Mapping[str, Any]) -> Callable[[str], str]:
    def fill(text: str) -> str:
        return _PLACE.sub(lambda match: str(own.get(match[1], match[0])), text) if "%" in text else text

    return fill


def _variables(form: Form) -> dict[str, Any]:
    given = decode_json(form.first("recipient-variables").encode("utf-8", "replace"))
    return given if isinstance(given, dict) else {}


def _echo(form: Form) -> dict[str, str]:
    """What its events tell again."""
    found = {name: form.first(name) for name in ("from", "to", "subject")}
    if form.mime is not None:
        found |= {name: str(form.mime.get(name, "")) for name in ("from", "subject")}
    found["tags"] = ",".join(form.all("o:tag"))
    return found | {f"{VARIABLE}{name}": value for name, value in form.prefixed("v:")}
