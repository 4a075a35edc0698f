"""The DNS of a run, read from its zone file: the only DNS that is ever asked.

What is not in the file does not exist. Libraries that would ask a resolver are given this one
(`instead_of_dns`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.exception
import dns.rdatatype
import dns.zone
import spf


class Zone:
    """TXT and other records by name."""

    def __init__(self, text: str) -> None:
        """Raises ValueError where the text is no master file."""
        try:
            self._zone = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
        except Exception as error:
            raise ValueError(f"not a zone file: {error}") from error

    @classmethod
    def read(cls, path: Path) -> Zone:
        """Raises OSError, ValueError."""
        return cls(path.read_text(encoding="ascii"))

    def records(self, name: str, kind: str) -> list[Any]:
        """None for what cannot be a name, such as one with a label of 64 letters: mail may name any."""
        try:
            found = self._zone.get_rdataset(name, dns.rdatatype.from_text(kind))
        except dns.exception.DNSException:
            return []
        return [] if found is None else list(found)

    def texts(self, name: str) -> list[str]:
        """The TXT records of a name, each joined from its strings."""
        return [b"".join(record.strings).decode("ascii") for record in self.records(name, "TXT")]

    def text(self, name: str | bytes, timeout: float = 0) -> str | None:
        """The first of them, as authheaders and dkimpy ask for it."""
        return next(iter(self.texts(name.decode("ascii") if isinstance(name, bytes) else name)), None)

    def keys(self) -> Iterator[tuple[str, str]]:
        """(name of a DKIM key, its public part)."""
        for name in self._zone.nodes:
            whole = name.to_text(omit_final_dot=True)
            if "._domainkey." in whole:
                for text in self.texts(whole):
                    yield whole, public_part(text)

    @contextmanager
    def instead_of_dns(self) -> Iterator[None]:
        """As long as it lasts, pyspf's questions come here."""
        usual = spf.DNSLookup
        spf.DNSLookup = self._for_spf
        try:
            yield
        finally:
            spf.DNSLookup = usual

    def _for_spf(
        self, name: str, kind: str, strict: object = True, timeout: float = 0
    ) -> list[tuple[tuple[str, str], Any]]:
        read: dict[str, Callable[[Any], Any]] = {
            "A": lambda record: record.address,
            "AAAA": lambda record: record.address,
            "MX": lambda record: (record.preference, record.exchange.to_text()),
            "PTR": lambda record: record.target.to_text(omit_final_dot=True),
            "TXT": lambda record: record.strings,
        }
        if kind not in read:
            return []
        return [((name, kind), read[kind](record)) for record in self.records(name, kind)]


def public_part(record: str) -> str:
    """`p=` of a key record; empty where it is revoked or no key."""
    tags = (tag.partition("=") for tag in record.split(";"))
    return next(("".join(value.split()) for name, _, value in tags if name.strip() == "p"), "")
