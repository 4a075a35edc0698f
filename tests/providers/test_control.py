"""The control API over HTTP: clock, journal, faults, numbers, the end."""

from __future__ import annotations

import asyncio
import smtplib

import httpx
import msgspec

from harness.providers.wire import ProviderFault
from tests.providers.running import RECIPIENT, Provider, control_client, message, provider


async def send(fake: Provider, recipient: str = RECIPIENT) -> None:
    def run() -> None:
        with smtplib.SMTP("127.0.0.1", fake.port, timeout=10) as client:
            client.sendmail("sender@sender.example", [recipient], message())

    await asyncio.to_thread(run)


def body(fault: ProviderFault) -> bytes:
    return msgspec.json.encode(fault)


async def test_health_and_clock() -> None:
    async with provider() as fake, control_client(fake) as control:
        assert (await control.get("/health")).json() == {"status": "ok", "provider": "fake"}
        before = round(asyncio.get_running_loop().time() * 1e9)
        now = (await control.get("/clock")).json()["now_ns"]
        assert before <= now <= round(asyncio.get_running_loop().time() * 1e9)


async def test_the_journal_streams_records_as_they_are_written() -> None:
    async with provider() as fake, control_client(fake) as control:
        await send(fake)
        seen: list[int] = []
        async with control.stream("GET", "/journal?after=0") as stream:
            async for line in stream.aiter_lines():
                seen.append(msgspec.json.decode(line)["n"])
                if len(seen) == 3:
                    break
                await send(fake)
        assert seen == [1, 2, 3]


async def test_the_journal_can_be_read_once_from_any_number() -> None:
    async with provider() as fake, control_client(fake) as control:
        for _ in range(3):
            await send(fake)
        answer = await control.get("/journal?after=1&follow=0")
        assert [msgspec.json.decode(line)["n"] for line in answer.text.splitlines()] == [2, 3]
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert (await control.get("/journal?after=-1")).status_code == 400


async def test_a_follower_ends_when_the_provider_stops() -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as control:
        async with provider() as fake:
            request = control.build_request("GET", f"{fake.control}/journal?after=0")
            answer = await control.send(request, stream=True)
        assert await answer.aread() == b""


async def test_faults_are_put_listed_and_taken_away() -> None:
    fault = ProviderFault(id="f1", type="refuse", code=451, every=2)
    async with provider() as fake, control_client(fake) as control:
        put = await control.put("/faults/f1", content=body(fault))
        assert put.status_code == 200
        assert put.json() == {"fault": msgspec.to_builtins(fault), "matched": 0, "acted": 0}
        assert (await control.get("/faults")).json() == [put.json()]
        assert (await control.delete("/faults/f1")).status_code == 204
        assert (await control.delete("/faults/f1")).status_code == 404


async def test_a_fault_that_cannot_be_played_is_refused_with_what_can() -> None:
    async with provider() as fake, control_client(fake) as control:

        async def complaint(content: bytes, fault_id: str = "f1") -> str:
            answer = await control.put(f"/faults/{fault_id}", content=content)
            assert answer.status_code == 400
            error: str = answer.json()["error"]
            return error

        named = ProviderFault(id="f1", type="refuse", named="server-bussy")
        assert "auth-unsuccessful, busy" in await complaint(body(named).replace(b"server-bussy", b"bussy"))
        assert "it can: ack-loss, " in await complaint(body(ProviderFault(id="f1", type="explode")))
        assert "evry" in await complaint(b'{"id":"f1","type":"refuse","code":451,"evry":3}')
        assert "calls itself" in await complaint(body(ProviderFault(id="f1", type="ack-loss")), "f2")
        assert "400 to 599" in await complaint(body(ProviderFault(id="f1", type="refuse", code=250)))


async def test_a_body_that_cannot_be_read_is_answered_with_what_and_where() -> None:
    async with provider() as fake, control_client(fake) as control:

        async def complaint(content: bytes) -> str:
            answer = await control.put("/faults/f1", content=content)
            assert answer.status_code == 400
            error: str = answer.json()["error"]
            assert error.startswith("the body of PUT /faults/f1 is ")
            assert error.endswith('Send an object such as {"id": "f1", "type": "refuse", "code": 451}')
            return error

        cut = await complaint(b'{"id": "f1", "type": ')
        assert "not JSON: " in cut and """it begins '{"id": "f1", "type": '""" in cut
        assert "it is empty" in await complaint(b"")
        assert "it begins '\ufffd'" in await complaint(b"\xff")
        assert "no fault: Expected `str`, got `int` - at `$.type`" in await complaint(
            b'{"id": "f1", "type": 3}'
        )
        assert "missing required field `type`" in await complaint(b'{"id": "f1"}')


async def test_numbers_for_people_and_for_the_witness() -> None:
    async with provider() as fake, control_client(fake) as control:
        await send(fake)
        stats = (await control.get("/stats")).json()
        assert stats == {"last_n": 1, "connections": {"primary": 0}, "accepted": {"primary": 1}}
