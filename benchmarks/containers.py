"""What the containers testbed costs: the latency that Toxiproxy in a container adds, and both ends of a run.

Latency: Mailpit's API is asked in turns directly, through a port that Docker publishes, and through a
Toxiproxy container without toxics; the difference of the medians is what the proxy adds to a round trip.
Ends: a short scenario is run by `harness run --on containers`; from its start to the first baseline message
(at most 4 s), and from the end of its drain to its last event (at most 3 s).

    python benchmarks/containers.py [--asks 1000] [--runs 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import httpx

from harness.testbed.containers.engine import connect
from harness.testbed.containers.ground import LOOPBACK, Ground, Net
from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.mailpit import HTTP_PORT, MailpitContainer
from harness.testbed.containers.names import RunNames
from harness.testbed.containers.proxy_server import Gate
from harness.testbed.resources import ResourceLedger

ROOT = Path(__file__).resolve().parent.parent
FIRST_MESSAGE_S, TEAR_DOWN_S = 4.0, 3.0
SHORT = {
    "baseline.for": "1s",
    "workload.receipts.for": "3s",
    "workload.newsletter.count": "1",
    "workload.newsletter.at": "1s",
    "faults.0.at": "1s",
    "faults.0.for": "1s",
    "faults.1.at": "1s",
    "faults.1.for": "1s",
}


async def added_latency(asks: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = ResourceLedger(Path(folder), marker=uuid.uuid4().hex)
        engine = connect()
        ledger.making_on_engine(engine.host)
        run = RunNames.of_this_process(ledger.marker, "benchmark")
        ground = Ground(engine, run, ledger, (Net.EDGE, Net.PROVIDERS))
        try:
            await ground.open()
            gate = Gate(ground, PINNED[Kind.TOXIPROXY], 1)
            mailpit = MailpitContainer(ground, gate, PINNED[Kind.MAILPIT], "mailpit", keep=True)
            await mailpit.start()
            host, port = await gate.way_to("mailpit", f"mailpit:{HTTP_PORT}")
            ways = {"published port": mailpit.base_url, "through Toxiproxy": f"http://{host}:{port}"}
            took_ms: dict[str, list[float]] = {name: [] for name in ways}
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:
                for _ in range(asks):
                    for name, url in ways.items():
                        began = time.perf_counter()
                        (await client.get(f"{url}/livez")).raise_for_status()
                        took_ms[name].append((time.perf_counter() - began) * 1000)
            await gate.stop()
        finally:
            await ground.close()
    for name, samples in took_ms.items():
        p99 = sorted(samples)[len(samples) * 99 // 100]
        print(f"{name:18} median {statistics.median(samples):6.2f} ms   p99 {p99:6.2f} ms   ({LOOPBACK})")
    direct, proxied = (statistics.median(samples) for samples in took_ms.values())
    print(f"Toxiproxy in a container adds {proxied - direct:.2f} ms to a round trip (no target)")


def both_ends(runs: int) -> None:
    firsts, tear_downs = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as out:
            settings = [word for key, value in SHORT.items() for word in ("--set", f"{key}={value}")]
            scenario = str(ROOT / "scenarios" / "m365-auth-outage.yaml")
            command = [str(Path(sys.executable).parent / "harness"), "run", scenario, "--on", "containers"]
            began = time.time()
            subprocess.run([*command, "-q", "--out", out, *settings], check=False, stdout=subprocess.DEVNULL)
            (history,) = Path(out).glob("*/history.jsonl")
            events = [json.loads(line) for line in history.read_text().splitlines()]
        zero = time.mktime(time.strptime(events[0]["wall_start"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        zero += float(events[0]["wall_start"][19:23])
        first = next(event["t_ns"] for event in events if event["kind"] == "message.submitting")
        teardown = next(event["t_ns"] for event in events if event.get("phase") == "teardown")
        firsts.append(zero - began + first / 1e9)
        tear_downs.append((events[-1]["t_ns"] - teardown) / 1e9)
    for what, samples, target in (
        ("first message", firsts, FIRST_MESSAGE_S),
        ("tear-down", tear_downs, TEAR_DOWN_S),
    ):
        shown = ", ".join(f"{sample:.2f}" for sample in samples)
        print(f"{what:14} {statistics.median(samples):5.2f} s (at most {target:g} s; {shown})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--asks", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    asyncio.run(added_latency(arguments.asks))
    both_ends(arguments.runs)


if __name__ == "__main__":
    main()
