"""The witness: what the inbox holds must be what the SMTP fakes say that they took, message by message.

The ledger is written by the same programs that answer the system, so a defect of ours could hide in both.
Mailpit is somebody else's: it counts what was really handed on. Each provider's hand-offs are compared with
the mail that names it, by token and recipient; what does not agree makes the run inconclusive.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history.events import HarnessWarning, WitnessCompared
from harness.history.journal import Journal
from harness.providers.mailpit_mail import MailpitApi, MailpitError, MailpitUnavailable, without_trace
from harness.providers.smtp.relay import Labels, read_labels
from harness.providers.tokens import identify, read_message, recipient_token
from harness.testbed.inbox import Inbox
from harness.testbed.provider.link import Handed, ProviderLink

WITNESS = "mailpit"
PAGE = 500
READ_WITHIN_S = 10.0
SHOWN = 5
STRANGERS = ""
"""Under this name is the mail that no provider relayed."""


@dataclass(frozen=True)
class Comparison:
    """One provider's hand-offs beside the mail that names it."""

    taken: int
    missing: Counter[Handed]  # taken, and not in the inbox
    surplus: Counter[Handed]  # in the inbox, and not taken

    @property
    def held(self) -> int:
        return self.taken - self.missing.total()

    @property
    def agrees(self) -> bool:
        return not self.missing and not self.surplus


def compare(taken: Counter[Handed], held: Counter[Handed]) -> Comparison:
    return Comparison(taken=taken.total(), missing=taken - held, surplus=held - taken)


class Witness:
    def __init__(self, inbox: Inbox, journal: Journal) -> None:
        self._inbox = inbox
        self._journal = journal

    async def testify(self, providers: Sequence[ProviderLink]) -> None:
        """Read the inbox and journal how it agrees; the providers' records are whole, and all is relayed."""
        if not providers:
            return
        try:
            held = await asyncio.to_thread(read_mail, self._inbox.base_url, [each.name for each in providers])
        except MailpitError as error:
            self._warn("witness-unreadable", WITNESS, f"at the end, {error}")
            return
        for provider in providers:
            self._tell(provider, compare(provider.handed_off, held[provider.name]))
        if strangers := held[STRANGERS]:
            detail = (
                f"Mailpit holds {_messages(strangers.total())} that no provider relayed: {_some(strangers)}"
            )
            self._warn("witness-disagrees", WITNESS, detail)

    def _tell(self, provider: ProviderLink, found: Comparison) -> None:
        self._journal.append(
            WitnessCompared(
                t_ns=self._journal.now_ns(),
                witness=WITNESS,
                provider=provider.name,
                taken=found.taken,
                held=found.held,
                surplus=found.surplus.total(),
            )
        )
        if found.agrees:
            return
        said = [f"Mailpit holds {found.held:,} of the {_messages(found.taken)} that {provider.name} took"]
        if found.missing:
            said.append(f"missing are {_some(found.missing)}")
        if found.surplus:
            said.append(
                f"it holds {_messages(found.surplus.total())} more than were taken: {_some(found.surplus)}"
            )
        if troubles := _troubles(provider.relayed):
            said.append(f"of the copies on their way to it {troubles}")
        self._warn("witness-disagrees", provider.name, "; ".join(said))

    def _warn(self, warning: str, subject: str, detail: str) -> None:
        self._journal.append(
            HarnessWarning(t_ns=self._journal.now_ns(), warning=warning, subject=subject, detail=detail)
        )


def read_mail(base_url: str, providers: Collection[str]) -> dict[str, Counter[Handed]]:
    """By provider, how often the inbox holds each (token, recipient). Blocks. Raises MailpitError."""
    found: dict[str, Counter[Handed]] = {name: Counter() for name in (*providers, STRANGERS)}
    deadline = time.monotonic() + READ_WITHIN_S
    api = MailpitApi(base_url)
    try:
        for listed in api.messages(PAGE):
            if time.monotonic() > deadline:
                raise MailpitUnavailable(
                    f"Mailpit took longer than {READ_WITHIN_S:g} s to tell what it holds"
                )
            provider, handed = _read(api, listed, providers)
            found[provider].update(handed)
    finally:
        api.close()
    return found


def _read(api: MailpitApi, listed: Mapping[str, Any], providers: Collection[str]) -> tuple[str, list[Handed]]:
    """Who relayed a message, and for whom."""
    tagged = [tag for tag in listed["Tags"] if tag in providers]
    named = {address.lower() for address in _addresses(listed)}
    if len(tagged) == len(named) == 1:
        # The list says it all: Mailpit adds to it whomever the envelope names beyond the headers.
        (recipient,) = named
        if (token := recipient_token(recipient)) is not None:
            return tagged[0], [(token, recipient)]
    content = without_trace(api.raw(listed["ID"]))
    labels = read_labels(content) or Labels(provider=STRANGERS, recipients=sorted(named)[:1], size=0)
    carried = read_message(content[labels.size :])
    who = labels.provider if labels.provider in providers else STRANGERS
    return who, [(identify(each, carried).token, each.lower()) for each in labels.recipients]


def _addresses(listed: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("To", "Cc", "Bcc"):
        for contact in listed[kind] or []:
            yield str(contact["Address"])


def _messages(number: int) -> str:
    return f"{number:,} message{'' if number == 1 else 's'}"


def _some(which: Counter[Handed]) -> str:
    shown = [
        f"{token or 'no token'} to {recipient}" for token, recipient in sorted(which.elements(), key=str)
    ]
    more = len(shown) - SHOWN
    return ", ".join(shown[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _troubles(relayed: Mapping[str, int]) -> str:
    return ", ".join(
        f"{relayed[what]:,} {what}" for what in ("failed", "dropped", "queued") if relayed.get(what)
    )
