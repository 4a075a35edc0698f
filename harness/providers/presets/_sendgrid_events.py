"""SendGrid's event webhook: JSON arrays, posted every second, of what became of each message.

From the documentation: any answer but 2xx is tried again at growing intervals, events may come twice, and
`sg_event_id` tells them apart; `sg_message_id` begins with the X-Message-Id of the answer to mail/send, and
custom arguments stand beside the event's own keys. From user reports: the forms of `smtp-id` and of the rest
of `sg_message_id`. Not here: signatures, and any fate but that of being delivered.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from harness.providers.webhooks import Happening, Post, Signing, json_array

MOST_BYTES = 768 * 1024  # of one POST
DELIVERY_S = 0.2  # from the answer of mail/send to the customer's mailbox


class SendGridEvents:
    life: Sequence[tuple[str, float]] = (("processed", 0.0), ("delivered", DELIVERY_S))
    every_s = 1.0

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        return json_array(happenings, [_event(each) for each in happenings], MOST_BYTES)


def _event(happening: Happening) -> dict[str, Any]:
    receipt = happening.receipt
    message_id = receipt.text  # as the answer to mail/send named it
    event = {
        **happening.echo,
        "email": receipt.recipient,
        "timestamp": int(happening.epoch_s),
        "smtp-id": f"<{message_id}@geopod-ismtpd-1>",
        "event": happening.event,
        "sg_event_id": base64.urlsafe_b64encode(bytes.fromhex(happening.id)).rstrip(b"=").decode(),
        "sg_message_id": f"{message_id}.recvd-{receipt.attempt}-1-0.0",
    }
    if happening.event == "delivered":
        event["response"] = "250 2.0.0 OK"
    return event
