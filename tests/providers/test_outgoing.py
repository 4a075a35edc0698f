"""What leaves each provider: the message that it makes of a stored body, for the recipient at hand."""

from __future__ import annotations

import base64
import json
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest

from harness.providers import presets
from harness.providers.outgoing import Taken

TO, SENDER, TOKEN = "c.aaaa@customer.example", "no-reply@shop.example", "aaaa"
MIME = f"From: {SENDER}\nTo: {TO}\nSubject: Mail\nX-Harness-Token: {TOKEN}\n\nhello\n".encode()


def left(fake: str, body: bytes, recipient: str = TO, **more: Any) -> EmailMessage:
    """As its receiver parses it; line ends and the fields that every message has are checked here."""
    outgoing = presets.load(fake).outgoing
    assert outgoing is not None
    raw = outgoing(Taken(body=body, recipient=recipient, id="attempt-1", wall_s=1_795_521_600, **more))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = BytesParser(policy=policy.default).parsebytes(raw)
    assert message["Date"] and str(message["Message-ID"]).startswith("<attempt-1@")
    return message


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


SENDGRID = {
    "from": {"email": SENDER, "name": "The Shop"},
    "subject": "Grüße",
    "personalizations": [
        {"to": [{"email": TO}], "headers": {"X-Harness-Token": TOKEN}},
        {"to": [{"email": "c.bbbb@customer.example"}], "subject": "Another"},
    ],
    "content": [{"type": "text/plain", "value": "hello"}, {"type": "text/html", "value": "<p>hello</p>"}],
    "headers": {"List-Unsubscribe": "<https://shop.example/u>"},
}
POSTMARK = {
    "From": SENDER,
    "To": f"Ann <{TO}>",
    "Subject": "Mail",
    "TextBody": "hello",
    "Headers": [{"Name": "X-Harness-Token", "Value": TOKEN}],
}
RESEND = {
    "from": SENDER,
    "to": [TO],
    "subject": "Mail",
    "text": "hello",
    "headers": {"X-Harness-Token": TOKEN},
}
SES_SIMPLE = {
    "FromEmailAddress": SENDER,
    "Destination": {"ToAddresses": [TO]},
    "Content": {
        "Simple": {
            "Subject": {"Data": "Mail"},
            "Body": {"Text": {"Data": "hello"}},
            "Headers": [{"Name": "X-Harness-Token", "Value": TOKEN}],
        }
    },
}
GRAPH = {
    "message": {
        "subject": "Mail",
        "body": {"contentType": "Text", "content": "hello"},
        "toRecipients": [{"emailAddress": {"address": TO}}],
        "internetMessageHeaders": [{"name": "X-Harness-Token", "value": TOKEN}],
    }
}
BOUNDARY = "xYzZy"
MAILGUN_PARTS = {"from": SENDER, "to": TO, "subject": "Mail", "text": "hello", "h:X-Harness-Token": TOKEN}


def multipart(fields: dict[str, str]) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return ("".join(parts) + f"--{BOUNDARY}--\r\n").encode()


URLENCODED = f"from={SENDER}&to={TO}&subject=Mail&text=hello&h%3AX-Harness-Token={TOKEN}".replace(
    "@", "%40"
).encode()


@pytest.mark.parametrize(
    ("fake", "body"),
    [
        ("sendgrid", as_json({**SENDGRID, "subject": "Mail"})),
        ("mailgun", multipart(MAILGUN_PARTS)),
        ("mailgun", URLENCODED),
        ("mailgun", multipart({"to": TO, "message": MIME.decode()})),
        ("postmark", as_json(POSTMARK)),
        ("postmark", as_json([{**POSTMARK, "To": "c.bbbb@customer.example"}, POSTMARK])),
        ("resend", as_json(RESEND)),
        ("resend", as_json([RESEND])),
        ("ses-v2", as_json(SES_SIMPLE)),
        ("ses-v2", as_json({"Content": {"Raw": {"Data": base64.b64encode(MIME).decode()}}})),
        ("microsoft-graph", as_json(GRAPH)),
        ("microsoft-graph", base64.b64encode(MIME)),
        ("smtp", MIME),
        ("microsoft365-smtp", MIME),
    ],
)
def test_one_message_however_it_was_handed_over(fake: str, body: bytes) -> None:
    message = left(fake, body, sender=SENDER)
    assert SENDER in message["From"] and TO in message["To"] and message["Subject"] == "Mail"
    assert message["X-Harness-Token"] == TOKEN
    text = message.get_body(("plain",))
    assert text is not None and text.get_content().strip() == "hello"


def test_sendgrid_makes_one_for_each_personalization() -> None:
    message = left("sendgrid", as_json(SENDGRID))
    assert (message["From"], message["Subject"]) == ("The Shop <no-reply@shop.example>", "Grüße")
    assert message["List-Unsubscribe"] == "<https://shop.example/u>"
    html = message.get_body(("html",))
    assert html is not None and "<p>hello</p>" in html.get_content()
    other = left("sendgrid", as_json(SENDGRID), "c.bbbb@customer.example")
    assert (other["To"], other["Subject"]) == ("c.bbbb@customer.example", "Another")


def test_mailgun_fills_in_what_is_a_recipients_own() -> None:
    variables = json.dumps({TO: {"code": "42"}, "c.bbbb@customer.example": {"code": "43"}})
    fields = {**MAILGUN_PARTS, "to": f"{TO}, c.bbbb@customer.example", "text": "code %recipient.code%"}
    message = left("mailgun", multipart({**fields, "recipient-variables": variables}))
    assert message["To"] == TO and message.get_content().strip() == "code 42"


def test_ses_makes_one_for_each_entry_of_a_bulk_request() -> None:
    body = {
        "FromEmailAddress": SENDER,
        "DefaultContent": {"Template": {"TemplateName": "receipt", "TemplateData": "{}"}},
        "BulkEmailEntries": [
            {
                "Destination": {"ToAddresses": [TO]},
                "ReplacementEmailContent": {
                    "ReplacementTemplate": {"ReplacementTemplateData": json.dumps({"ref": "hn-aaaa-nh"})}
                },
                "ReplacementHeaders": [{"Name": "X-Harness-Token", "Value": TOKEN}],
            }
        ],
    }
    message = left("ses-v2", as_json(body))
    assert message["X-Harness-Token"] == TOKEN and "hn-aaaa-nh" in message.get_content()


def test_two_messages_of_a_batch_to_one_recipient_are_told_apart_by_their_tokens() -> None:
    batch = [
        {**RESEND, "subject": "One"},
        {**RESEND, "subject": "Two", "headers": {"X-Harness-Token": "bbbb"}},
    ]
    assert left("resend", as_json(batch), token="bbbb")["Subject"] == "Two"
    assert left("resend", as_json(batch), token="zzzz")["Subject"] == "One"


@pytest.mark.parametrize(
    ("fake", "body"),
    [
        ("sendgrid", b"nonsense"),
        ("sendgrid", as_json({**SENDGRID, "personalizations": []})),
        ("mailgun", multipart({**MAILGUN_PARTS, "to": "someone@else.example"})),
        ("resend", as_json({**RESEND, "to": "someone@else.example"})),
        ("ses-v2", b"nonsense"),
        ("microsoft-graph", b'{"no": "message"}'),
    ],
)
def test_a_body_without_that_message_is_an_error(fake: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no|names"):
        left(fake, body)


def test_a_line_break_in_a_field_does_not_make_a_field_of_its_own() -> None:
    message = left("resend", as_json({**RESEND, "subject": "Mail\r\nBcc: all@customer.example"}))
    assert message["Bcc"] is None and message["Subject"] == "Mail Bcc: all@customer.example"


def test_no_mail_leaves_a_status_page_or_a_phone() -> None:
    assert all(presets.load(name).outgoing is None for name in ("statuspage", "twilio-sms", "mailpit"))
