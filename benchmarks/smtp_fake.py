"""How fast the SMTP fake takes mail, next to an aiosmtpd that does nothing with it.

Both run as processes of their own and are fed in the same run, in turns, so that a slow machine slows both:
by Postfix's smtp-source in the clear, and by a client of this file under STARTTLS with a login. The fake
journals every message and keeps its body; the target is a ratio of at least 0.8. Printed beside it is the
ratio of the processor time that the two took, which what else the machine does changes less.

    python benchmarks/smtp_fake.py [--messages 2000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from harness.providers.tls import make_ca
from harness.providers.wire import Account, ProviderConfig, Ready, RouteListener

TARGET = 0.8
SESSIONS = 8
MESSAGE_BYTES = 1_000
RECIPIENT = "c.abcdefghij234567@customer.example"
BARE = """
import asyncio, logging, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult

logging.disable()  # it warns of its own use of its own session

class Handler:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"

def options():
    if len(sys.argv) == 1:
        return {}
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*sys.argv[1:])
    authenticator = lambda *_: AuthResult(success=True)
    return {"tls_context": tls, "authenticator": authenticator, "auth_required": True}

async def main():
    loop = asyncio.get_running_loop()
    more = options()
    make = lambda: SMTP(Handler(), hostname="bare.example", enable_SMTPUTF8=True, loop=loop, **more)
    server = await loop.create_server(make, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@dataclass
class Server:
    """One of the two, and what it took in each round."""

    process: psutil.Process
    port: int
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def fed(self, feed: Callable[[int], None]) -> None:
        before, began = self._cpu_s(), time.perf_counter()
        feed(self.port)
        self.wall_s.append(time.perf_counter() - began)
        self.cpu_s.append(self._cpu_s() - before)

    def _cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def started(*command: str) -> Iterator[tuple[psutil.Process, bytes]]:
    """A process, and the first line that it prints."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield psutil.Process(process.pid), process.stdout.readline()
        finally:
            process.terminate()


@contextmanager
def fake(folder: Path, preset: str, cert: Path | None = None, key: Path | None = None) -> Iterator[Server]:
    config = ProviderConfig(
        name=preset,
        preset=preset,
        listeners=[RouteListener(route="primary", account=Account(username="u", secret="s"))],
        canary_account=Account(username="c", secret="s", canary=True),
        journal_path=str(folder / f"{preset}.jsonl"),
        pack_path=str(folder / f"{preset}.pack"),
        tls_cert_path=str(cert) if cert else None,
        tls_key_path=str(key) if key else None,
    )
    path = folder / f"{preset}.json"
    path.write_bytes(msgspec.json.encode(config))
    with started(sys.executable, "-m", "harness.providers", str(path)) as (process, line):
        yield Server(process, msgspec.json.decode(line, type=Ready).listeners[0].port)


@contextmanager
def bare(*files: Path) -> Iterator[Server]:
    with started(sys.executable, "-c", BARE, *map(str, files)) as (process, line):
        yield Server(process, int(line))


def smtp_source(source: str, messages: int, *options: str) -> Callable[[int], None]:
    """Feeds that many messages; fails if one is refused."""

    def feed(port: int) -> None:
        subprocess.run(
            [
                *(source, *options, "-s", str(SESSIONS), "-m", str(messages), "-l", str(MESSAGE_BYTES)),
                *("-f", "sender@sender.example", "-t", RECIPIENT, f"127.0.0.1:{port}"),
            ],
            check=True,
        )

    return feed


def encrypted(ca: Path, messages: int, per_connection: int) -> Callable[[int], None]:
    """The same under STARTTLS with a login, so many messages over each connection."""
    context = ssl.create_default_context(cafile=str(ca))

    async def session(port: int) -> None:
        for _ in range(messages // SESSIONS // per_connection):
            await converse(port, context, per_connection)

    async def feed(port: int) -> None:
        await asyncio.gather(*(session(port) for _ in range(SESSIONS)))

    return lambda port: asyncio.run(feed(port))


async def converse(port: int, context: ssl.SSLContext, messages: int) -> None:
    """Line by line, like most clients: a library would be slower than what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(line: bytes, code: bytes) -> None:
        writer.write(line)
        answer = await reader.readline()
        while answer[3:4] == b"-":
            answer = await reader.readline()
        if not answer.startswith(code):
            raise SystemExit(f"port {port} answered {answer!r} to {line[:40]!r}")

    await ask(b"", b"220")
    await ask(b"EHLO client.example\r\n", b"250")
    await ask(b"STARTTLS\r\n", b"220")
    await writer.start_tls(context, server_hostname="localhost")
    await ask(b"EHLO client.example\r\n", b"250")
    await ask(b"AUTH PLAIN " + base64.b64encode(b"\0u\0s") + b"\r\n", b"235")
    body = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * (MESSAGE_BYTES // 72) + b".\r\n"
    for _ in range(messages):
        await ask(b"MAIL FROM:<sender@sender.example>\r\n", b"250")
        await ask(f"RCPT TO:<{RECIPIENT}>\r\n".encode(), b"250")
        await ask(b"DATA\r\n", b"354")
        await ask(body, b"250")
    await ask(b"QUIT\r\n", b"221")
    writer.transport.abort()


def compare(
    label: str, ours: Server, theirs: Server, messages: int, rounds: int, feed: Callable[[int], None]
) -> bool:
    """Feed both in turns, print how they did, and say whether the target was met."""
    for server in (ours, theirs):
        server.wall_s.clear()
        server.cpu_s.clear()
    for _ in range(rounds):
        for server in (ours, theirs):
            server.fed(feed)
    fake_s, bare_s = (statistics.median(each.wall_s) for each in (ours, theirs))
    ratio, cpu_ratio = bare_s / fake_s, sum(theirs.cpu_s) / sum(ours.cpu_s)
    print(
        f"{label}: fake {messages / fake_s:,.0f}/s, bare aiosmtpd {messages / bare_s:,.0f}/s, "
        f"ratio {ratio:.2f} (target {TARGET}; of processor time {cpu_ratio:.2f})",
        flush=True,
    )
    return ratio >= TARGET


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
    count, rounds = options.messages, options.rounds
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ca, cert, key = make_ca(folder)
        plain = stack.enter_context(fake(folder, "smtp")), stack.enter_context(bare())
        tls = (
            stack.enter_context(fake(folder, "smtp-starttls", cert, key)),
            stack.enter_context(bare(cert, key)),
        )
        each, all_ = "a connection for each message", "one connection for all"
        few = max(SESSIONS, count // 5)  # handshakes cost the client as much as the server
        met = [
            compare(each, *plain, count, rounds, smtp_source(source, count)),
            compare(all_, *plain, count, rounds, smtp_source(source, count, "-d")),
            compare(f"STARTTLS and AUTH, {each}", *tls, few, rounds, encrypted(ca, few, 1)),
            compare(
                f"STARTTLS and AUTH, {all_}", *tls, count, rounds, encrypted(ca, count, count // SESSIONS)
            ),
        ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
