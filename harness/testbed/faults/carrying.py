"""How a proxy treats many bytes, and the end of a connection: what one small canary cannot tell.

Speaks to the same proxy as the canary, without logging in: SMTP answers NOOP and EHLO to anybody, an HTTP API
answers what it does not know. In: how much to move, and which way. Out: what passed, how long it took, and
how it ended.
"""

from __future__ import annotations

import asyncio
import math
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from harness.testbed.canary import Canary, Saw

PIECE = 4_000
"""Bytes of padding in one HTTP header: what nearly every server takes."""
SHORTEST_ANSWER = 40
"""Bytes that any answer has, to EHLO or to a request for what is not there."""
_ANSWERED = re.compile(rb"^\d{3} ", re.MULTILINE)


@dataclass(frozen=True)
class Talk:
    """What became of one connection."""

    sent: int
    received: int
    elapsed_s: float
    saw: Saw  # OK: as much was heard as was wanted

    def __add__(self, other: Talk) -> Talk:
        worst = self.saw if self.saw is not Saw.OK else other.saw
        elapsed_s = self.elapsed_s + other.elapsed_s
        return Talk(self.sent + other.sent, self.received + other.received, elapsed_s, worst)


async def carry(canary: Canary, stream: str, size: int, timeout_s: float) -> Talk:
    """Move at least `size` bytes that way; little goes the other way."""
    upstream = stream == "upstream"
    if not canary.address.is_http:
        said, answers = _smtp(upstream, size)
        return await _talk(canary, said, lambda heard: len(_ANSWERED.findall(heard)) >= answers, timeout_s)
    whole = Talk(0, 0, 0.0, Saw.OK)
    while (missing := size - (whole.sent if upstream else whole.received)) > 0 and whole.saw is Saw.OK:
        if upstream:
            one = await _talk(canary, _http(min(PIECE, missing)), bool, timeout_s - whole.elapsed_s)
        else:
            said = _http(0) * math.ceil(missing / SHORTEST_ANSWER)
            one = await _talk(canary, said, partial(_holds, missing), timeout_s - whole.elapsed_s)
        # A server that answers one at a time may end the connection after it.
        whole += replace(one, saw=Saw.OK) if one.saw is Saw.CLOSED and one.received else one
    return whole


def _holds(size: int, heard: bytes) -> bool:
    return len(heard) >= size


async def run_dry(canary: Canary, stream: str, size: int, timeout_s: float) -> Talk:
    """Move more than `size` bytes that way on one connection. OK: all of it passed."""
    upstream = stream == "upstream"
    if not canary.address.is_http:
        said, answers = _smtp(upstream, 2 * size + 500)
        return await _talk(canary, said, lambda heard: len(_ANSWERED.findall(heard)) >= answers, timeout_s)
    if upstream:
        return await _talk(canary, _http(0, pieces=size // PIECE + 1), bool, timeout_s)
    said = _http(0) * (2 + size // SHORTEST_ANSWER)
    return await _talk(canary, said, lambda heard: len(heard) > size, timeout_s)


async def goodbye(canary: Canary, timeout_s: float) -> Talk:
    """Have the other side end the connection, and wait for that; CLOSED is what should be seen.

    In the clear even where the other side speaks TLS: it hangs up on that as well, and TLS would tell of the
    end before it comes.
    """
    said = _http(0, last=True) if canary.address.is_http else b"QUIT\r\n"
    return await _talk(canary, said, None, timeout_s, in_the_clear=True)


def _smtp(upstream: bool, size: int) -> tuple[bytes, int]:
    """Commands that say, or have answered, so many bytes; and how many answers come, with the greeting."""
    line = b"NOOP " + b"x" * 490 + b"\r\n" if upstream else b"EHLO canary.example\r\n"
    count = math.ceil(size / (len(line) if upstream else SHORTEST_ANSWER))
    if upstream and count == 1:
        line = b"NOOP " + b"x" * max(0, size - 7) + b"\r\n"
    return line * count, count + 1


def _http(padding: int, *, last: bool = False, pieces: int = 0) -> bytes:
    lines = ["GET /harness-canary HTTP/1.1", "Host: canary.example"]
    lines += [f"X-Padding-{number}: {'x' * PIECE}" for number in range(pieces)]
    if padding:
        lines.append(f"X-Padding: {'x' * padding}")
    if last:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _talk(
    canary: Canary,
    said: bytes,
    enough: Callable[[bytes], bool] | None,
    timeout_s: float,
    *,
    in_the_clear: bool = False,
) -> Talk:
    """Say it all at once and listen until it is enough; without `enough`, to the end."""
    loop = asyncio.get_running_loop()
    address, began, heard, saw = canary.address, loop.time(), b"", Saw.CLOSED
    writer: asyncio.StreamWriter | None = None
    tls = canary.tls() if address.is_https and not in_the_clear else None
    try:
        async with asyncio.timeout(max(0.0, timeout_s)):
            reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls)
            writer.write(said)
            await writer.drain()
            while piece := await reader.read(65_536):
                heard += piece
                if enough is not None and enough(heard):
                    saw = Saw.OK
                    break
    except TimeoutError:
        saw = Saw.NO_ANSWER
    except ConnectionRefusedError:
        saw = Saw.CONNECT_REFUSED
    except (ConnectionResetError, BrokenPipeError):
        saw = Saw.RESET
    except ssl.SSLError:
        saw = Saw.CLOSED
    finally:
        if writer is not None:
            writer.transport.abort()
    return Talk(len(said), len(heard), loop.time() - began, saw)
