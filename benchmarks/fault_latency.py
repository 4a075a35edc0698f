"""How soon a fault acts once it is switched on, while mail comes at up to 1,000 messages a second.

A fake runs as a process of its own and is fed at a fixed pace over a few connections. A fault is put in place
over the control API and taken away again, several times. Measured is the time from the answer to the PUT to
the first reply that shows the fault, and whether a message that was begun after that answer was taken
nevertheless: none may be. The target is 20 ms.

    python benchmarks/fault_latency.py [--rate 1000] [--times 10]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
from http_fake import request

from harness.providers.wire import Account, ProviderConfig, ProviderFault, Ready, RouteListener

TARGET_MS = 20.0
CONNECTIONS = 8
SETTLE_S = 0.3  # how long mail flows before and after each change
SMTP_FAULT = ProviderFault(id="f", type="refuse", code=451, stage="mail")
HTTP_FAULT = ProviderFault(id="f", type="refuse", code=503)


@dataclass
class Flow:
    """What became of each message: (begun, answered, taken), in seconds of this process's clock."""

    replies: list[tuple[float, float, bool]] = field(default_factory=list)
    stop: bool = False


Client = Callable[[int, Flow, float, float], Coroutine[Any, Any, None]]  # port, flow, first at, interval


async def paced(flow: Flow, first_s: float, every_s: float) -> bool:
    """Wait for the next place in the schedule; late ones are not made up for."""
    now_s = time.perf_counter()
    place_s = first_s + every_s * -(-(now_s - first_s) // every_s)
    await asyncio.sleep(max(0.0, place_s - now_s))
    return not flow.stop


async def smtp_client(port: int, flow: Flow, first_s: float, every_s: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"EHLO client.example\r\n")
    while (await reader.readline())[3:4] == b"-":
        pass
    envelope = b"MAIL FROM:<s@sender.example>\r\nRCPT TO:<c.abcdefghij234567@customer.example>\r\nDATA\r\n"
    body = b"Subject: x\r\n\r\n" + b"y" * 900 + b"\r\n.\r\n"
    while await paced(flow, first_s, every_s):
        begun = time.perf_counter()
        writer.write(envelope)
        first = await reader.readline()
        answered = time.perf_counter()
        for _ in range(2):
            last = await reader.readline()
        if last.startswith(b"354"):
            writer.write(body)
            last = await reader.readline()
            answered = time.perf_counter()
        flow.replies.append((begun, answered, first.startswith(b"250") and last.startswith(b"250")))
    writer.transport.abort()


async def http_client(port: int, flow: Flow, first_s: float, every_s: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    post = request("abcdefghijklmnop")
    while await paced(flow, first_s, every_s):
        begun = time.perf_counter()
        writer.write(post)
        head = await reader.readuntil(b"\r\n\r\n")
        answered = time.perf_counter()
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        flow.replies.append((begun, answered, head.startswith(b"HTTP/1.1 202")))
    writer.transport.abort()


def started(folder: Path, preset: str) -> tuple[subprocess.Popen[bytes], Ready]:
    config = ProviderConfig(
        name=preset,
        preset=preset,
        listeners=[RouteListener(route="route", account=Account(username="apikey", secret="SG.route"))],
        canary_account=Account(username="canary", secret="SG.canary", canary=True),
        journal_path=str(folder / f"{preset}.jsonl"),
        pack_path=str(folder / f"{preset}.pack"),
    )
    path = folder / f"{preset}.json"
    path.write_bytes(msgspec.json.encode(config))
    process = subprocess.Popen([sys.executable, "-m", "harness.providers", str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    return process, msgspec.json.decode(process.stdout.readline(), type=Ready)


async def measure(
    ready: Ready, client: Client, fault: ProviderFault, rate: float, times: int
) -> tuple[list[float], int, float]:
    """Milliseconds of each time, how many messages escaped, and the pace that was kept."""
    flow, every_s, latencies, escaped = Flow(), CONNECTIONS / rate, [], 0
    began = time.perf_counter()
    port = ready.listeners[0].port
    clients = [
        asyncio.create_task(client(port, flow, began + number / rate, every_s))
        for number in range(CONNECTIONS)
    ]
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{ready.control_port}", trust_env=False
    ) as control:
        for _ in range(times):
            await asyncio.sleep(SETTLE_S)
            answer = await control.put("/faults/f", content=msgspec.json.encode(fault))
            in_place = time.perf_counter()
            answer.raise_for_status()
            await asyncio.sleep(SETTLE_S)
            leaving = time.perf_counter()
            (await control.delete("/faults/f")).raise_for_status()
            during = [each for each in flow.replies if in_place <= each[0] and each[1] < leaving]
            hit = [answered for _, answered, taken in flow.replies if not taken and answered < leaving]
            first = min(answered for answered in hit if answered > in_place - SETTLE_S / 2)
            latencies.append(max(0.0, first - in_place) * 1e3)
            escaped += sum(taken for _, _, taken in during)
    pace = len(flow.replies) / (time.perf_counter() - began)
    flow.stop = True
    await asyncio.gather(*clients)
    return latencies, escaped, pace


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1_000)
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    met = True
    for preset, client, fault in (
        ("smtp", smtp_client, SMTP_FAULT),
        ("sendgrid", http_client, HTTP_FAULT),
    ):
        with tempfile.TemporaryDirectory() as folder:
            process, ready = started(Path(folder), preset)
            try:
                latencies, escaped, pace = asyncio.run(
                    measure(ready, client, fault, options.rate, options.times)
                )
            finally:
                process.terminate()
                process.wait()
        median, worst = statistics.median(latencies), max(latencies)
        print(
            f"{preset}: at {pace:,.0f} messages/s a fault acts {median:.1f} ms after it was put in place "
            f"(median of {len(latencies)}; worst {worst:.1f}, target {TARGET_MS:.0f}); "
            f"{escaped} messages begun after that escaped it"
        )
        met = met and worst <= TARGET_MS and not escaped
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
