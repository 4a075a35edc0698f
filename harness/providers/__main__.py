"""`python -m harness.providers CONFIG`: one provider as a process.

Reads a ProviderConfig (JSON), prints one `Ready` line on standard output once every port is bound, and runs
until SIGTERM, SIGINT or POST /shutdown. Exits 2 with a message on standard error when it cannot be started.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import time
from pathlib import Path

import msgspec

from harness.providers.clock import Clock
from harness.providers.errors import ConfigError
from harness.providers.ledger import FileSink, MemorySink
from harness.providers.serve import serve
from harness.providers.wire import ProviderConfig


async def run(config: ProviderConfig) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sink = FileSink(Path(config.journal_path)) if config.journal_path else MemorySink()
    provider = await serve(config, Clock(time.time() - loop.time(), loop), sink, stop)
    gc.freeze()  # what was loaded stays; looking through it again and again costs a few per cent
    print(msgspec.json.encode(provider.ready).decode(), flush=True)
    await stop.wait()
    await provider.close()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m harness.providers CONFIG.json", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        config = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=ProviderConfig)
        asyncio.run(run(config))
    except (OSError, msgspec.DecodeError, ConfigError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
