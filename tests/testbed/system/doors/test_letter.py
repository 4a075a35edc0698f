"""A message as mail: whatever is in it, any reader gets it back."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

from hypothesis import given
from hypothesis import strategies as st

from harness.testbed.system.doors.letter import letter
from tests.testbed.system.doors.offering import SENDER, message

LINES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=200)


@given(subject=LINES.map(lambda text: " ".join(text.split())), lines=st.lists(LINES, max_size=6))
def test_it_is_read_back_as_it_was(subject: str, lines: list[str]):
    body = "\n".join([*lines, "ref: hn-abc-nh"]) + "\n"
    raw = letter(message("abc", subject=subject, body=body), SENDER, 0.0)
    assert raw.isascii() and max(len(line) for line in raw.split(b"\r\n")) <= 998
    read = message_from_bytes(raw, policy=default)
    assert (read["From"], read["To"]) == (SENDER, "c.abc@customer.example")
    assert str(read["Subject"]) == subject
    assert read.get_content().replace("\r\n", "\n") == body


def test_its_token_is_in_three_places_for_whoever_only_searches():
    raw = letter(message("abc"), SENDER, 0.0)
    assert b"\r\nX-Harness-Token: abc\r\n" in raw and b"\r\nX-Harness-Class: transactional\r\n" in raw
    assert b"\r\nTo: c.abc@customer.example\r\n" in raw
    assert raw.endswith(b"\r\nref: hn-abc-nh\r\n")


def test_each_offer_of_a_message_is_the_same_mail():
    first, second = (message_from_bytes(letter(message("abc"), SENDER, wall_s)) for wall_s in (0.0, 5.0))
    assert first["Message-ID"] == second["Message-ID"] == "<abc@shop.example>"
    assert first["Date"] == "Thu, 01 Jan 1970 00:00:00 GMT"
