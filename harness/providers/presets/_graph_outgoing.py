"""What leaves Exchange Online of a message that came by Graph, as JSON or as base64 MIME.

It is from the mailbox in the request's path, unless the message names another.
"""

from __future__ import annotations

import base64
from typing import Any

from harness.providers.outgoing import Content, Taken, completed, compose
from harness.providers.presets._mail_parts import decode_json

ID_DOMAIN = "prod.outlook.example"


def outgoing(taken: Taken) -> bytes:
    if not taken.body.lstrip().startswith(b"{"):
        return completed(taken, base64.b64decode(taken.body), id_domain=ID_DOMAIN)
    request = decode_json(taken.body)
    message = request.get("message") if isinstance(request, dict) else None
    if not isinstance(message, dict):
        raise ValueError("no message in the request")
    body = message.get("body") or {}
    text = str(body.get("content") or "")
    is_html = str(body.get("contentType")).lower() == "html"
    return compose(
        taken,
        Content(
            sender=_address(message.get("from")) or taken.sender or "",
            to=[_address(each) for each in message.get("toRecipients") or ()],
            cc=[_address(each) for each in message.get("ccRecipients") or ()],
            subject=str(message.get("subject") or ""),
            text="" if is_html else text,
            html=text if is_html else "",
            headers=[
                (str(each["name"]), str(each["value"]))
                for each in message.get("internetMessageHeaders") or ()
            ],
        ),
        id_domain=ID_DOMAIN,
    )


def _address(recipient: Any) -> str:
    inner = recipient.get("emailAddress") if isinstance(recipient, dict) else None
    return str(inner.get("address") or "") if isinstance(inner, dict) else ""
