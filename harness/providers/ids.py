"""Identifiers that a real provider draws at random, drawn here from the seed.

Each stream of identifiers is named, so that adding one to a preset does not change the others.
"""

from __future__ import annotations

import hashlib
from collections import Counter


class SeededIds:
    def __init__(self, seed: int, provider: str) -> None:
        self._prefix = f"{seed}/{provider}/"
        self._drawn: Counter[str] = Counter()

    def next_hex(self, stream: str, digits: int) -> str:
        """The next identifier of `stream`: `digits` (at most 64) hexadecimal digits, lower case."""
        self._drawn[stream] += 1
        key = f"{self._prefix}{stream}/{self._drawn[stream]}"
        return hashlib.sha256(key.encode()).hexdigest()[:digits]

    def fixed_hex(self, stream: str, digits: int) -> str:
        """An identifier that stays the same for the life of the provider, such as a host's number."""
        return hashlib.sha256(f"{self._prefix}{stream}".encode()).hexdigest()[:digits]


def uuid_of(*key: str) -> str:
    """A UUID that depends on the key and nothing else."""
    digits = hashlib.sha256("\0".join(key).encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"8{digits[17:20]}", digits[20:32]))


def fraction(seed: int, *key: str) -> float:
    """A number in [0, 1) that depends on the seed and the key and nothing else."""
    digest = hashlib.sha256("\0".join([str(seed), *key]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
