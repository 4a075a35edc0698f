"""What leaves SES: the message of a SendEmail, or of one entry of a SendBulkEmail.

A template is not rendered: its data stands in the text, so that the message is known by its token.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from harness.providers.outgoing import Content, Taken, completed, compose, the_one
from harness.providers.presets._mail_parts import address_of
from harness.providers.presets._ses_mail import decode

ID_DOMAIN = "email.amazonses.example"


def outgoing(taken: Taken) -> bytes:
    request = decode(taken.body)
    if request is None:
        raise ValueError("no JSON object")
    sender = request.get("FromEmailAddress") or ""
    if "BulkEmailEntries" in request:
        entry = the_one(taken, request["BulkEmailEntries"], lambda each: _recipients(each.get("Destination")))
        template = (request.get("DefaultContent") or {}).get("Template") or {}
        own = (entry.get("ReplacementEmailContent") or {}).get("ReplacementTemplate") or {}
        data = own.get("ReplacementTemplateData") or template.get("TemplateData")
        headers = [*(template.get("Headers") or ()), *(entry.get("ReplacementHeaders") or ())]
        return _of_template(
            taken, sender, entry.get("Destination"), {**template, "TemplateData": data}, headers
        )
    content = request.get("Content") or {}
    destination = request.get("Destination")
    if raw := content.get("Raw"):
        return completed(taken, base64.b64decode(raw["Data"]), id_domain=ID_DOMAIN)
    if template := content.get("Template"):
        return _of_template(taken, sender, destination, template, template.get("Headers") or ())
    simple = content.get("Simple") or {}
    body = simple.get("Body") or {}
    return compose(
        taken,
        Content(
            sender=sender,
            to=_mailboxes(destination, "ToAddresses"),
            cc=_mailboxes(destination, "CcAddresses"),
            subject=_data(simple.get("Subject")),
            text=_data(body.get("Text")),
            html=_data(body.get("Html")),
            headers=_pairs(simple.get("Headers") or ()),
        ),
        id_domain=ID_DOMAIN,
    )


def _of_template(
    taken: Taken, sender: str, destination: Any, template: dict[str, Any], headers: Any
) -> bytes:
    inline = template.get("TemplateContent") or {}
    data = decode(str(template.get("TemplateData") or "{}").encode()) or {}
    return compose(
        taken,
        Content(
            sender=sender,
            to=_mailboxes(destination, "ToAddresses"),
            cc=_mailboxes(destination, "CcAddresses"),
            subject=str(inline.get("Subject") or template.get("TemplateName") or ""),
            text=f"{inline.get('Text') or ''}\n{msgspec.json.encode(data).decode()}\n",
            headers=_pairs(headers),
        ),
        id_domain=ID_DOMAIN,
    )


def _mailboxes(destination: Any, *fields: str) -> list[str]:
    given = destination if isinstance(destination, dict) else {}
    return [one for field in fields for one in given.get(field) or ()]


def _recipients(destination: Any) -> list[str]:
    return [address_of(one) for one in _mailboxes(destination, "ToAddresses", "CcAddresses", "BccAddresses")]


def _data(part: Any) -> str:
    return str(part.get("Data") or "") if isinstance(part, dict) else ""


def _pairs(headers: Any) -> list[tuple[str, str]]:
    return [(str(each["Name"]), str(each["Value"])) for each in headers]
