"""The client: calls end in time, failures have names, other users of toxiproxy-python notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import toxiproxy

from harness.testbed.proxy.client import ProxyClient
from harness.testbed.proxy.errors import ProxyError, ProxyRefused, ProxyTimeout, ProxyUnreachable
from harness.testbed.proxy.state import ProxyState, Toxic
from tests.ports import free_port
from tests.testbed.proxy.bench import Bench, upstream

CALLS: list[Callable[[ProxyClient], Awaitable[object]]] = [
    lambda client: client.create("p", "127.0.0.1:0", "127.0.0.1:9"),
    lambda client: client.names(),
    lambda client: client.read("p"),
    lambda client: client.set_enabled("p", False),
    lambda client: client.set_upstream("p", "127.0.0.1:10"),
    lambda client: client.toxics("p"),
    lambda client: client.add_toxic("p", Toxic(name="t", type="noop")),
    lambda client: client.remove_toxic("p", "t"),
    lambda client: client.reset(),
    lambda client: client.version(),
]


@contextlib.asynccontextmanager
async def client_of(port: int, timeout_s: float = 2.0) -> AsyncIterator[ProxyClient]:
    client = ProxyClient("127.0.0.1", port, timeout_s)
    try:
        yield client
    finally:
        await client.close()


async def test_a_proxys_life(bench: Bench) -> None:
    async with client_of(bench.api_port) as client:
        made = await client.create("p", "127.0.0.1:0", "127.0.0.1:9", enabled=False)
        assert made == ProxyState(name="p", listen="127.0.0.1:0", upstream="127.0.0.1:9", enabled=False)
        await client.set_enabled("p", True)
        slow = Toxic(name="slow", type="latency", toxicity=0.25, attributes={"latency": 5, "jitter": 1})
        await client.add_toxic("p", slow)
        await client.set_upstream("p", "127.0.0.1:10")
        shown = await client.read("p")
        assert (shown.enabled, shown.upstream, shown.toxics) == (True, "127.0.0.1:10", (slow,))
        assert await client.toxics("p") == [slow]
        await client.remove_toxic("p", "slow")
        await client.reset()
        assert (await client.read("p")).toxics == ()
        assert await client.names() == ["p"]
        assert await client.version()


async def test_a_refusal_says_what_was_asked_and_why(bench: Bench) -> None:
    async with client_of(bench.api_port) as client:
        with pytest.raises(
            ProxyRefused, match=r"GET http://.*/proxies/none was refused with 404: proxy not found"
        ):
            await client.read("none")
        with pytest.raises(ProxyRefused) as refused:
            await client.create("p", "127.0.0.1:99999", "127.0.0.1:9")  # a 500, which the library overlooks
        assert (refused.value.status, refused.value.is_port_in_use) == (500, False)
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ProxyRefused) as refused:
            await client.create("p", f"127.0.0.1:{taken.getsockname()[1]}", "127.0.0.1:9")
        assert refused.value.is_port_in_use


@pytest.mark.parametrize("call", CALLS)
async def test_no_call_outlasts_its_timeout(call: Callable[[ProxyClient], Awaitable[object]]) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with upstream(say_nothing) as port, client_of(port, timeout_s=0.2) as client:
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(ProxyTimeout):
            await call(client)
        assert asyncio.get_running_loop().time() - began_s < 1.5


@pytest.mark.parametrize("call", CALLS)
async def test_no_call_takes_an_answer_that_trickles_for_ever(
    call: Callable[[ProxyClient], Awaitable[object]],
) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)

    async with upstream(trickle) as port, client_of(port, timeout_s=0.3) as client:
        with pytest.raises(ProxyTimeout):
            await call(client)


@pytest.mark.parametrize("call", CALLS)
async def test_nobody_there(call: Callable[[ProxyClient], Awaitable[object]]) -> None:
    port = free_port()
    async with client_of(port) as client:
        with pytest.raises(ProxyUnreachable):
            await call(client)


async def test_what_is_no_answer_of_this_api_is_an_error() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()

    async with upstream(answer) as port, client_of(port) as client:
        for call in (client.names, client.version):
            with pytest.raises(ProxyError, match="is not an answer of this API"):
                await call()


async def test_an_http_proxy_in_the_environment_is_not_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with client_of(bench.api_port) as client:
        assert await client.names() == []
        assert await client.version()


async def test_other_users_of_the_library_keep_their_own_server(bench: Bench) -> None:
    theirs = toxiproxy.Toxiproxy()
    theirs.update_api_consumer(bench.api_host, bench.api_port)
    port = free_port()
    async with client_of(port) as client:
        with pytest.raises(ProxyUnreachable):
            await client.names()
    assert await asyncio.to_thread(theirs.proxies) == {}


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a?b", "a#b", "a%b"])
def test_names_that_a_url_cannot_carry_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a proxy or a toxic"):
        Toxic(name=name, type="noop")
