"""Idempotency keys: the provider's own memory of requests, for as long as it promises.

By route and key: each route has an account of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.api import HttpApi
from harness.providers.http.messages import Answer, HttpRequest


@dataclass
class _First:
    """The request that came first by its key; without an answer as long as it is in progress."""

    key: tuple[str, str]
    sha256: bytes
    until_s: float
    answer: Answer | None = None


@dataclass(frozen=True)
class Remembered:
    """One request with a key, beside the first that came with it."""

    first: _First
    is_known: bool  # it was there before this request
    same: bool  # and had the same payload

    def answer(self, api: HttpApi) -> Answer:
        """What a provider says to a key that it knows."""
        if not self.same:
            return api.conflicting(in_progress=False)
        if self.first.answer is None:
            return api.conflicting(in_progress=True)
        again = api.repeated(self.first.answer)
        return msgspec.structs.replace(again, result=ReceiptResult.REPEATED)

    def done(self, answer: Answer) -> None:
        """The request has its answer, whether the client heard it or not."""
        self.first.answer = answer


class Memory:
    """What one provider remembers."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], _First] = {}

    def look_up(self, api: HttpApi, route: str, request: HttpRequest, now_s: float) -> Remembered | None:
        """Note down the request under its key, unless one is there; None if it has no key."""
        key = api.idempotency_key(request)
        if key is None or api.idempotent_for_s is None:
            return None
        digest = hashlib.sha256(request.body).digest()
        self._expire(now_s)
        there = self._first.get((route, key))
        if there is not None:
            return Remembered(there, is_known=True, same=there.sha256 == digest)
        first = _First((route, key), digest, now_s + api.idempotent_for_s)
        self._first[route, key] = first
        return Remembered(first, is_known=False, same=True)

    def forget(self, remembered: Remembered) -> None:
        """The request was not taken: its key is free again."""
        if self._first.get(remembered.first.key) is remembered.first:
            del self._first[remembered.first.key]

    def _expire(self, now_s: float) -> None:
        """All live equally long, so the oldest are in front."""
        while self._first and (oldest := next(iter(self._first.values()))).until_s <= now_s:
            del self._first[oldest.key]
