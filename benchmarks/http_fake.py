"""What the HTTP fake costs: its requests a second against a bare Starlette application, in the same run.

`python benchmarks/http_fake.py [REQUESTS]` runs either as a process of its own, drives both with the same
keep-alive clients, in short turns, and prints the rates and the median of the ratios of the rounds. The ratio
is what to compare between machines; the fake does more by design (JSON checked, body packed, receipt written
before the answer). The processor time of each server says the same with less noise where others compute too.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil

from harness.providers.wire import Account, ProviderConfig, Ready, RouteListener

CLIENTS = 4
ROUNDS = 31
BARE = """
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def send(request):
    await request.body()
    return Response(status_code=202)

uvicorn.run(
    Starlette(routes=[Route("/v3/mail/send", send, methods=["POST"])]),
    fd=int(__import__("sys").argv[1]), http="h11", loop="asyncio", lifespan="off",
    access_log=False, log_level="warning",
)
"""


def main(requests: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fake, fake_port = start_fake(Path(folder))
        bare, bare_port = start_bare()
        try:
            asyncio.run(measure({"bare": bare_port, "fake": fake_port}, requests))  # until both are warm
            began = {"bare": cpu_s(bare), "fake": cpu_s(fake)}
            rates = asyncio.run(measure({"bare": bare_port, "fake": fake_port}, requests))
            spent = {"bare": cpu_s(bare) - began["bare"], "fake": cpu_s(fake) - began["fake"]}
        finally:
            for process in (fake, bare):
                process.terminate()
                process.wait()
        journal = (Path(folder) / "sendgrid.jsonl").read_bytes().count(b"\n")
    for name, title in (("bare", "bare Starlette on uvicorn"), ("fake", "SendGrid fake")):
        rate, cpu_us = statistics.median(rates[name]), spent[name] / (ROUNDS * requests) * 1e6
        print(f"{title:<25}  {rate:8.0f} requests/s, {cpu_us:5.0f} us of processor time each")
    ratios = [fake / bare for fake, bare in zip(rates["fake"], rates["bare"], strict=True)]
    print(f"ratio of rates             {statistics.median(ratios):8.2f} (median of {ROUNDS} x {requests})")
    print(f"ratio of processor time    {spent['bare'] / spent['fake']:8.2f}")
    print(f"receipts on disk           {journal:8d}")


def start_fake(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    config = ProviderConfig(
        name="sendgrid",
        preset="sendgrid",
        listeners=[RouteListener(route="backup", account=Account(username="apikey", secret="SG.route"))],
        canary_account=Account(username="canary", secret="SG.canary", canary=True),
        journal_path=str(folder / "sendgrid.jsonl"),
        pack_path=str(folder / "sendgrid.pack"),
    )
    path = folder / "sendgrid.json"
    path.write_bytes(msgspec.json.encode(config))
    process = subprocess.Popen([sys.executable, "-m", "harness.providers", str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, msgspec.json.decode(process.stdout.readline(), type=Ready).listeners[0].port


def start_bare() -> tuple[subprocess.Popen[bytes], int]:
    listening = socket.create_server(("127.0.0.1", 0))
    number = listening.fileno()
    process = subprocess.Popen([sys.executable, "-c", BARE, str(number)], pass_fds=[number])
    port: int = listening.getsockname()[1]
    listening.close()
    return process, port


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    spent = psutil.Process(process.pid).cpu_times()
    return float(spent.user + spent.system)


async def measure(ports: dict[str, int], requests: int) -> dict[str, list[float]]:
    """Requests a second of each, in turn, so that what else the machine does hits both."""
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(ROUNDS):
        for name, port in ports.items():
            began = time.perf_counter()
            await load(port, requests)
            rates[name].append(requests / (time.perf_counter() - began))
    return rates


async def load(port: int, requests: int) -> None:
    await asyncio.gather(*(client(port, requests // CLIENTS) for _ in range(CLIENTS)))


async def client(port: int, requests: int) -> None:
    """Raw HTTP/1.1 on one connection: a client library would be slower than what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(requests):
        writer.write(request(f"{number:016d}".translate(str.maketrans("0189", "abcd"))))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202"):
            raise SystemExit(f"port {port} answered {head!r}")
    writer.close()
    await writer.wait_closed()


def request(token: str) -> bytes:
    body = msgspec.json.encode(
        {
            "personalizations": [{"to": [{"email": f"c.{token}@customer.example"}]}],
            "from": {"email": "shop@shop.example"},
            "subject": "Your order",
            "content": [{"type": "text/plain", "value": "Thank you. " * 80 + f"\nref: hn-{token}-nh\n"}],
            "headers": {"X-Harness-Token": token},
        }
    )
    head = (
        "POST /v3/mail/send HTTP/1.1\r\nHost: api.sendgrid.com\r\nAuthorization: Bearer SG.route\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
