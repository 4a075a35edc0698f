"""Events of SES as Amazon SNS posts them: one notification for each, with the event as a string inside.

The event's shape and SNS's envelope are documented, and so are the string that is signed (version 1: SHA1
with RSA) and the retries: three, 20 s apart, and none after an answer of 4xx. Differences: an event names one
recipient, where SES names all of one message together; the key is derived from the run's secret and half as
long as SNS's, so that deriving it takes no time; nothing is served at `SigningCertURL`: a receiver is given
the certificate instead (`verifies_with`). Topics are taken as confirmed, so nobody gets a
SubscriptionConfirmation.

A recipient on the account's suppression list gets the bounce that SES documents for it; what was dropped for
another reason is told as a Reject. Not here: Open, Click, Rendering Failure, Subscription.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from harness.providers.presets._ses_keys import certificate_pem, sign
from harness.providers.presets._ses_mail import SOURCE, SUBJECT, TAG
from harness.providers.webhooks import Fate, Happening, Post, Signing

OWNER = "123456789012"
REPORTING_MTA = "a8-70.smtp-out.amazonses.com"
TOPIC_NAME = "ses-events"
SUBJECT_LINE = "Amazon SES Email Event Notification"
_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")


class SesEvents:
    begins = "send"
    every_s = 0.2
    waits_s = (20.0,)
    gives_up_after_s = 60.0
    stops_at = range(400, 500)
    secret = "{hex:64}"

    def verifies_with(self, secret: str) -> str:
        return certificate_pem(secret)

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        return [_notification(each, signing) for each in happenings]


def _notification(happening: Happening, signing: Signing) -> Post:
    region = happening.receipt.tenant or "us-east-1"
    topic = f"arn:aws:sns:{region}:{OWNER}:{TOPIC_NAME}"
    message_id = str(UUID(happening.id))
    envelope = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": topic,
        "Subject": SUBJECT_LINE,
        "Message": msgspec.json.encode(_event(happening)).decode() + "\n",
        "Timestamp": _iso(signing.epoch_s),
    }
    if signing.secret:
        signed = "".join(f"{key}\n{envelope[key]}\n" for key in _SIGNED)
        envelope |= {
            "SignatureVersion": "1",
            "Signature": base64.b64encode(sign(signing.secret, signed.encode())).decode(),
            "SigningCertURL": f"https://sns.{region}.amazonaws.com/SimpleNotificationService-{OWNER}.pem",
        }
    return Post(
        body=msgspec.json.encode(envelope),
        headers={
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": message_id,
            "x-amz-sns-topic-arn": topic,
            "x-amz-sns-subscription-arn": f"{topic}:{UUID(happening.id)}",
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
        },
        happenings=[happening],
    )


def _event(happening: Happening) -> dict[str, Any]:
    receipt = happening.receipt
    recipient = receipt.recipient or ""
    at = _iso(happening.epoch_s)
    kind, key, detail = _told(happening, recipient, at)
    source, subject = happening.echo.get(SOURCE, ""), happening.echo.get(SUBJECT, "")
    tags = {
        "ses:operation": ["SendEmail"],
        "ses:source-ip": ["192.0.2.0"],
        "ses:from-domain": [source.rpartition("@")[2].rstrip(">")],
        **{name.removeprefix(TAG): [value] for name, value in happening.echo.items() if name.startswith(TAG)},
    }
    headers = [{"name": "From", "value": source}, {"name": "To", "value": recipient}]
    return {
        "eventType": kind,
        "mail": {
            "timestamp": at,
            "source": source,
            "sendingAccountId": OWNER,
            "messageId": receipt.text,
            "destination": [recipient],
            "headersTruncated": False,
            "headers": [*headers, {"name": "Subject", "value": subject}],
            "commonHeaders": {
                "from": [source],
                "to": [recipient],
                "messageId": receipt.text,
                "subject": subject,
            },
            "tags": tags,
        },
        key: detail,
    }


def _told(happening: Happening, recipient: str, at: str) -> tuple[str, str, dict[str, Any]]:
    """The event's type, the key of its own object, and that object."""
    feedback_id = f"{happening.receipt.text[:16]}-{UUID(happening.id)}-000000"
    status = _enhanced_status(happening.cause)
    suppressed = happening.suppressed_by is not None
    match happening.event:
        case SesEvents.begins:
            return "Send", "send", {}
        case Fate.DELIVERED:
            return (
                "Delivery",
                "delivery",
                {
                    "timestamp": at,
                    "processingTimeMillis": 200,
                    "recipients": [recipient],
                    "smtpResponse": "250 2.0.0 OK",
                    "remoteMtaIp": "192.0.2.1",
                    "reportingMTA": REPORTING_MTA,
                },
            )
        case Fate.COMPLAINED:
            return (
                "Complaint",
                "complaint",
                {
                    "complainedRecipients": [{"emailAddress": recipient}],
                    "timestamp": at,
                    "feedbackId": feedback_id,
                    "userAgent": "Amazon SES Mailbox Simulator",
                    "complaintFeedbackType": "abuse",
                    "arrivalDate": at,
                },
            )
        case Fate.DEFERRED:
            return (
                "DeliveryDelay",
                "deliveryDelay",
                {
                    "timestamp": at,
                    "delayType": "TransientCommunicationFailure",
                    "expirationTime": _iso(happening.epoch_s + 14 * 3600),
                    "delayedRecipients": [
                        {
                            "emailAddress": recipient,
                            "status": status or "4.4.1",
                            "diagnosticCode": f"smtp; {happening.cause}",
                        }
                    ],
                },
            )
        case Fate.DROPPED if not suppressed:
            return "Reject", "reject", {"reason": "Bad content"}
        case _:
            return "Bounce", "bounce", _bounce(happening, recipient, at, feedback_id, status, suppressed)


def _bounce(
    happening: Happening, recipient: str, at: str, feedback_id: str, status: str, suppressed: bool
) -> dict[str, Any]:
    bounced = {"emailAddress": recipient, "action": "failed", "status": status or "5.1.1"}
    if suppressed:
        bounced["diagnosticCode"] = (
            "Amazon SES did not send the message to this address because it is on the suppression list for"
            " your account."
        )
    else:
        bounced["diagnosticCode"] = f"smtp; {happening.cause}"
    by_kind = "General" if happening.permanent else "MailboxFull"
    return {
        "bounceType": "Permanent" if happening.permanent or suppressed else "Transient",
        "bounceSubType": "OnAccountSuppressionList" if suppressed else by_kind,
        "bouncedRecipients": [bounced],
        "timestamp": at,
        "feedbackId": feedback_id,
        "reportingMTA": f"dns; {REPORTING_MTA}",
    }


def _enhanced_status(cause: str) -> str:
    """The 5.1.1 of `550 5.1.1 User unknown`, if there is one."""
    words = cause.split(" ", 2)
    return words[1] if len(words) > 1 and words[1].count(".") == 2 else ""


def _iso(epoch_s: float) -> str:
    moment = datetime.fromtimestamp(epoch_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
