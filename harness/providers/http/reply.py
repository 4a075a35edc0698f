"""An answer on its way out: the provider's own headers, between the date and the length; and those that tell
with every answer what is left of a limit, unless the answer has them already."""

from __future__ import annotations

from email.utils import format_datetime

from starlette.types import Send

from harness.providers.clock import Clock
from harness.providers.http.answers import phrase
from harness.providers.http.messages import Answer, Headers


class Reply:
    """What the answers of one side have in common."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1  # for which the date is written
        self._date = b""

    async def give(self, answer: Answer, standing: Headers, send: Send) -> None:
        headers = self._headers(answer, standing)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def half(self, answer: Answer, standing: Headers) -> bytes:
        """As much of it as goes out before the connection breaks."""
        lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}".encode("latin-1")]
        lines += [name + b": " + value for name, value in self._headers(answer, standing)]
        whole = b"\r\n".join(lines) + b"\r\n\r\n" + answer.body
        return whole[: len(whole) // 2]

    def _headers(self, answer: Answer, standing: Headers) -> list[tuple[bytes, bytes]]:
        headers = [(b"Date", self._now())]
        told = answer.headers
        if standing:
            own = {name.lower() for name, _ in told}
            told = (*told, *((name, value) for name, value in standing if name.lower() not in own))
        headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told]
        headers.append((b"Content-Length", b"%d" % len(answer.body)))
        return headers

    def _now(self) -> bytes:
        second = int(self._clock.epoch_s + self._clock.now_s())
        if second != self._second:
            self._second = second
            self._date = format_datetime(self._clock.wall(), usegmt=True).encode()
        return self._date
