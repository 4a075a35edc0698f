"""SendGrid's event webhook: JSON arrays, posted every second, of what became of each message.

From the documentation: any answer but 2xx is tried again at growing intervals, events may come twice, and
`sg_event_id` tells them apart; `sg_message_id` begins with the X-Message-Id of the answer to mail/send, and
custom arguments stand beside the event's own keys. From user reports: the forms of `smtp-id` and of the rest
of `sg_message_id`. Signed by ECDSA (P-256, SHA-256) over timestamp and body. Not here: any fate but that of
being delivered.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from harness.providers.webhooks import Happening, Post, Signing, json_array

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
MOST_BYTES = 768 * 1024  # of one POST


class SendGridEvents:
    begins = "processed"
    every_s = 1.0
    waits_s = (5.0, 60.0, 600.0, 3_600.0)  # only "increasing intervals" is documented; the numbers are ours
    gives_up_after_s = 86_400.0  # documented: retried for 24 hours
    stops_at = ()
    secret = "{hex:64}"

    def verifies_with(self, secret: str) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = _private_key(secret).public_key()
        return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        posts = json_array(happenings, [_event(each) for each in happenings], MOST_BYTES)
        return [_signed(each, signing) for each in posts] if signing.secret else posts


def _private_key(secret: str) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

    return derive_private_key(int(secret, 16) % (_ORDER - 1) + 1, SECP256R1())


def _signed(post: Post, signing: Signing) -> Post:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    timestamp = str(int(signing.epoch_s))
    signature = _private_key(signing.secret).sign(
        timestamp.encode() + post.body, ECDSA(SHA256(), deterministic_signing=True)
    )
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }
    return msgspec.structs.replace(post, headers=post.headers | headers)


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
