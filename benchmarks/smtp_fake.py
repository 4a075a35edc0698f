"""How fast the SMTP fake takes mail, next to an aiosmtpd that does nothing with it.

Both run as processes of their own and are fed by Postfix's smtp-source in the same run, in turns, so that a
slow machine slows both. The fake journals every message and keeps its body; the target is a ratio of at
least 0.8.

    python benchmarks/smtp_fake.py [--messages 2000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from harness.providers.wire import Account, ProviderConfig, Ready, RouteListener

TARGET = 0.8
SESSIONS = 8
MESSAGE_BYTES = 1_000
BARE = """
import asyncio
from aiosmtpd.smtp import SMTP

class Handler:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"

async def main():
    loop = asyncio.get_running_loop()
    make = lambda: SMTP(Handler(), hostname="bare.example", enable_SMTPUTF8=True, loop=loop)
    server = await loop.create_server(make, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def started(*command: str) -> Iterator[bytes]:
    """A process, and the first line that it prints."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline()
        finally:
            process.terminate()


@contextmanager
def fake(folder: Path) -> Iterator[int]:
    config = ProviderConfig(
        name="fake",
        preset="smtp",
        listeners=[RouteListener(route="primary", account=Account(username="u", secret="s"))],
        canary_account=Account(username="c", secret="s", canary=True),
        journal_path=str(folder / "fake.jsonl"),
        pack_path=str(folder / "fake.pack"),
    )
    path = folder / "fake.json"
    path.write_bytes(msgspec.json.encode(config))
    with started(sys.executable, "-m", "harness.providers", str(path)) as line:
        yield msgspec.json.decode(line, type=Ready).listeners[0].port


@contextmanager
def bare() -> Iterator[int]:
    with started(sys.executable, "-c", BARE) as line:
        yield int(line)


def send_s(source: str, port: int, messages: int, *options: str) -> float:
    """Seconds to send `messages` to a server; fails if it refuses one."""
    begun = time.perf_counter()
    subprocess.run(
        [
            *(source, *options, "-s", str(SESSIONS), "-m", str(messages), "-l", str(MESSAGE_BYTES)),
            *("-f", "sender@sender.example", "-t", "c.abcdefghij234567@customer.example"),
            f"127.0.0.1:{port}",
        ],
        check=True,
    )
    return time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    source = shutil.which("smtp-source", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if source is None:
        print("smtp-source (of Postfix) is not there", file=sys.stderr)
        return 2
    met = True
    with tempfile.TemporaryDirectory() as folder, fake(Path(folder)) as ours, bare() as theirs:
        for label, flags in (("a connection for each message", ()), ("one connection for all", ("-d",))):
            taken: dict[int, list[float]] = {ours: [], theirs: []}
            for _ in range(options.rounds):
                for port, seconds in taken.items():
                    seconds.append(send_s(source, port, options.messages, *flags))
            fake_s, bare_s = (statistics.median(taken[port]) for port in (ours, theirs))
            ratio = bare_s / fake_s
            met = met and ratio >= TARGET
            print(
                f"{label}: fake {options.messages / fake_s:,.0f}/s, bare aiosmtpd "
                f"{options.messages / bare_s:,.0f}/s, ratio {ratio:.2f} (target {TARGET})"
            )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
