"""An answer on its way out: the provider's own headers behind the date."""

from __future__ import annotations

from email.utils import format_datetime

from harness.providers.clock import Clock
from harness.providers.http.answers import phrase
from harness.providers.http.connection import ProviderConnection
from harness.providers.http.messages import Answer


class Reply:
    """What the answers of one side have in common."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1  # for which the date is written
        self._date = b""

    def give(self, answer: Answer, connection: ProviderConnection) -> None:
        connection.answer(answer.status, phrase(answer.status), self._headers(answer), answer.body)

    def give_half(self, answer: Answer, connection: ProviderConnection) -> None:
        """As much of it as goes out before the connection breaks."""
        lines = [f"HTTP/1.1 {answer.status} {phrase(answer.status)}".encode("latin-1")]
        lines += [name + b": " + value for name, value in self._headers(answer)]
        whole = b"\r\n".join(lines) + b"\r\n\r\n" + answer.body
        connection.break_off(whole[: len(whole) // 2])

    def _headers(self, answer: Answer) -> list[tuple[bytes, bytes]]:
        headers = [(b"Date", self._now())]
        headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        return headers

    def _now(self) -> bytes:
        second = int(self._clock.epoch_s + self._clock.now_s())
        if second != self._second:
            self._second = second
            self._date = format_datetime(self._clock.wall(), usegmt=True).encode()
        return self._date
