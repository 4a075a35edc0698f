"""A message as mail: RFC 5322 text with the token in recipient, header and body.

Written by hand, since the standard library takes a millisecond for one and the driver may need hundreds a
second. Message-ID is made of the token: each offer of a message is the same mail.
"""

from __future__ import annotations

import binascii
from email.header import Header
from email.utils import formatdate

from harness.scenario.timeline import Message


def letter(message: Message, sender: str, wall_s: float) -> bytes:
    """With CRLF line ends, and one at its end; `wall_s` is the time of its Date."""
    fields = {
        "From": sender,
        "To": message.recipient,
        "Subject": _encoded(message.subject),
        "Date": formatdate(wall_s, usegmt=True),
        "Message-ID": f"<{message.token}@{sender.rpartition('@')[2]}>",
        **message.headers,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "quoted-printable",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    text = message.body if message.body.endswith("\n") else message.body + "\n"
    body = binascii.b2a_qp(text.encode(), istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return head.encode("ascii") + b"\r\n" + body


def _encoded(subject: str) -> str:
    return subject if subject.isascii() else Header(subject, "utf-8").encode(linesep="\r\n")
