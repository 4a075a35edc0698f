"""An answer on its way out: the provider's own headers behind the date."""

from __future__ import annotations

from email.utils import format_datetime

from harness.providers.clock import Clock
from harness.providers.http.answers import phrase
from harness.providers.http.connection import ProviderConnection, header_lines
from harness.providers.http.messages import Answer, Headers


class Reply:
    """What the answers of one side have in common."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1  # for which the date is written
        self._date: Headers = ()

    def give(self, answer: Answer, connection: ProviderConnection) -> None:
        connection.answer(answer.status, phrase(answer.status), self._headers(answer), answer.body)

    def give_half(self, answer: Answer, connection: ProviderConnection) -> None:
        """As much of it as goes out before the connection breaks."""
        length: Headers = (("Content-Length", str(len(answer.body))),)
        first = f"HTTP/1.1 {answer.status} {phrase(answer.status)}\r\n".encode("latin-1")
        whole = first + header_lines(self._headers(answer) + length) + b"\r\n" + answer.body
        connection.break_off(whole[: len(whole) // 2])

    def _headers(self, answer: Answer) -> Headers:
        second = int(self._clock.epoch_s + self._clock.now_s())
        if second != self._second:
            self._second = second
            self._date = (("Date", format_datetime(self._clock.wall(), usegmt=True)),)
        return self._date + answer.headers
