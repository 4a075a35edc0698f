"""Chance for the embedded proxy: every draw is a keyed hash of the seed and of what is being drawn for.

A stream of random numbers would hand out different numbers as soon as two connections swap their order of
waking. A draw that depends only on its key (proxy, connection, toxic, how many-th draw) gives the same
connection the same fate in every run with the same seed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draws:
    """A source of draws; `path` is the part of the key that its owner has fixed."""

    seed: int
    path: tuple[str | int, ...] = ()

    def at(self, *keys: str | int) -> Draws:
        """A source of its own below this one, for one connection or one toxic."""
        return Draws(self.seed, (*self.path, *keys))

    def fraction(self, *keys: str | int) -> float:
        """A number in [0, 1), the same for the same seed and key."""
        text = repr((self.seed, *self.path, *keys)).encode()
        return (int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 11) / 2**53

    def between(self, low: int, high: int, *keys: str | int) -> int:
        """An integer in [low, high); `low` where the range is empty."""
        return low + int(self.fraction(*keys) * max(0, high - low))
