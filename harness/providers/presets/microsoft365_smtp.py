"""Microsoft 365, SMTP AUTH client submission (smtp.office365.com, port 587), as of November 2026.

What is modelled: STARTTLS before a login, AUTH LOGIN and XOAUTH2, the provider's own texts with the server
tag that ends each of them, and the limits of one mailbox. Two of those limits do not look as one would
expect. The excess over the messages a minute is not refused: the answer to the message comes late, in one
of the next minutes. And the limit on connections is told after the message (`432 4.3.2`, as the answer to
DATA), not at the connection or the login; it hits the connections that logged in last.

The AUTH texts before STARTTLS, the goodbye and the words of DATA follow Exchange's general habits; no public
document gives them.
"""

from __future__ import annotations

from datetime import date

from pydantic import Field

from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.limits import SmtpLimits
from harness.providers.smtp.preset import SmtpPreset
from harness.providers.smtp.voice import Texts

_TAG = "[{frontend}.jpnprd01.prod.outlook.com {iso} 08DE{session}]"
_MAILBOX = "{mailbox}.namprd18.prod.outlook.com"
_HOSTNAME = f"[Hostname={_MAILBOX}]"
_CONCURRENT = (
    "4.3.2 Concurrent connections limit exceeded. "
    f"Visit https://aka.ms/concurrent_sending for more information. {_HOSTNAME}"
)
_QUOTA = f"5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException {_HOSTNAME}"

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

    connections: int | None = Field(3, ge=1, description="at a time; the message of a later one gets a 432")
    messages_per_minute: int | None = Field(30, ge=1, description="the rest waits for the next minutes")
    recipients_per_day: int | None = Field(10_000, ge=1)
    recipients_per_message: int | None = Field(1_000, ge=1)
    message_bytes: int = Field(157_286_400, ge=1_000, description="as offered by SIZE")


def _auth(reason: str, code: int = 535) -> SmtpAnswer:
    return SmtpAnswer(code=code, text=f"{reason} {_TAG}", stage=Stage.AUTH)


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
        auth_refused=f"535 5.7.3 Authentication unsuccessful {_TAG}",
        auth_unknown=f"504 5.7.4 Unrecognized authentication type {_TAG}",
        auth_malformed=f"535 5.7.3 Authentication unsuccessful {_TAG}",
        auth_cancelled=f"501 5.7.0 Authentication cancelled {_TAG}",
        auth_again=f"503 5.5.2 Already authenticated {_TAG}",
        auth_needed=f"530 5.7.57 Client not authenticated to send mail. {_TAG}",
        go_ahead="354 Start mail input; end with <CRLF>.<CRLF>",
        accepted=f"250 2.0.0 OK <{{message}}@{_MAILBOX}> {_HOSTNAME}",
        chunk_ok="250 2.0.0 OK",
        reset="250 2.0.0 Resetting",
        goodbye="221 2.0.0 Service closing transmission channel",
        hello_first=f"503 5.5.2 Send hello first {_TAG}",
        mail_first=f"503 5.5.2 Need mail command {_TAG}",
        mail_nested=f"503 5.5.2 Sender already specified {_TAG}",
        no_recipients=f"503 5.5.2 Need rcpt command {_TAG}",
        unknown_command=f"500 5.3.3 Unrecognized command {_TAG}",
        too_many_recipients=f"452 4.5.3 Too many recipients {_TAG}",
        connections_exceeded=f"432 {_CONCURRENT}",
        quota_exceeded=f"554 {_QUOTA}",
        idle=f"421 4.4.1 Connection timed out {_TAG}",
        stopping=f"421 4.3.2 Service not active {_TAG}",
    ),
    named={
        "server-busy": SmtpAnswer(
            code=451, text=f"4.7.500 Server busy. Please try again later from [{{ip}}]. (S77714) {_TAG}"
        ),
        "temporary-server-error": SmtpAnswer(
            code=451, text=f"4.3.2 Temporary server error. Please try again later ATTR1/ATTR2 {_TAG}"
        ),
        "service-not-available": SmtpAnswer(
            code=421, text=f"4.3.2 Service not available {_TAG}", stage=Stage.CONNECT
        ),
        "concurrent-connections": SmtpAnswer(code=432, text=_CONCURRENT, stage=Stage.BODY),
        "sender-thread-limit": SmtpAnswer(
            code=432,
            text=f"4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded {_HOSTNAME}",
            stage=Stage.BODY,
        ),
        "submission-quota": SmtpAnswer(code=554, text=_QUOTA, stage=Stage.BODY),
        "mailbox-full": SmtpAnswer(
            code=554,
            text="5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException."
            f"MapiExceptionShutoffQuotaExceeded {_HOSTNAME}",
            stage=Stage.BODY,
        ),
        "send-as-denied": SmtpAnswer(
            code=550,
            text=f"5.7.60 SMTP; Client does not have permissions to send as this sender {_TAG}",
            stage=Stage.BODY,
        ),
        "not-authenticated": SmtpAnswer(
            code=530, text=f"5.7.57 Client not authenticated to send mail. {_TAG}"
        ),
        "auth-unsuccessful": _auth("5.7.3 Authentication unsuccessful"),
        "auth-disabled-for-tenant": _auth(
            "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
            "Visit https://aka.ms/smtp_auth_disabled for more information."
        ),
        "basic-auth-disabled": _auth(
            "5.7.139 Authentication unsuccessful, basic authentication is disabled."
        ),
        "auth-criteria-unmet": _auth(
            "5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated "
            "successfully."
        ),
        "auth-credentials-incorrect": _auth(
            "5.7.139 Authentication unsuccessful, the user credentials were incorrect."
        ),
        "basic-auth-retired": _auth(
            "5.7.30 Basic authentication is not supported for Client Submission.", code=550
        ),
    },
)
