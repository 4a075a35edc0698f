"""Whether signals can be heard at all: a system elsewhere has no log here, and who posts must know where to.

Works on the data as written, as references.py does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.scenario.document import Document, lookup
from harness.scenario.errors import Problem
from harness.scenario.templates import texts_in


def tellable(document: Document) -> Iterator[Problem]:
    """Each signal that could never be heard."""
    signals, external = (lookup(document.data, ("system", key)) for key in ("signals", "external"))
    for name, signal in signals.items() if isinstance(signals, dict) else ():
        if not isinstance(signal, dict):
            continue
        if external is not None and "log" in signal and "file" not in signal:
            yield document.problem(
                ("system", "signals", name, "log"),
                "the log of a system that runs already is not here",
                advice="Say where it is: `file: /var/log/…`.",
            )
        webhook = signal.get("webhook")
        if isinstance(webhook, str) and not _is_told(document, webhook):
            address = f"webhooks.{webhook}" if webhook.isidentifier() else f"webhooks['{webhook}']"
            yield document.problem(
                ("system", "signals", name, "webhook"),
                "nothing tells the system where to post this",
                advice=f'Give it the address, such as `env: {{ALERTS_URL: "{{{{ {address} }}}}"}}`.',
            )


def _is_told(document: Document, webhook: str) -> bool:
    """Whether a template of the system has the address."""
    mentioned = re.compile(rf"\bwebhooks\W{{1,3}}{re.escape(webhook)}\b")
    system = lookup(document.data, ("system",))
    return any(mentioned.search(text) for _, text in texts_in(system, ("system",)))
