"""Faults that the provider itself commits, put into it over its control API.

Each kind is proved by what the canary meets and, where that is not enough, by what the provider has written
down: the canary's receipt, with the fault's id, or what became of its message. The canary is always hit, by
the newest fault of its endpoint. On an endpoint beside the mail there are no receipts; what it meets must do.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from harness.history.events import ProviderEvent, Receipt, ReceiptResult
from harness.providers.webhooks import Webhook
from harness.scenario.faults import provider_fault
from harness.testbed.canary import Canary, Saw, Sighting
from harness.testbed.faults.endpoint import OnEndpoint, ProviderControl, expect
from harness.testbed.faults.injector import Detail, InjectionError

GONE_WITHIN_S = 10.0
"""A canary that gets through after a removal takes some milliseconds; a busy machine may take seconds."""
LONGEST_WAIT_S = 2.0
"""The canary waits so long at most for a late answer; one that is later still, its receipt tells of."""
LONGEST_HOLD_S = 3.0
"""Longer than a provider that keeps the canary waiting does so."""
HANDED_OVER = (ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST)


class InProvider(OnEndpoint):
    """Put in and read back alike for all kinds; `act` is the kind's own."""

    @property
    def provider(self) -> ProviderControl:
        if self.endpoint.provider is None:
            raise InjectionError(f"{self.fault.target}: its provider takes no faults")
        return self.endpoint.provider

    async def _put(self) -> None:
        fault = self.fault
        await self.provider.put_fault(provider_fault(fault.id, fault.type, fault.target, self.attributes))

    async def confirm(self) -> Detail:
        ids = await self.provider.fault_ids()
        if self.fault.id not in ids:
            raise InjectionError(
                f"{self.fault.type}: the provider lists the faults {ids}, not {self.fault.id}"
            )
        return {"provider_faults": ids}

    async def _take_away(self) -> Detail:
        await self.provider.delete_fault(self.fault.id)
        ids = await self.provider.fault_ids()
        if self.fault.id in ids:
            raise InjectionError(
                f"{self.fault.type}: the provider still lists {self.fault.id} after its removal"
            )
        return {"provider_faults": ids}

    async def _seen_after(self) -> Sighting:
        sighting = await self.endpoint.canary.send(GONE_WITHIN_S + self.endpoint.patience_s())
        if not self.endpoint.holding:  # another fault may still be in its way
            expect(sighting, {Saw.OK}, f"{self.fault.type}, after its removal")
        return sighting

    async def _meets(
        self, wanted: AbstractSet[Saw], canary: Canary | None = None, within_s: float | None = None
    ) -> tuple[Sighting, Detail]:
        patience_s = self.endpoint.patience_s() if within_s is None else within_s
        sighting = await (canary or self.endpoint.canary).send(patience_s)
        return sighting, expect(sighting, wanted, self.fault.type)

    async def _receipt(self, sighting: Sighting) -> Receipt | None:
        """The canary's receipt, which this fault must have shaped; None where nothing is handed over."""
        if sighting.token is None:
            return None
        receipt = await self.provider.canary_receipt(sighting.token)
        if receipt is None:
            raise InjectionError(f"{self.fault.type}: the provider has no receipt for the canary")
        if receipt.fault != self.fault.id:
            raise InjectionError(
                f"{self.fault.type}: the canary's receipt is `{receipt.result.value}`, by "
                f"{f'the fault {receipt.fault}' if receipt.fault else 'no fault at all'}"
            )
        return receipt


class Refuse(InProvider):
    """The provider answers with a code. One of its own answers may look like a success that took nothing."""

    async def act(self) -> Detail:
        named = "named" in self.attributes
        sighting, detail = await self._meets({Saw.REJECTED, Saw.OK} if named else {Saw.REJECTED})
        wanted = self.attributes.get("code")
        if wanted is not None and sighting.code != wanted:
            raise InjectionError(f"refuse: the canary was refused with {sighting.code}, not with {wanted}")
        if sighting.saw is not Saw.OK:
            return detail
        receipt = await self._receipt(sighting)
        if receipt is None:
            return expect(sighting, {Saw.REJECTED}, "refuse")
        if receipt.result in HANDED_OVER:
            raise InjectionError(
                f"refuse: the provider's journal shows `{receipt.result.value}` for the canary"
            )
        return detail | {"receipt": receipt.n}


class AckLoss(InProvider):
    """The provider takes the message, and its answer never arrives, or is an error."""

    async def act(self) -> Detail:
        answered = "code" in self.attributes or "named" in self.attributes
        seen = {Saw.REJECTED, Saw.OK} if answered else {Saw.CLOSED, Saw.RESET}
        sighting, detail = await self._meets(seen)
        receipt = await self._receipt(sighting)
        if receipt is None:
            return expect(sighting, seen - {Saw.OK}, "ack-loss")
        if receipt.result is not ReceiptResult.ACK_LOST:
            raise InjectionError(
                f"ack-loss: the provider's journal shows `{receipt.result.value}` for the canary"
            )
        return detail | {"receipt": receipt.n}


class SlowAck(InProvider):
    """The provider takes the message and answers late."""

    async def act(self) -> Detail:
        delay_s = int(self.attributes["delay"]) / 1000
        if delay_s > LONGEST_WAIT_S:
            # Longer than a canary waits: that it is still waiting shows that the answer is late.
            sighting, detail = await self._meets({Saw.NO_ANSWER}, within_s=LONGEST_WAIT_S)
        else:
            sighting, detail = await self._meets({Saw.OK}, within_s=delay_s + self.endpoint.patience_s())
            if sighting.elapsed_ms < delay_s * 1000 - 2:
                raise InjectionError(
                    f"slow-ack: the canary's answer took {sighting.elapsed_ms:.0f} ms, not {delay_s:g} s"
                )
        receipt = await self._receipt(sighting)
        if receipt is None:
            return detail
        if receipt.result not in HANDED_OVER:
            raise InjectionError(f"slow-ack: the canary's receipt is `{receipt.result.value}`")
        return detail | {"receipt": receipt.n}


class Hang(InProvider):
    """The provider says nothing more."""

    async def act(self) -> Detail:
        _, detail = await self._meets({Saw.NO_ANSWER})
        return detail


class Disconnect(InProvider):
    """The provider resets the connection in place of an answer."""

    async def act(self) -> Detail:
        _, detail = await self._meets({Saw.RESET, Saw.CLOSED})
        return detail


class SilentDrop(InProvider):
    """The provider says that it took the message, and throws it away."""

    async def act(self) -> Detail:
        sighting, detail = await self._meets({Saw.OK})
        event = await _told(self, sighting, "dropped")
        return detail | {"event": event.n}


class Throttle(InProvider):
    """The provider takes less than usual: it says so, or, as some do, keeps what comes too fast waiting."""

    async def act(self) -> Detail:
        sighting, detail = await self._meets(
            {Saw.REJECTED, Saw.OK}, within_s=self.endpoint.patience_s() + LONGEST_HOLD_S
        )
        receipt = await self._receipt(sighting)
        if receipt is None:
            return expect(sighting, {Saw.REJECTED}, "throttle")
        return detail | {"receipt": receipt.n}


class Certificate(InProvider):
    """Whoever begins TLS is shown a certificate that is not right."""

    async def act(self) -> Detail:
        _, detail = await self._meets({Saw.UNTRUSTED})
        return detail


class KeyRotated(InProvider):
    """The secret that the canary has opens nothing any more; the one that follows it does."""

    async def act(self) -> Detail:
        _, refused = await self._meets({Saw.REJECTED})
        _, taken = await self._meets({Saw.OK}, self.endpoint.canary.with_next_secret())
        return {"old_secret": refused, "next_secret": taken}


class Bounce(InProvider):
    """The provider takes the message, and it does not get there, or not at once."""

    async def act(self) -> Detail:
        sighting, detail = await self._meets({Saw.OK})
        event = await _told(self, sighting, str(self.attributes["event"]))
        return detail | {"event": event.n}


class EventsLost(InProvider):
    """What became of a message is never told."""

    async def act(self) -> Detail:
        sighting, detail = await self._meets({Saw.OK})
        event = await _told(self, sighting, "delivered", Webhook.LOST)
        return detail | {"event": event.n, "webhook": event.webhook}


class EventsLate(InProvider):
    """What became of a message is told late."""

    async def act(self) -> Detail:
        sighting, detail = await self._meets({Saw.OK})
        event = await _told(self, sighting, "delivered", Webhook.LATE)
        return detail | {"event": event.n, "webhook": event.webhook}


class Status(InProvider):
    """The status page or the health feed tells of an incident; what a login gets is that page."""

    async def act(self) -> Detail:
        page = await self.endpoint.canary.login(self.endpoint.patience_s())
        detail = expect(page, {Saw.OK}, "status")
        if str(self.attributes["named"]) not in page.text:
            raise InjectionError(f"status: what the page says has no `{self.attributes['named']}` in it")
        return detail

    async def _seen_after(self) -> Sighting:
        return await self.endpoint.canary.login(GONE_WITHIN_S + self.endpoint.patience_s())


async def _told(
    fault: InProvider, sighting: Sighting, event: str, webhook: Webhook | None = None
) -> ProviderEvent:
    """What the provider wrote down of the canary's message later."""
    assert sighting.token is not None, f"{fault.fault.type} is about mail"
    events = await fault.provider.canary_events(sighting.token, event)
    for each in events:
        if each.event == event and webhook in (None, each.webhook):
            return each
    told = ", ".join(f"{each.event} ({each.webhook})" for each in events) or "nothing"
    wanted = event if webhook is None else f"{event} ({webhook.value})"
    raise InjectionError(
        f"{fault.fault.type}: of the canary the provider should have written `{wanted}`; it wrote {told}"
    )
