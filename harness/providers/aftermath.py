"""What becomes of a message once it was taken: told to the sender, journalled, and remembered.

In go receipts that are written already, from either engine; out go the events of webhooks.py, or, where
nobody listens, a record in the journal alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.history.events import Receipt
from harness.providers.ledger import Ledger
from harness.providers.webhooks import Webhooks


class Aftermath:
    """One provider's. `webhooks` where somebody listens."""

    def __init__(self, ledger: Ledger, webhooks: Webhooks | None) -> None:
        self._ledger = ledger
        self._webhooks = webhooks
        self._suppressed: set[str] = set()

    def is_suppressed(self, recipient: str | None) -> bool:
        """Whether this recipient bounced or complained before."""
        return recipient is not None and recipient.lower() in self._suppressed

    def taken(self, receipt: Receipt, echo: Mapping[str, str]) -> None:
        if self._webhooks is not None:
            self._webhooks.taken(receipt, echo)

    def thrown_away(self, receipt: Receipt) -> None:
        """It seemed to be taken, and was not; nobody is told."""
        self._ledger.event(
            "dropped",
            route=receipt.route,
            token=receipt.token,
            recipient=receipt.recipient,
            canary=receipt.canary,
            webhook="none",
        )
