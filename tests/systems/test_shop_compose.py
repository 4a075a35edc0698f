"""The shop of two services, as processes: its mail goes out once, by the backup where the primary fails, and
is held where nobody knows.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest_asyncio

from harness.history.events import Receipt
from harness.testbed.system.here import free_port
from tests.testbed.local_bench import Bench, routes_alone
from tests.waiting import until

SHOP = Path(__file__).resolve().parents[2] / "fixtures/systems/shop-compose"
TOKEN = "shopshopshopshop"


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with routes_alone(tmp_path / "run", "embedded") as bench:
        yield bench


@contextmanager
def service(name: str, bench: Bench, port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"shop.{name}"],
        cwd=SHOP,
        env=os.environ
        | {
            "QUEUE": str(bench.run_dir / "queue"),
            "PORT": str(port),
            "PRIMARY_URL": bench.addresses["primary"].url,
            "BACKUP_URL": bench.addresses["backup"].url,
            "SSL_CERT_FILE": str(bench.run_dir / "tls" / "ca.pem"),
        },
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def shop(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    port = free_port(f"shop {bench.run_dir}")
    url = f"http://127.0.0.1:{port}"
    with service("web", bench, port), service("worker", bench, port):
        async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
            yield client


async def submit(client: httpx.AsyncClient, token: str = TOKEN) -> None:
    message = {
        "from": "shop@shop.example",
        "to": f"c.{token}@customer.example",
        "subject": "Your order",
        "text": f"Thank you.\n.\nref: hn-{token}-nh\n",
        "headers": {"X-Harness-Token": token},
    }
    async with asyncio.timeout(10):
        while True:
            try:
                answer = await client.post("/messages", json=message, headers={"Idempotency-Key": token})
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code == 202
            return


def receipts(bench: Bench) -> list[Receipt]:
    return [each for each in bench.events(Receipt) if each.token == TOKEN]


async def held(client: httpx.AsyncClient) -> list[str]:
    answer = await client.get("/messages", params={"state": "held"})
    return [each["key"] for each in answer.json()["messages"]]


async def until_primary_is(client: httpx.AsyncClient, state: str) -> None:
    """It tells after each round, so a little later than a provider has the message."""
    async with asyncio.timeout(5):
        while (await client.get("/status")).json()["routes"]["primary"]["state"] != state:
            await asyncio.sleep(0.05)


async def test_a_message_goes_out_once_by_the_primary(bench: Bench) -> None:
    async with shop(bench) as client:
        await submit(client)
        await submit(client)
        await until(lambda: bool(receipts(bench)))
        await until_primary_is(client, "up")
        assert [each.route for each in receipts(bench)] == ["primary"]


async def test_a_primary_that_is_down_is_told_and_gone_around(bench: Bench) -> None:
    outage = bench.injector("primary", "outage")
    await outage.inject()
    async with shop(bench) as client:
        await submit(client)
        await until(lambda: bool(receipts(bench)))
        assert [each.route for each in receipts(bench)] == ["backup"]
        await until_primary_is(client, "down")
        await outage.remove()
        await until_primary_is(client, "up")


async def test_a_message_of_unknown_fate_is_held_and_not_sent_again(bench: Bench) -> None:
    loss = bench.injector("primary", "ack-loss")
    await loss.inject()
    async with shop(bench) as client:
        await submit(client)
        async with asyncio.timeout(10):
            while await held(client) != [TOKEN]:
                await asyncio.sleep(0.05)
        assert [(each.route, each.result.value) for each in receipts(bench)] == [("primary", "ack-lost")]


async def test_what_was_on_its_way_in_a_power_cut_is_held(bench: Bench) -> None:
    sending = bench.run_dir / "queue" / "sending"
    sending.mkdir(parents=True)
    (sending / TOKEN).write_text("{}")
    async with shop(bench) as client:
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await held(client) in ([TOKEN], [])
                    if await held(client) == [TOKEN]:
                        break
                except httpx.ConnectError:
                    pass
                await asyncio.sleep(0.05)
