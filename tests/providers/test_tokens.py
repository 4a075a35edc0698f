"""Which message an attempt belongs to: the recipient wins, then the header, then the nonce."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.providers.tokens import Canary, canary_of, identify, read_message, recipient_token
from tests.providers.running import RECIPIENT, TOKEN, message

OTHER = "zzzzzzzzzzzzzzzz"


def test_all_three_carriers_of_an_untouched_message_agree() -> None:
    identity = identify(RECIPIENT, read_message(message()))
    assert (identity.token, identity.carriers) == (TOKEN, ["recipient", "header", "nonce"])


def test_the_recipient_wins_and_only_those_that_agree_are_named() -> None:
    identity = identify(RECIPIENT, read_message(message(OTHER)))
    assert (identity.token, identity.carriers) == (TOKEN, ["recipient"])


def test_without_a_token_in_the_recipient_the_header_speaks_then_the_nonce() -> None:
    carried = read_message(message(TOKEN).replace(b"hn-" + TOKEN.encode(), b"hn-" + OTHER.encode()))
    assert identify("reader@pool.example", carried).carriers == ["header"]
    stripped = read_message(message(TOKEN).replace(b"X-Harness-Token", b"X-Other"))
    identity = identify("reader@pool.example", stripped)
    assert (identity.token, identity.carriers) == (TOKEN, ["nonce"])


def test_nothing_named_is_no_token() -> None:
    identity = identify("reader@pool.example", read_message(b"Subject: x\r\n\r\nbody\r\n"))
    assert (identity.token, identity.carriers) == (None, [])


DSN = """From: MAILER-DAEMON@mail.shop.example (Mail Delivery System)\r
To: no-reply@shop.example\r
Auto-Submitted: auto-replied\r
Content-Type: multipart/report; report-type=delivery-status;\r
\tboundary="31BD49B8219.1795550162/mail.shop.example"\r
\r
--31BD49B8219.1795550162/mail.shop.example\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mail.shop.example\r
\r
Final-Recipient: rfc822; c.{token}@customer.example\r
Original-Recipient: rfc822;c.{token}@customer.example\r
Action: {action}\r
Status: 5.7.1\r
"""


@pytest.mark.parametrize("action", ["failed", "delayed"])
def test_a_notice_to_the_sender_is_about_the_message_that_it_reports_on(action: str) -> None:
    carried = read_message(DSN.format(token=TOKEN, action=action).encode())
    identity = identify("no-reply@shop.example", carried)
    assert (carried.notice, identity.token, identity.carriers) == (action, TOKEN, [])


def test_a_notice_about_a_recipient_without_a_token_goes_by_the_nonce_of_the_message_in_it() -> None:
    dsn = DSN.format(token="x", action="failed").encode() + message()
    carried = read_message(dsn)
    assert (carried.notice, identify("no-reply@shop.example", carried).token) == ("failed", TOKEN)


def test_a_message_that_quotes_a_notice_is_a_message() -> None:
    text = DSN.format(token=OTHER, action="failed")
    carried = read_message(message(text=text))
    assert carried.notice is None
    assert identify(RECIPIENT, carried).token == TOKEN


def test_a_token_in_the_body_is_not_a_header() -> None:
    carried = read_message(b"Subject: x\r\n\r\nX-Harness-Token: " + TOKEN.encode() + b"\r\n")
    assert carried.header is None


@pytest.mark.parametrize(
    ("recipient", "token"),
    [
        (RECIPIENT, TOKEN),
        (RECIPIENT.upper(), TOKEN),
        ("c.canary0007@canary.example", "canary0007"),
        (f"x.{TOKEN}@customer.example", None),
        (f"c.{TOKEN}x@customer.example", None),
        ("c.0000000000000000@customer.example", None),
        (None, None),
    ],
)
def test_tokens_of_recipients(recipient: str | None, token: str | None) -> None:
    assert recipient_token(recipient) == token


def test_the_class_and_the_hash_of_the_whole_message_are_kept() -> None:
    raw = message(class_="marketing")
    carried = read_message(raw)
    assert (carried.class_, carried.sha256) == ("marketing", hashlib.sha256(raw).hexdigest())


@pytest.mark.parametrize(
    ("recipient", "account", "whose"),
    [
        ("anyone@customer.example", True, Canary.HARNESS),
        ("c.canary0001@canary.example", False, Canary.HARNESS),
        ("Probe@canary.example", False, Canary.SYSTEM),
        ("c.canary0001@customer.example", False, None),
        (RECIPIENT, False, None),
        (None, False, None),
    ],
)
def test_whose_canary_it_is(recipient: str | None, account: bool, whose: Canary | None) -> None:
    assert canary_of(recipient, canary_account=account, system_canaries=["probe@canary.example"]) == whose


@given(st.binary(max_size=400), st.text(max_size=60))
def test_no_message_is_too_odd_to_be_read(raw: bytes, recipient: str) -> None:
    identity = identify(recipient, read_message(raw))
    assert (identity.token is None) == (identity.carriers == [])
