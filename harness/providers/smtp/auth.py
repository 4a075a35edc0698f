"""The conversation of AUTH: LOGIN, PLAIN and XOAUTH2, up to a user name and a secret.

Each mechanism is a generator: it yields challenges (already in base64), is sent the client's lines, and
returns the credentials. What the server makes of them is the connection's business.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Generator, Mapping
from typing import Protocol

import msgspec


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    username: str
    secret: str


class MalformedAuth(Exception):
    pass


class CancelledAuth(Exception):
    pass


Exchange = Generator[str, str, Credentials]
Mechanism = Callable[[str | None], Exchange]  # takes the initial response

LOGIN_USERNAME = "VXNlcm5hbWU6"
LOGIN_PASSWORD = "UGFzc3dvcmQ6"


class Line(Protocol):
    """The connection, as far as a login needs it."""

    async def push(self, status: str) -> None: ...

    async def read_line(self) -> str: ...


async def exchange(mechanism: Exchange, line: Line) -> Credentials:
    """Hold the conversation; raises MalformedAuth or CancelledAuth."""
    try:
        challenge = next(mechanism)
        while True:
            await line.push(f"334 {challenge}")
            challenge = mechanism.send((await line.read_line()).strip())
    except StopIteration as done:
        credentials: Credentials = done.value
        return credentials


def login(initial: str | None) -> Exchange:
    username = _decode((yield LOGIN_USERNAME) if initial is None else initial)
    return Credentials(username=username, secret=_decode((yield LOGIN_PASSWORD)))


def plain(initial: str | None) -> Exchange:
    parts = _decode((yield "") if initial is None else initial).split("\0")
    if len(parts) != 3:
        raise MalformedAuth
    return Credentials(username=parts[1], secret=parts[2])


def xoauth2(initial: str | None) -> Exchange:
    fields = dict(
        field.partition("=")[::2]
        for field in _decode((yield "") if initial is None else initial).split("\x01")
        if field
    )
    scheme, _, token = fields.get("auth", "").partition(" ")
    if scheme.lower() != "bearer" or not fields.get("user"):
        raise MalformedAuth
    return Credentials(username=fields["user"], secret=token)


MECHANISMS: Mapping[str, Mechanism] = {"LOGIN": login, "PLAIN": plain, "XOAUTH2": xoauth2}


def _decode(line: str) -> str:
    if line == "*":
        raise CancelledAuth
    if line == "=":
        return ""
    try:
        return base64.b64decode(line, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise MalformedAuth from error
