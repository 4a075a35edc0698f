"""The way into the system: connections are kept, stale ones replaced, a doubt is never called a refusal."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from harness.testbed.system.doors.http import FrontDoor, NoAnswer, NotOffered


@asynccontextmanager
async def door(*answers: bytes, timeout_s: float = 2.0):
    """A system that gives these answers, one a request, on any connection; an empty one closes it instead."""
    left, connections = list(answers), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        try:
            while left:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                if not (answer := left.pop(0)):
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    front = FrontDoor("127.0.0.1", server.sockets[0].getsockname()[1], timeout_s)
    try:
        yield front, connections
    finally:
        front.close()
        server.close()
        await server.wait_closed()


OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"


async def ask(front: FrontDoor):
    return await front.exchange("POST", "/messages", {"Idempotency-Key": "t"}, b"{}")


async def test_a_connection_is_kept_for_the_next_message():
    async with door(OK, OK, OK) as (front, connections):
        assert [(await ask(front)).status for _ in range(2)] == [202, 202]
        assert len(connections) == 1


async def test_messages_at_the_same_time_have_connections_of_their_own():
    async with door(OK, OK, OK, OK) as (front, connections):
        answers = await asyncio.gather(*(ask(front) for _ in range(3)))
        assert [answer.body for answer in answers] == [b"{}"] * 3
        assert len(connections) == 3


async def test_a_connection_that_the_system_ended_is_not_used_again():
    async with door(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), OK, OK) as (
        front,
        connections,
    ):
        await ask(front)
        assert (await ask(front)).status == 202
        assert len(connections) == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closed"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\n{}", id="cut short"),
        pytest.param(b"220 mail.example ESMTP\r\n\r\n", id="no HTTP at all"),
    ],
)
async def test_what_is_no_whole_answer_leaves_it_open_whether_the_message_was_taken(answer):
    async with door(answer, timeout_s=0.3) as (front, _):
        with pytest.raises(NoAnswer):
            await ask(front)


async def test_an_informational_answer_is_not_the_answer():
    async with door(b"HTTP/1.1 102 Processing\r\n\r\n" + OK, OK) as (front, _):
        assert (await ask(front)).status == 202


async def test_without_a_connection_the_system_certainly_got_nothing():
    async with door() as (front, _):
        pass
    with pytest.raises(NotOffered, match="ConnectionRefusedError"):
        await ask(front)
