"""Faults that the provider itself commits, put into it over its control API."""

from __future__ import annotations

from harness.history.events import ReceiptResult
from harness.providers.wire import ProviderFault
from harness.testbed.canary import Saw, Sighting
from harness.testbed.faults.endpoint import OnEndpoint, ProviderControl, expect
from harness.testbed.faults.injector import Detail, InjectionError


class InProvider(OnEndpoint):
    """Faults that the provider itself commits."""

    @property
    def provider(self) -> ProviderControl:
        if self.endpoint.provider is None:
            raise InjectionError(f"{self.endpoint.target}: its provider takes no faults")
        return self.endpoint.provider

    async def _put(self) -> None:
        known = {"code", "text", "named", "share", "every", "count"} & self.attributes.keys()
        await self.provider.put_fault(
            ProviderFault(
                id=self.fault.id,
                type=self.fault.type,
                route=self.endpoint.route,
                endpoint=self.endpoint.beside,
                class_=self.attributes.get("class"),
                **{name: self.attributes[name] for name in known},
            )
        )

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
        return await self.endpoint.canary.send(self.endpoint.patience_s())


class Refuse(InProvider):
    """The provider answers with a code."""

    async def act(self) -> Detail:
        sighting = await self.endpoint.canary.send(self.endpoint.patience_s())
        detail = expect(sighting, {Saw.REJECTED}, "refuse")
        wanted = self.attributes.get("code")
        if wanted is not None and sighting.code != wanted:
            raise InjectionError(f"refuse: the canary was refused with {sighting.code}, not with {wanted}")
        return detail


class AckLoss(InProvider):
    """The provider takes the message and its answer never arrives."""

    async def act(self) -> Detail:
        sighting = await self.endpoint.canary.send(self.endpoint.patience_s())
        detail = expect(sighting, {Saw.CLOSED, Saw.RESET}, "ack-loss")
        if sighting.token is None:
            return detail  # no mail goes through there: that the answer was lost is all there is to see
        receipt = await self.provider.canary_receipt(sighting.token)
        if receipt is None or receipt.result is not ReceiptResult.ACK_LOST:
            seen = receipt.result.value if receipt else "no receipt"
            raise InjectionError(f"ack-loss: the provider's journal shows `{seen}` for the canary")
        return detail | {"receipt": receipt.n}
