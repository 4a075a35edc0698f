"""Reaching the system's port from here: does anything answer, and one whole answer by HTTP."""

from __future__ import annotations

import asyncio

import httpx

ANSWER_TIMEOUT_S = 10.0
"""For a whole answer; one that trickles for ever would never meet the time-out of a single read."""
READ_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
CLOSED_WITHIN_S = 0.1
"""A forwarder in between takes every connection, and closes at once those it cannot pass on."""

QUESTION = b"GET /harness-canary HTTP/1.1\r\nHost: canary.example\r\n\r\n"
"""To which a web server answers, and about which a mail server complains."""


def base_url(address: tuple[str, int]) -> str:
    host, port = address
    return f"http://{host}:{port}"


async def is_answered(address: tuple[str, int]) -> bool:
    """Whether something takes a connection there, and does not drop it at once."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(*address)
        async with asyncio.timeout(CLOSED_WITHIN_S):
            return bool(await reader.read(1))
    except TimeoutError:
        return writer is not None
    except OSError:
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


async def has_a_word(address: tuple[str, int], within_s: float) -> bool:
    """Whether what listens there says anything, or hangs up: a frozen system does neither.

    It is asked as a web server would be; a mail server speaks first, or complains.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(QUESTION)
            await writer.drain()
            await reader.read(1)
            return True
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        if writer is not None:
            writer.transport.abort()


async def says_anything(address: tuple[str, int], within_s: float) -> bool:
    """Whether a word comes from there. A forwarder in between takes every connection, and may be long in
    finding out that nobody is behind it; words are the system's own."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(QUESTION)
            await writer.drain()
            return bool(await reader.read(1))
    except OSError:  # a TimeoutError is one too
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


async def whole_answer(
    client: httpx.AsyncClient, path: str, *, method: str = "GET", json: object = None
) -> httpx.Response:
    """Raises httpx.HTTPError or TimeoutError."""
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        return await client.request(method, path, json=json, timeout=READ_TIMEOUT_S)
