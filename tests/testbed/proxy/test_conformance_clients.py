"""Third-party clients of Toxiproxy work with both servers: the Go command line tool and toxiproxy-python."""

from __future__ import annotations

import asyncio
import subprocess

import pytest
from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from tests.requires import require_tool
from tests.testbed.proxy.bench import GENEROUS_S, Bench, echo, upstream


async def cli(bench: Bench, *arguments: str) -> str:
    """What `toxiproxy-cli` prints, after checking that it succeeded."""
    program = require_tool("toxiproxy-cli")
    process = await asyncio.create_subprocess_exec(
        program,
        "--host",
        f"http://{bench.api_host}:{bench.api_port}",
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(GENEROUS_S):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_command_line_tool(bench: Bench) -> None:
    async with upstream(echo) as port:
        proxy = await bench.proxy(port, enabled=False)
        await cli(bench, "create", "--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{port}", "by-cli")
        assert "by-cli" in await cli(bench, "list")
        await cli(bench, "toggle", proxy.name)
        proxy.listen = (await proxy.shown())["listen"]
        await cli(bench, "toxic", "add", "-n", "slow", "-t", "latency", "-a", "latency=100", proxy.name)
        assert "latency=100" in await cli(bench, "inspect", proxy.name)
        async with proxy.connected() as caller:
            assert await caller.round_trip() >= 0.099
            await cli(bench, "toxic", "update", "-n", "slow", "-a", "latency=200", proxy.name)
            assert await caller.round_trip() >= 0.199
            await cli(bench, "toxic", "remove", "-n", "slow", proxy.name)
            assert await caller.round_trip() < 0.1
        await cli(bench, "delete", "by-cli")
        assert "by-cli" not in await cli(bench, "list")


async def test_toxiproxy_python(bench: Bench) -> None:
    def use(upstream_port: int) -> None:
        server = Toxiproxy()
        server.update_api_consumer(bench.api_host, bench.api_port)
        assert server.running()
        proxy = server.create(upstream=f"127.0.0.1:{upstream_port}", name="by-python")
        assert server.proxies().keys() == {"by-python"}
        with pytest.raises(ProxyExists):
            server.create(upstream="127.0.0.1:9", name="by-python")
        proxy.add_toxic(type="latency", attributes={"latency": 100})
        assert proxy.get_toxic("latency_downstream").attributes == {"latency": 100, "jitter": 0}
        with pytest.raises(InvalidToxic):
            proxy.add_toxic(type="confusion")
        with proxy.down():
            assert not server.get_proxy("by-python").enabled
        assert server.get_proxy("by-python").enabled
        assert proxy.destroy_toxic("latency_downstream")
        with pytest.raises(NotFound):
            proxy.destroy_toxic("latency_downstream")
        assert server.reset()
        server.destroy_all()
        assert server.proxies() == {}
        server.populate([{"name": "again", "upstream": "127.0.0.1:9"}])
        assert server.get_proxy("again").upstream == "127.0.0.1:9"
        assert b"version" in server.version()

    async with upstream(echo) as port:
        await asyncio.to_thread(use, port)
