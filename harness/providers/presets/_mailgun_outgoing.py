"""What leaves Mailgun: the message made of a form, or the one that was in it."""

from __future__ import annotations

from harness.providers.http.messages import HttpRequest
from harness.providers.outgoing import Content, Taken, completed, compose
from harness.providers.presets._mail_parts import address_of, split_list
from harness.providers.presets._mailgun_form import Form, read_form
from harness.providers.presets._mailgun_mail import filled

ID_DOMAIN = "mailgun.example"


def outgoing(taken: Taken) -> bytes:
    form = read_form(_request(taken.body))
    if form.mime is not None:
        return completed(taken, form.mime.as_bytes(), id_domain=ID_DOMAIN)
    if taken.recipient.lower() not in (address_of(each).lower() for each in _to(form, "to", "cc", "bcc")):
        raise ValueError(f"the form names no {taken.recipient}")
    fill = filled(form, taken.recipient)
    alone = bool(form.first("recipient-variables"))  # then each recipient sees nobody but himself
    return compose(
        taken,
        Content(
            sender=form.first("from"),
            to=[taken.recipient] if alone else _to(form, "to"),
            cc=[] if alone else _to(form, "cc"),
            subject=fill(form.first("subject")),
            text=fill(form.first("text")),
            html=fill(form.first("html")),
            headers=[(name, fill(value)) for name, value in form.prefixed("h:")],
        ),
        id_domain=ID_DOMAIN,
    )


def _to(form: Form, *fields: str) -> list[str]:
    return [mailbox for field in fields for value in form.all(field) for mailbox in split_list(value)]


def _request(body: bytes) -> HttpRequest:
    """The stored body has no headers any more; a multipart one begins with its own boundary."""
    content_type = "application/x-www-form-urlencoded"
    if body.startswith(b"--"):
        boundary = body.partition(b"\r\n")[0][2:].decode("latin-1")
        content_type = f'multipart/form-data; boundary="{boundary}"'
    return HttpRequest(method="POST", path="", headers={"content-type": content_type}, body=body)
