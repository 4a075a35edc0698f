"""`python -m harness.testbed.proxy --host H --port P --seed N`: the embedded proxy server as a process.

Prints one JSON line, `{"host": …, "port": …, "version": …}`, once its API answers, and serves until SIGTERM
or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal

import msgspec

from harness.testbed.proxy.embedded import DIAL_TIMEOUT_S, serve_embedded
from harness.testbed.proxy.embedded_api import VERSION


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m harness.testbed.proxy", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address of the API")
    parser.add_argument("--port", type=int, default=8474, help="port of the API; 0 picks one")
    parser.add_argument("--seed", type=int, default=0, help="decides every draw: toxicity, jitter, slices")
    parser.add_argument("--dial-timeout", type=float, default=DIAL_TIMEOUT_S, metavar="SECONDS")
    given = parser.parse_args()
    _allow_many_connections()
    asyncio.run(_serve(given.host, given.port, given.seed, given.dial_timeout))


async def _serve(host: str, port: int, seed: int, dial_timeout_s: float) -> None:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    async with serve_embedded(host, port, seed=seed, dial_timeout_s=dial_timeout_s) as server:
        ready = {"host": server.host, "port": server.port, "version": VERSION}
        print(msgspec.json.encode(ready).decode(), flush=True)
        await told_to_stop.wait()


def _allow_many_connections() -> None:
    # A blackhole collects connections, two descriptors each; the usual soft limit of 1024 is soon reached.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
