"""How fast the driver offers messages, and how late, against a tiny system in a process of its own.

`python benchmarks/driver.py [RATE] [SECONDS]` offers RATE messages a second, journals every offer as a
run does, and prints the rate that was reached, the driver's lag (actual minus scheduled time of an offer),
and the processor time that one message costs the harness. Target: 300 a second with a p99 lag below 20 ms.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from harness.conduct.driver import Driver
from harness.history.events import AnyEvent, MessageSubmitted, MessageSubmitting, Submitted
from harness.history.journal import Journal
from harness.scenario.timeline import Message
from harness.testbed.resources import ResourceLedger
from harness.testbed.system.doors.http import HttpDoor
from harness.testbed.system.life import SystemUnderTest
from harness.testbed.system.plan import ProcessPlan
from harness.testbed.system.process import ProcessHost

LEAD_S = 0.5
SYSTEM = """
import asyncio, sys

ANSWER = b"HTTP/1.1 202 Accepted\\r\\nContent-Length: 2\\r\\n\\r\\n{}"

class Http(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\\r\\n\\r\\n")) >= 0:
            head = self.data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15:].split(b"\\r\\n", 1)[0]) if at >= 0 else 0
            if len(self.data) < end + 4 + length:
                return
            self.data = self.data[end + 4 + length:]
            self.transport.write(ANSWER)

async def main():
    server = await asyncio.get_running_loop().create_server(Http, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def main(rate: float, seconds: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", SYSTEM], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure(Path(folder), port, rate, seconds))
    finally:
        process.kill()
        process.wait()


async def measure(folder: Path, port: int, rate: float, seconds: float) -> None:
    began_ns = time.monotonic_ns()
    journal = Journal(folder / "history.jsonl", "bench", lambda: time.monotonic_ns() - began_ns)
    ledger = ResourceLedger(folder, "bench")
    host = ProcessHost(ProcessPlan(argv=[], env={}, cwd=folder), port, folder, ledger)
    system = SystemUnderTest(
        host, HttpDoor(host.address, "POST", "/messages", "no-reply@shop.example", None, 5.0), journal
    )
    driver = Driver(system, journal)
    messages = [message(number, int(number / rate * 1e9)) for number in range(int(rate * seconds))]
    origin_ns = journal.now_ns() + int(LEAD_S * 1e9)
    used_s = time.process_time()
    await driver.send(messages, origin_ns)
    await driver.finish()
    used_s = time.process_time() - used_s
    await system.stop()
    journal.close()
    ledger.close()
    report(folder, rate, used_s)


def report(folder: Path, rate: float, used_s: float) -> None:
    lines = (folder / "history.jsonl").read_bytes().splitlines()
    events = [msgspec.json.decode(line, type=AnyEvent) for line in lines]
    offers = [event for event in events if isinstance(event, MessageSubmitting)]
    answers = [event for event in events if isinstance(event, MessageSubmitted)]
    accepted = sum(event.result is Submitted.ACCEPTED for event in answers)
    lags_ms = sorted((event.t_ns - event.scheduled_ns) / 1e6 for event in offers)
    span_s = (max(event.t_ns for event in answers) - min(event.scheduled_ns for event in offers)) / 1e9
    p50, p99 = (lags_ms[len(lags_ms) * share // 100] for share in (50, 99))
    print(
        f"offered    {len(offers)} messages at {rate:.0f}/s; {accepted} accepted, "
        f"{accepted / span_s:.0f}/s reached"
    )
    print(f"lag        {p50:.1f} ms (p50), {p99:.1f} ms (p99), {lags_ms[-1]:.1f} ms at worst")
    print(f"processor  {used_s / len(offers) * 1e6:.0f} µs a message ({os.cpu_count()} cores here)")


def message(number: int, at_ns: int) -> Message:
    token = f"{number:016d}".translate(str.maketrans("0189", "abcd"))
    return Message(
        at_ns=at_ns,
        token=token,
        recipient=f"c.{token}@customer.example",
        stream="receipts",
        class_="transactional",
        subject="Your order",
        body="Thank you. " * 80 + f"\nref: hn-{token}-nh\n",
        headers={"X-Harness-Token": token, "X-Harness-Class": "transactional"},
        within_ns=1_000_000_000,
    )


if __name__ == "__main__":
    main(
        float(sys.argv[1]) if len(sys.argv) > 1 else 300.0,
        float(sys.argv[2]) if len(sys.argv) > 2 else 5.0,
    )
