"""A message to offer, and what is known of it."""

from __future__ import annotations

from harness.scenario.timeline import Message

SENDER = "no-reply@shop.example"


def message(token: str = "tokenaaaaaaaaaaa", **changes: object) -> Message:
    given = {
        "at_ns": 1_000_000_000,
        "token": token,
        "recipient": f"c.{token}@customer.example",
        "stream": "receipts",
        "class_": "transactional",
        "subject": "Your order",
        "body": f"Hello,\n.a line that begins with a dot\nref: hn-{token}-nh\n",
        "headers": {"X-Harness-Token": token, "X-Harness-Class": "transactional"},
    }
    return Message(**{**given, **changes})
