"""The mailbox side: the mail server behind an MX record, as Exchange Online Protection looks to the world.

It takes mail from anybody on port 25: no AUTH, STARTTLS for those who want it. Which of several is tried
first is for the sender to decide, by the order of its routes: each listener stands for one MX host. To let
mail queue at its sender, `refuse` with a 451 of those below; to lose it, `silent-drop`. The twin that refuses
every login elsewhere refuses to relay here, as for a domain that the tenant does not own.

Where the texts come from: [D] documented by Microsoft; [P] seen in sessions and bounces that users posted;
[M] general knowledge of Exchange: the size that is offered, the words of commands out of order.
"""

from __future__ import annotations

from datetime import date

from harness.providers.credentials import CredentialShape
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.limits import GreylistingLimits
from harness.providers.smtp.preset import SmtpPreset
from harness.providers.smtp.voice import Texts

_TAG = "[{frontend}.eop-EUR01.prod.protection.outlook.com {iso} 08DE{session}]"  # [P]
_MAILBOX = "{mailbox}.eurprd02.prod.outlook.com"
_RELAY_DENIED = f"550 5.7.64 TenantAttribution; Relay Access Denied {_TAG}"  # [D]
_BEFORE_TLS = (  # [P] but for the size
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


def _at_rcpt(code: int, text: str) -> SmtpAnswer:
    return SmtpAnswer(code=code, text=f"{text} {_TAG}", stage=Stage.RCPT)


PRESET = SmtpPreset(
    name="inbound-mx",
    summary="The mail server behind an MX, as Exchange Online Protection: no login, STARTTLS if wanted",
    dated=date(2026, 11, 27),
    scheme="smtp+starttls",
    hosts={"frontend": "DB5EUR01FT###", "mailbox": "AM0PR02MB####"},
    ehlo=_BEFORE_TLS,
    ehlo_tls=tuple(line for line in _BEFORE_TLS if line != "STARTTLS"),
    tls_required=True,
    limits=GreylistingLimits,
    credential=CredentialShape(username="", secret=""),
    texts=Texts(
        greeting="220 {frontend}.mail.protection.outlook.com Microsoft ESMTP MAIL Service ready at {date} "
        "[08DE{session}]",  # [P]
        hello="{frontend}.mail.protection.outlook.com Hello [{ip}]",  # [P]
        start_tls="220 2.0.0 SMTP server ready",  # [P]
        auth_needed=_RELAY_DENIED,
        auth_unknown=f"504 5.7.4 Unrecognized authentication type {_TAG}",
        go_ahead="354 Start mail input; end with <CRLF>.<CRLF>",  # [P]
        accepted=f"250 2.6.0 <{{message}}@{_MAILBOX}> [InternalId={{number}}, Hostname={_MAILBOX}] "
        "Queued mail for delivery",  # [P]
        chunk_ok="250 2.0.0 OK",
        reset="250 2.0.0 Resetting",
        goodbye="221 2.0.0 Service closing transmission channel",  # [P]
        hello_first=f"503 5.5.2 Send hello first {_TAG}",
        mail_first=f"503 5.5.2 Need mail command {_TAG}",
        mail_nested=f"503 5.5.2 Sender already specified {_TAG}",
        no_recipients=f"503 5.5.2 Need rcpt command {_TAG}",
        unknown_command=f"500 5.3.3 Unrecognized command {_TAG}",
        too_many_recipients=f"452 4.5.3 Too many recipients {_TAG}",
        throttled=f"451 4.7.500 Server busy. Please try again later from [{{ip}}]. (S77714) {_TAG}",
        idle=f"421 4.4.1 Connection timed out {_TAG}",
        stopping=f"421 4.3.2 Service not active {_TAG}",
    ),
    named={
        "server-busy": _at_rcpt(  # [D] EX680695, October 2023: up to a day's delay
            451, "4.7.500 Server busy. Please try again later from [{ip}]. (S77714)"
        ),
        "temporary-server-error": _at_rcpt(  # [D] MO1221364, January 2026
            451, "4.3.2 Temporary server error. Please try again later ATTR1/ATTR2"
        ),
        "too-many-connections": _at_rcpt(  # [P] Outlook.com, July 2025
            451, "4.7.652 The mail server [{ip}] has exceeded the maximum number of connections. (S3115)"
        ),
        "rate-limited": _at_rcpt(  # [P]
            451,
            "4.7.650 The mail server [{ip}] has been temporarily rate limited due to IP reputation. "
            "For e-mail delivery information, see https://postmaster.live.com (S775)",
        ),
        "recipient-unknown": _at_rcpt(  # [P] Directory-Based Edge Blocking
            550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)"
        ),
        "banned-ip": _at_rcpt(  # [P]
            550,
            "5.7.606 Access denied, banned sending IP [{ip}]. To request removal from this list please visit "
            "https://sender.office.com/ and follow the directions.",
        ),
        "relay-denied": SmtpAnswer(code=550, text=_RELAY_DENIED[4:], stage=Stage.RCPT),
        "unauthenticated-domain": SmtpAnswer(  # [D] to large senders, since May 2025
            code=550,
            text="5.7.515 Access denied, sending domain {domain} does not meet the required authentication "
            "level. The sender's domain in the 5322.From address doesn't meet the authentication "
            f"requirements defined for the sender. {_TAG}",
            stage=Stage.BODY,
        ),
        "service-not-available": SmtpAnswer(  # [M]
            code=421, text=f"4.3.2 Service not available {_TAG}", stage=Stage.CONNECT
        ),
    },
)
