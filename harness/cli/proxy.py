"""`harness proxy`: the embedded server that speaks Toxiproxy's HTTP API, in the foreground."""

from __future__ import annotations

import asyncio
import signal

import click

from harness.cli.exits import CommandError

EPILOG = """\b
Examples:
  harness proxy
  curl 127.0.0.1:8474/proxies -d '{"name": "mail", "listen": "127.0.0.1:2500", "upstream": "127.0.0.1:2525"}'
  curl 127.0.0.1:8474/proxies/mail/toxics -d '{"type": "latency", "attributes": {"latency": 400}}'
"""


@click.command(epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address of its API.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8474,
    show_default=True,
    help="The port of its API; 0: a free one.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, help="Decides every draw: toxicity, jitter, slices."
)
def command(host: str, port: int, seed: int) -> None:
    """Start the embedded Toxiproxy-compatible server.

    It takes the place of toxiproxy-server where that is not installed, and works with Toxiproxy's own
    clients. Unlike Toxiproxy's, its seed decides. Its state is in memory only. Ctrl-C ends it.
    """
    try:
        asyncio.run(_serve(host, port, seed))
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            do="say another --port; 0 takes a free one",
        ) from error


async def _serve(host: str, port: int, seed: int) -> None:
    from harness.testbed.proxy.embedded import serve_embedded

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve_embedded(host, port, seed=seed) as server:
        click.echo(f"the Toxiproxy API is at http://{server.host}:{server.port}; Ctrl-C ends it")
        await stop.wait()
