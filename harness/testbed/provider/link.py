"""The harness's end of one fake: its clock, its faults, and its journal merged into the run's history.

The provider journals each receipt itself, before it answers, on its own clock and numbered. This side follows
that journal over the control API, shifts the times to the run's clock, and says so when a number is missing.
Where the provider runs is of no concern here: process.py and the containers testbed start it and `connect`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import httpx
import msgspec

from harness.history.events import (
    ClockCalibrated,
    ConnectionsClosed,
    EndpointCalled,
    HarnessWarning,
    ProviderEvent,
    Receipt,
)
from harness.history.journal import Journal
from harness.providers.ledger import HAND_OFFS
from harness.providers.wire import FaultStatus, ProviderConfig, ProviderFault
from harness.testbed.faults.injector import InjectionError
from harness.testbed.processes import retrieved

CONTROL_TIMEOUT_S = 3.0
CALIBRATION_ROUNDS = 12
CANARY_RECEIPT_WAIT_S = 1.0
LAST_WORDS_S = 10.0
"""How long the last copies may take to the inbox; what takes longer is told by whoever compares."""

Handed = tuple[str | None, str]
"""(token, recipient in small letters) of one message that was taken."""
Record = Receipt | ConnectionsClosed | EndpointCalled | ProviderEvent


class ProviderFaultRefused(InjectionError):
    """The provider would not take a fault; the message is its own."""


class ProviderLink:
    def __init__(self, config: ProviderConfig, journal: Journal) -> None:
        self.config = config
        self._journal = journal
        self._client: httpx.AsyncClient | None = None
        self._follower: asyncio.Task[None] | None = None
        self._offset_ns = 0
        self._merged = 0
        self._canaries: dict[str, Receipt] = {}
        self.handed_off: Counter[Handed] = Counter()
        """What the provider took of others than the harness and the SUT's own probes, as far as merged."""
        self.relayed: dict[str, int] = {}
        """What became of the copies for the inbox, as the provider told last."""

    @property
    def name(self) -> str:
        return self.config.name

    def connect_to(self, host: str, port: int) -> None:
        """From now on the control API is reached there."""
        self.connect(
            httpx.AsyncClient(
                base_url=f"http://{host}:{port}",
                timeout=CONTROL_TIMEOUT_S,
                trust_env=False,
                verify=False,  # plain HTTP: no CA bundle to load for nothing
            )
        )

    def connect(self, client: httpx.AsyncClient) -> None:
        """From now on speak to the control API through this client."""
        self._client = client

    @property
    def client(self) -> httpx.AsyncClient:
        assert self._client is not None, "the provider is not started"
        return self._client

    async def calibrate(self, when: str) -> None:
        """Find the provider clock's offset by the round trip that took least; half of it is the error."""
        best: tuple[int, int] | None = None
        for _ in range(CALIBRATION_ROUNDS):
            before = self._journal.now_ns()
            answer = await self.client.get("/clock")
            after = self._journal.now_ns()
            theirs = int(answer.json()["now_ns"])
            sample = (after - before, (before + after) // 2 - theirs)
            best = min(best, sample) if best else sample
        assert best is not None
        error_ns = best[0] // 2 + 1
        if when == "start":
            self._offset_ns = best[1]
        else:
            # The clocks drifted apart by this much since the start; every receipt may be off by it.
            error_ns += abs(best[1] - self._offset_ns)
        self._journal.append(
            ClockCalibrated(
                t_ns=self._journal.now_ns(),
                source=self.name,
                when=when,
                offset_ns=self._offset_ns,
                error_ns=error_ns,
            )
        )

    def follow(self) -> None:
        """From now on merge the provider's journal into the run's."""
        self._follower = asyncio.create_task(self._follow(), name=f"journal of {self.name}")
        self._follower.add_done_callback(retrieved)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(httpx.TransportError):
                await self._merge(follow=True)
            await asyncio.sleep(0.05)  # the stream broke: a provider that died is noticed by its process

    async def _merge(self, *, follow: bool) -> None:
        timeout = httpx.Timeout(CONTROL_TIMEOUT_S, read=None if follow else CONTROL_TIMEOUT_S)
        query = {"after": str(self._merged), "follow": "1" if follow else "0"}
        async with self.client.stream("GET", "/journal", params=query, timeout=timeout) as answer:
            async for line in answer.aiter_lines():
                if line:
                    self._take(msgspec.json.decode(line, type=Record))

    def _take(self, record: Record) -> None:
        if record.n <= self._merged:
            return
        if record.n != self._merged + 1:
            self._warn("receipt-gap", f"record {record.n} followed {self._merged}")
        self._merged = record.n
        shift = self._offset_ns
        if isinstance(record, Receipt | EndpointCalled):
            record = msgspec.structs.replace(
                record,
                t_ns=record.t_ns + shift,
                begin_ns=record.begin_ns + shift,
                end_ns=record.end_ns + shift,
            )
        else:
            record = msgspec.structs.replace(record, t_ns=record.t_ns + shift)
        if isinstance(record, Receipt):
            if record.canary is None and record.result in HAND_OFFS:
                self.handed_off[record.token, (record.recipient or "").lower()] += 1
            if record.canary == "harness" and record.token is not None:
                self._canaries[record.token] = record
        self._journal.append(record)

    async def settle(self, within_s: float, *, last: bool = False) -> None:
        """Wait until what the provider took is passed on: copies to the inbox, events to the SUT.

        After the `last` time the SUT is gone: what has not reached it is given up, and journalled so.
        """
        query = {"within_s": f"{within_s:g}", "last": "1" if last else "0"}
        try:
            answer = await self.client.post("/settle", params=query, timeout=within_s + CONTROL_TIMEOUT_S)
            answer.raise_for_status()
        except httpx.HTTPError:
            return  # one that no longer answers is noticed by its process, and by `finish`
        self.relayed = answer.json().get("relay", {})

    async def finish(self) -> None:
        """Take what is still to come of the journal, and make sure that nothing is missing at its end."""
        await self.settle(LAST_WORDS_S, last=True)
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)  # `lost` tells what broke it
            self._follower = None
        try:
            await self._merge(follow=False)
            last = int((await self.client.get("/stats")).json()["last_n"])
        except httpx.TransportError as error:
            self._warn(
                "receipt-gap",
                f"the provider no longer answers ({type(error).__name__}): its last receipts are unknown",
            )
            return
        if last != self._merged:
            self._warn("receipt-gap", f"the provider wrote {last} records, {self._merged} were merged")

    def _warn(self, warning: str, detail: str) -> None:
        self._journal.append(
            HarnessWarning(t_ns=self._journal.now_ns(), warning=warning, subject=self.name, detail=detail)
        )

    async def put_fault(self, fault: ProviderFault) -> FaultStatus:
        answer = await self.client.put(f"/faults/{fault.id}", content=msgspec.json.encode(fault))
        if answer.status_code != 200:
            raise ProviderFaultRefused(answer.text)
        return msgspec.json.decode(answer.content, type=FaultStatus)

    async def faults(self) -> list[FaultStatus]:
        answer = await self.client.get("/faults")
        answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=list[FaultStatus])

    async def fault_ids(self) -> list[str]:
        return [status.fault.id for status in await self.faults()]

    async def canary_receipt(self, token: str) -> Receipt | None:
        """The receipt of a canary of ours; waits a moment for the journal to come through."""
        deadline = asyncio.get_running_loop().time() + CANARY_RECEIPT_WAIT_S
        while token not in self._canaries and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        return self._canaries.get(token)

    async def delete_fault(self, fault_id: str) -> None:
        answer = await self.client.delete(f"/faults/{fault_id}")
        if answer.status_code not in (204, 404):
            answer.raise_for_status()

    def unfollowed(self) -> str | None:
        """Why its journal is no longer followed; None while it is."""
        follower = self._follower
        if follower is not None and follower.done() and not follower.cancelled():
            return f"the journal of provider {self.name} is no longer followed: {follower.exception()}"
        return None

    async def disconnect(self) -> None:
        if self._client is not None:
            await self._client.aclose()
