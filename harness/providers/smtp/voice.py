"""How a preset speaks: its texts as data, and the names and numbers that fill them in.

Every text is a template that starts with its code. Fields: {frontend} and {mailbox} (host names of the
preset, with digits from the seed), {ip} (the client), {date} (RFC 5322), {iso}, {session} (one id per
connection), {message}, {number}, {uuid} with {milliseconds} (one id per message), {sender}, {domain} (of the
sender), {recipient}, {mechanism}, {wait} (hours, minutes and seconds). What is not known yet where a text is
used is left empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import format_datetime

from harness.providers.clock import Clock
from harness.providers.ids import SeededIds


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The defaults are plain; a preset overrides what its provider says differently."""

    greeting: str = "220 {frontend} ESMTP ready"
    hello: str = "{frontend} Hello [{ip}]"  # no code: the lines of EHLO follow
    start_tls: str = "220 2.0.0 Ready to start TLS"
    auth_ok: str = "235 2.7.0 Authentication successful"
    auth_refused: str = "535 5.7.8 Authentication credentials invalid"
    auth_unknown: str = "504 5.5.4 Unrecognized authentication type"
    auth_malformed: str = "501 5.5.2 Cannot decode the response"
    auth_cancelled: str = "501 5.7.0 Authentication cancelled"
    auth_again: str = "503 5.5.1 Already authenticated"
    auth_needed: str = "530 5.7.0 Authentication required"
    mail_ok: str = "250 2.1.0 Sender OK"
    rcpt_ok: str = "250 2.1.5 Recipient OK"
    go_ahead: str = "354 End data with <CR><LF>.<CR><LF>"
    chunk_ok: str = "250 2.0.0 Chunk received"
    accepted: str = "250 2.0.0 OK queued as {message}"
    reset: str = "250 2.0.0 OK"
    noop: str = "250 2.0.0 OK"
    verify: str = "252 2.1.5 Cannot verify, will take the message"
    help: str = "214 2.0.0 See RFC 5321"
    goodbye: str = "221 2.0.0 Bye"
    hello_first: str = "503 5.5.1 Send EHLO first"
    mail_first: str = "503 5.5.1 Need MAIL command"
    mail_nested: str = "503 5.5.1 Sender already specified"
    no_recipients: str = "554 5.5.1 No valid recipients"
    bad_chunks: str = "503 5.5.1 Bad sequence of DATA and BDAT"
    bad_address: str = "501 5.1.7 Invalid address"
    bad_syntax: str = "501 5.5.4 Invalid arguments"
    unknown_parameter: str = "555 5.5.4 Unsupported option"
    unknown_command: str = "500 5.3.3 Unrecognized command"
    line_too_long: str = "500 5.5.2 Line too long"
    too_many_recipients: str = "452 4.5.3 Too many recipients"
    too_big: str = "552 5.3.4 Message size exceeds fixed maximum message size"
    connections_exceeded: str = "432 4.3.2 Concurrent connections limit exceeded"
    throttled: str | None = None  # to what comes too fast for a throttle; None: it waits for its turn
    greylisted: str = "451 4.7.1 Greylisting in action, please come back in {wait}"
    quota_exceeded: str = "554 5.2.0 Recipient quota exceeded"
    internal_error: str = "451 4.3.0 Temporary failure in the provider itself"
    idle: str = "421 4.4.2 Connection timed out"
    stopping: str = "421 4.3.2 Service is shutting down"


class Voice:
    """The texts as one connection hears them."""

    def __init__(
        self, texts: Texts, hosts: dict[str, str], *, clock: Clock, ids: SeededIds, ip: str, session: str
    ) -> None:
        self.texts = texts
        self._clock = clock
        self._ids = ids
        unknown = dict.fromkeys(("sender", "domain", "recipient", "mechanism", "wait"), "")
        self._fields = {**unknown, **hosts, "ip": ip, "session": session}

    def say(self, template: str, **fields: str) -> str:
        """Fill in a template. What a client wrote may appear in it, so control characters are dropped."""
        if "{" not in template:
            return template
        if "{date}" in template or "{iso}" in template:
            wall = self._clock.wall()
            fields["date"] = format_datetime(wall)
            fields["iso"] = wall.strftime("%Y-%m-%dT%H:%M:%S.") + f"{wall.microsecond // 1000:03d}Z"
        if "{domain}" in template:
            fields["domain"] = fields.get("sender", "").rpartition("@")[2]
        if "{number}" in template:
            fields["number"] = str(int(self._ids.next_hex("number", 11), 16))
        if "{uuid}" in template:
            drawn = self._ids.next_hex("uuid", 32)
            fields["uuid"] = "-".join((drawn[:8], drawn[8:12], drawn[12:16], drawn[16:20], drawn[20:]))
            fields["milliseconds"] = f"{round(self._clock.wall().timestamp() * 1000):012x}"
        if "{message}" in template:
            fields["message"] = self._ids.next_hex("message", 32).upper()
        return template.format_map({**self._fields, **fields})


def seeded_hosts(patterns: dict[str, str], ids: SeededIds) -> dict[str, str]:
    """Host names with each run of `#` replaced by digits that depend on the seed alone."""
    hosts = {}
    for name, pattern in patterns.items():
        digits = str(int(ids.fixed_hex(f"host {name}", 15), 16))
        hosts[name] = "".join(
            digits[position % len(digits)] if character == "#" else character
            for position, character in enumerate(pattern)
        )
    return hosts
