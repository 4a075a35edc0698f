"""One message as its receiver's server would judge it: DKIM, SPF, DMARC, ARC and one-click unsubscribe.

By dkimpy, pyspf and authheaders, which take what they would ask DNS from a zone. Each signature is verified,
not the first alone, and as of the time when the message was delivered: one that has expired since stays good.
DMARC's record and organisational domain are authheaders' to find (RFC 7489); the comparison is made here,
since that library cuts a domain off at its first hyphen, and knows no reserved suffix.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from functools import lru_cache

import dkim
import spf
from authheaders.dmarc_lookup import DMARCException, get_org_domain, lookup_receiver_record
from dkim.util import InvalidTagValueList, parse_tag_value

from harness.checks.mail.clock import as_of
from harness.checks.mail.zone import Zone, public_part

PASS = "pass"
_HTTPS = re.compile(r"<\s*https://[^>]+>")
_ONE_CLICK = "list-unsubscribe=one-click"
UNSUBSCRIBE = ("list-unsubscribe", "list-unsubscribe-post")
_SILENT = logging.getLogger("harness.checks.mail")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


@dataclass(frozen=True)
class Signature:
    """One DKIM signature. `wrong` is empty where it is valid."""

    domain: str
    selector: str
    key: str
    """The public key that the zone has for it."""
    covers: frozenset[str]
    wrong: str = ""


@dataclass(frozen=True)
class Verified:
    """What one message proves. Each text but `author` is `pass`, or says what is wrong."""

    author: str
    """The domain in From."""
    signatures: tuple[Signature, ...]
    dkim: str
    spf: str
    dmarc: str
    arc: str
    one_click: str
    aligned: tuple[Signature, ...]
    """Valid signatures of the author's domain."""


class Verifier:
    """Verifies against one zone."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._spf: Callable[[str, str], str] = lru_cache(maxsize=10_000)(self._ask_spf)
        self._policy: Callable[[str], dict[str, str]] = lru_cache(maxsize=1_000)(self._ask_policy)

    def verify(self, message: bytes, mail_from: str, egress: str, wall_s: float) -> Verified:
        """`wall_s`: when it was delivered, in seconds since 1970."""
        headers = BytesHeaderParser().parsebytes(message)
        author = _author(headers)
        with as_of(wall_s), self._zone.instead_of_dns():
            signatures = tuple(self._signatures(message, wall_s))
            said_spf = self._spf(mail_from, egress)
            arc = self._arc(message)
        policy = self._policy(author) if author else {}
        aligned = tuple(
            each
            for each in signatures
            if not each.wrong and is_aligned(author, each.domain, policy.get("adkim", "r"))
        )
        by_spf = said_spf == PASS and is_aligned(author, _domain(mail_from), policy.get("aspf", "r"))
        return Verified(
            author=author,
            signatures=signatures,
            dkim=_best(signatures),
            spf=said_spf,
            dmarc=_dmarc(author, policy, bool(aligned) or by_spf, signatures, _domain(mail_from)),
            arc=arc,
            one_click=_unsubscribes(headers, aligned),
            aligned=aligned,
        )

    def _signatures(self, message: bytes, wall_s: float) -> Iterator[Signature]:
        try:
            found = dkim.DKIM(message, logger=_SILENT)
        except Exception as error:  # noqa: BLE001  the library has an exception of its own for some of these only
            yield Signature("", "", "", frozenset(), f"the header cannot be read ({error})")
            return
        count = sum(1 for name, _ in found.headers if name.lower() == b"dkim-signature")
        for index in range(count):
            try:
                good = bool(found.verify(idx=index, dnsfunc=self._zone.text))
                wrong = "" if good else "the signature does not match the header fields"
            except dkim.DKIMException as error:
                wrong = _in_words(str(error))
            except Exception as error:  # noqa: BLE001  a signature that makes the library itself stumble
                wrong = f"it cannot be read ({type(error).__name__}: {error})"
            yield self._described(found, index, wrong, wall_s)

    def _described(self, found: dkim.DKIM, index: int, wrong: str, wall_s: float) -> Signature:
        fields = [value for name, value in found.headers if name.lower() == b"dkim-signature"]
        try:
            tags = {name.decode(): value.decode() for name, value in parse_tag_value(fields[index]).items()}
        except (InvalidTagValueList, UnicodeDecodeError):
            return Signature("", "", "", frozenset(), "the signature cannot be read")
        domain, selector = tags.get("d", "").lower(), tags.get("s", "").lower()
        name = f"{selector}._domainkey.{domain}"
        records = self._zone.texts(name)
        key = public_part(records[0]) if records else ""
        expires = tags.get("x", "")
        if not records:
            wrong = f"{name} is not in the zone"
        elif not key:
            wrong = f"the key {name} is revoked"
        elif not wrong and expires.isdigit() and int(expires) < wall_s:
            wrong = f"it expired {wall_s - int(expires):.0f} s before the delivery"
        covers = frozenset(each.strip().lower() for each in tags.get("h", "").split(":"))
        return Signature(domain, selector, key, covers, wrong)

    def _ask_spf(self, mail_from: str, egress: str) -> str:
        """Within `instead_of_dns`."""
        domain = _domain(mail_from)
        if not domain:
            return "there is no return path"
        result, _ = spf.check2(i=egress, s=mail_from, h=domain, querytime=0)
        if result == PASS:
            return PASS
        why = {
            "fail": f"SPF of {domain} does not allow {egress}",
            "none": f"{domain} has no SPF record",
        }
        return why.get(str(result), f"SPF of {domain} says {result} to {egress}")

    def _ask_policy(self, author: str) -> dict[str, str]:
        """The DMARC record that holds for a domain; empty where there is none."""
        try:
            record = lookup_receiver_record(author, self._zone.text) or lookup_receiver_record(
                organisation(author), self._zone.text
            )
        except DMARCException:
            return {}
        return dict(record) if record and record.get("p") else {}

    def _arc(self, message: bytes) -> str:
        try:
            status, _, why = dkim.ARC(message, logger=_SILENT).verify(dnsfunc=self._zone.text)
        except Exception as error:  # noqa: BLE001  a chain that makes the library itself stumble is no chain
            return f"the ARC chain cannot be read ({type(error).__name__}: {error})"
        if status == dkim.CV_Pass:
            return PASS
        return "there is no ARC seal" if status == dkim.CV_None else f"the ARC chain is broken: {why}"


def is_aligned(author: str, domain: str, mode: str) -> bool:
    """RFC 7489, 3.1: the same domain (`s`), or one organisation's (`r`)."""
    return bool(author) and (
        author == domain or (mode != "s" and organisation(author) == organisation(domain))
    )


@lru_cache(maxsize=1_000)
def organisation(domain: str) -> str:
    """The organisational domain, by the list of public suffixes; reading that takes 30 ms each time.

    A suffix that is not on the list, such as `.example`, falls under its rule `*`: the domain has two labels.
    authheaders takes one, by which every domain of a drill would be one organisation.
    """
    found = str(get_org_domain(domain))
    return found if "." in found else ".".join(domain.split(".")[-2:])


def _in_words(said: str) -> str:
    if said.startswith("body hash mismatch"):
        return "the body was changed after it was signed"
    if said.startswith("x= value is past"):
        return "it had expired before the delivery"
    return said


def _best(signatures: tuple[Signature, ...]) -> str:
    if not signatures:
        return "there is no DKIM signature"
    if any(not each.wrong for each in signatures):
        return PASS
    first = signatures[0]
    return f"signature of {first.domain}: {first.wrong}" if first.domain else first.wrong


def _author(headers: Message) -> str:
    """The domain in From; empty where there is none, or more than one (RFC 7489, 6.6.1)."""
    fields = [str(field) for field in headers.get_all("From") or []]
    domains = {_domain(address) for _, address in getaddresses(fields) if "@" in address}
    return domains.pop() if len(fields) == len(domains) == 1 else ""


def _dmarc(
    author: str, policy: dict[str, str], aligned: bool, signatures: tuple[Signature, ...], return_path: str
) -> str:
    if not author:
        return "From does not name one domain"
    if not policy:
        return f"{author} publishes no DMARC policy"
    if aligned:
        return PASS
    signers = ", ".join(dict.fromkeys(each.domain for each in signatures if not each.wrong)) or "nobody"
    return f"from {author}, validly signed by {signers}, return path of {return_path or 'nobody'}"


def _unsubscribes(headers: Message, aligned: tuple[Signature, ...]) -> str:
    """RFC 8058: an https address, the word One-Click, and a valid signature that covers both fields."""
    if not _HTTPS.search(str(headers.get("List-Unsubscribe", ""))):
        return "there is no https address in List-Unsubscribe"
    if str(headers.get("List-Unsubscribe-Post", "")).strip().lower() != _ONE_CLICK:
        return "there is no List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    if not any(each.covers.issuperset(UNSUBSCRIBE) for each in aligned):
        return "no valid signature of the author's domain covers List-Unsubscribe and List-Unsubscribe-Post"
    return PASS


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
