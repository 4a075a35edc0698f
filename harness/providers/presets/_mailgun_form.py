"""The bodies of Mailgun's requests: forms, urlencoded or multipart, with files or without.

Multipart is read by the standard library's parser of MIME, which takes anything; so does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from email.message import Message
from email.parser import BytesParser
from email.utils import collapse_rfc2231_value
from urllib.parse import parse_qsl

import msgspec

from harness.providers.http.api import media_type
from harness.providers.http.messages import HttpRequest

MIME_FIELD = "message"  # of messages.mime: a whole message, as a file or as a text


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """Fields in the order in which they came; `mime` is the message of messages.mime, if there is one."""

    fields: Sequence[tuple[str, str]] = ()
    mime: Message | None = None

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.fields if each == name]

    def first(self, name: str) -> str:
        return next((value for each, value in self.fields if each == name), "")

    def prefixed(self, prefix: str) -> list[tuple[str, str]]:
        """Those whose names begin so, without it: `h:` headers, `v:` variables, `o:` options."""
        return [(name[len(prefix) :], value) for name, value in self.fields if name.startswith(prefix)]


def read_form(request: HttpRequest) -> Form:
    """A body of another type has no fields."""
    match media_type(request):
        case "application/x-www-form-urlencoded":
            fields = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
            mime = next((value for name, value in fields if name == MIME_FIELD), None)
            return Form(fields=fields, mime=None if mime is None else _message(mime.encode()))
        case "multipart/form-data":
            return _multipart(request)
        case _:
            return Form()


def texts_of(message: Message) -> Iterator[str]:
    """The texts of a whole message, decoded."""
    left = [message]
    while left:
        part = left.pop(0)
        inner = part.get_payload() if part.is_multipart() else None
        if isinstance(inner, list):
            left += [each for each in inner if isinstance(each, Message)]
        elif part.get_content_maintype() == "text":
            yield _decoded(part).decode("utf-8", "replace")


def headers_of(message: Message) -> Iterator[tuple[str, str]]:
    yield from ((name, str(value)) for name, value in message.items())


def _multipart(request: HttpRequest) -> Form:
    content_type = request.header("content-type").encode("latin-1", "replace")
    whole = _message(b"Content-Type: " + content_type.replace(b"\n", b" ") + b"\r\n\r\n" + request.body)
    parts = whole.get_payload() if whole.is_multipart() else []
    fields: list[tuple[str, str]] = []
    mime: Message | None = None
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, Message):
            continue
        name = collapse_rfc2231_value(part.get_param("name", "", "content-disposition") or "")
        if name == MIME_FIELD:
            inner = part.get_payload(0) if part.get_content_type() == "message/rfc822" else None
            mime = inner if isinstance(inner, Message) else _message(_decoded(part))
        elif part.get_param("filename", header="content-disposition") is None:
            fields.append((name, _decoded(part).decode("utf-8", "replace")))
    return Form(fields=fields, mime=mime)


def _message(raw: bytes) -> Message:
    """An empty one where parts lie within parts without an end."""
    try:
        return BytesParser().parsebytes(raw)
    except RecursionError:
        return Message()


def _decoded(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
