"""Microsoft 365, SMTP AUTH client submission (smtp.office365.com, port 587), as of November 2026.

What is modelled: STARTTLS before a login, AUTH LOGIN and XOAUTH2, the provider's own texts with the server
tag that ends each of them, and the limits of one mailbox. Two of those limits do not look as one would
expect. The excess over the messages a minute is not refused: the answer to the message comes late, in one
of the next minutes. And the limit on connections is told after the message (`432 4.3.2`, as the answer to
DATA), not at the connection or the login; it hits the connections that logged in last. An XOAUTH2 login that
fails is answered 535 at once, as Microsoft's own example shows; there is no challenge in JSON before it, as
with Google.

Where the texts come from: [D] documented by Microsoft (learn, support, Exchange team blog, service health);
[P] posted by users, with the tag of their server; [M] general habits of Exchange that no public document
gives: the AUTH texts before STARTTLS, the goodbye, the words of DATA, the answer that takes a message.
"""

from __future__ import annotations

from datetime import date

from pydantic import Field

from harness.providers.presets._microsoft365_answers import CONCURRENT, HOSTNAME, MAILBOX, NAMED, QUOTA, TAG
from harness.providers.smtp.limits import SmtpLimits
from harness.providers.smtp.preset import SmtpPreset
from harness.providers.smtp.voice import Texts

_BEFORE_TLS = (
    "SIZE 157286400",
    "PIPELINING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "STARTTLS",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
)
_AFTER_TLS = tuple("AUTH LOGIN XOAUTH2" if line == "STARTTLS" else line for line in _BEFORE_TLS)


class Microsoft365Limits(SmtpLimits):
    """The limits of one mailbox."""

    # [D] All three: "Improvements in SMTP submission"; the rate is carried over, not refused.
    connections: int | None = Field(3, ge=1, description="at a time; the message of a later one gets a 432")
    messages_per_minute: int | None = Field(30, ge=1, description="the rest waits for the next minutes")
    recipients_per_day: int | None = Field(10_000, ge=1)
    recipients_per_message: int | None = Field(1_000, ge=1)
    message_bytes: int = Field(157_286_400, ge=1_000, description="as offered by SIZE")


PRESET = SmtpPreset(
    name="microsoft365-smtp",
    summary="Microsoft 365 SMTP AUTH: STARTTLS, LOGIN and XOAUTH2, 3 connections, 30 messages a minute",
    dated=date(2026, 11, 24),
    scheme="smtp+starttls",
    hosts={"frontend": "TY1PR01CA####", "mailbox": "DM4PR18MB####"},
    ehlo=_BEFORE_TLS,
    ehlo_tls=_AFTER_TLS,
    auth_required=True,
    tls_required=True,
    limits=Microsoft365Limits,
    texts=Texts(
        greeting="220 {frontend}.outlook.office365.com Microsoft ESMTP MAIL Service ready at {date} "
        "[08DE{session}]",
        hello="{frontend}.outlook.office365.com Hello [{ip}]",
        start_tls="220 2.0.0 SMTP server ready",
        auth_ok="235 2.7.0 Authentication successful",
        auth_refused=f"535 5.7.3 Authentication unsuccessful {TAG}",
        auth_unknown=f"504 5.7.4 Unrecognized authentication type {TAG}",
        auth_malformed=f"535 5.7.3 Authentication unsuccessful {TAG}",
        auth_cancelled=f"501 5.7.0 Authentication cancelled {TAG}",
        auth_again=f"503 5.5.2 Already authenticated {TAG}",
        auth_needed=f"530 5.7.57 Client not authenticated to send mail. {TAG}",
        go_ahead="354 Start mail input; end with <CRLF>.<CRLF>",
        accepted=f"250 2.0.0 OK <{{message}}@{MAILBOX}> {HOSTNAME}",
        chunk_ok="250 2.0.0 OK",
        reset="250 2.0.0 Resetting",
        goodbye="221 2.0.0 Service closing transmission channel",
        hello_first=f"503 5.5.2 Send hello first {TAG}",
        mail_first=f"503 5.5.2 Need mail command {TAG}",
        mail_nested=f"503 5.5.2 Sender already specified {TAG}",
        no_recipients=f"503 5.5.2 Need rcpt command {TAG}",
        unknown_command=f"500 5.3.3 Unrecognized command {TAG}",
        too_many_recipients=f"452 4.5.3 Too many recipients {TAG}",
        connections_exceeded=f"432 {CONCURRENT}",
        quota_exceeded=f"554 {QUOTA}",
        idle=f"421 4.4.1 Connection timed out {TAG}",
        stopping=f"421 4.3.2 Service not active {TAG}",
    ),
    named=NAMED,
)
