"""How mail is handed to the system under test, as its callers do: HTTP, SMTP, a command, a Python function.

Values of `body` are templates that know the message; those of the others know the run's addresses, and
`command` knows both.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from harness.checks.units import NS_PER_S
from harness.scenario.part import Address, Command, Length, Part, Text, exactly_one, wrong

DOORS = ("http", "smtp", "command", "python")
_ONLY_SMTP = ("username", "password", "starttls", "ca", "connections")
_HTTP = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S*)")
_SMTP = re.compile(r"(?:(?:[^\s:\[\]{}]+|\{\{[^{}:]*\}\}):)?(\d{1,5}|\{\{\s*[\w.-]+\.port\s*\}\})")
_PYTHON = re.compile(r"[^:]+\.py:[A-Za-z_]\w*")
_LONGEST_NS = 60 * NS_PER_S


def _request(line: str) -> str:
    if not _HTTP.fullmatch(line):
        raise ValueError(f"must be a method and a path, such as `POST /messages`; got `{line}`")
    return line


def _address(text: str) -> str:
    match = _SMTP.fullmatch(text)
    if match is None or (match[1].isdecimal() and not 1 <= int(match[1]) <= 65535):
        raise ValueError(
            f"must be a port, or host and port, such as `{{{{ system.port }}}}` or `127.0.0.1:2525`; "
            f"got `{text}`"
        )
    return text


def _function(text: str) -> str:
    if not _PYTHON.fullmatch(text):
        raise ValueError(f"must be a file and a function in it, such as `caller.py:submit`; got `{text}`")
    return text


def _patient(ns: int) -> int:
    if ns > _LONGEST_NS:
        raise ValueError("must be 60s or less")
    return ns


def _post(line: str) -> str:
    if not re.fullmatch(r"POST (/\S*)", line):
        raise ValueError(f"must be `POST` and a path, such as `POST /events/sendgrid`; got `{line}`")
    return line


def method_and_path(request: str) -> tuple[str, str]:
    method, _, path = request.partition(" ")
    return method, path


HttpRequest = Annotated[str, AfterValidator(_request)]
HttpPost = Annotated[str, AfterValidator(_post)]


class Submit(Part):
    """How mail is handed to the system, as its callers do: exactly one of http, smtp, command, python."""

    model_config = exactly_one(*DOORS)

    http: HttpRequest | None = None
    """Method and path, such as `POST /messages`."""
    smtp: Annotated[str, AfterValidator(_address)] | None = None
    """Port, or host and port; `{{ system.port }}` is the system's own."""
    command: Command | None = None
    """A command that is run for each message, with the message, or `body`, on its standard input."""
    python: Annotated[str, AfterValidator(_function)] | None = None
    """`file.py:function`, called with each message; the file is relative to the scenario's."""
    body: dict[str, Any] | None = None
    """The JSON that a message becomes, with templates; by default to, from, subject, text, class, headers."""
    from_: Annotated[Address, Field(alias="from")] = "no-reply@shop.example"
    """The sender."""
    username: Text | None = None
    """For SMTP AUTH."""
    password: Text | None = None
    """For SMTP AUTH."""
    starttls: bool = False
    """SMTP: STARTTLS before the first message."""
    ca: Text | None = None
    """SMTP: the certificates to trust, relative to the scenario file; without it none is verified."""
    connections: Literal["each", "kept"] = "each"
    """SMTP: a connection for each message, or some that are kept."""
    timeout: Annotated[Length, AfterValidator(_patient)] = 5 * NS_PER_S
    """How long the system may take to answer; after that nobody knows whether it took the message."""

    @model_validator(mode="after")
    def _one_door(self) -> Submit:
        said = [door for door in DOORS if getattr(self, door) is not None]
        if len(said) > 1:
            raise wrong(f"`{said[0]}` and `{said[1]}` are two ways in; keep one", key=said[1])
        if not said:
            raise wrong(
                f"the way in is missing: one of {', '.join(f'`{door}`' for door in DOORS)}",
                advice='Write for example `submit: {http: "POST /messages"}`.',
            )
        if self.smtp is None:
            for key in _ONLY_SMTP:
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise wrong(f"`{key}` goes with `smtp`", key=key)
        elif self.body is not None:
            raise wrong("`body` is JSON, and by SMTP a message is submitted as it is", key="body")
        if (self.username is None) != (self.password is None):
            key = "username" if self.username is not None else "password"
            raise wrong("`username` and `password` go together", key=key)
        if self.ca is not None and not self.starttls:
            raise wrong("`ca` goes with `starttls: true`", key="ca")
        return self

    @property
    def request(self) -> tuple[str, str] | None:
        """Method and path of `http`."""
        return None if self.http is None else method_and_path(self.http)

    @property
    def function(self) -> tuple[str, str] | None:
        """File and function of `python`."""
        if self.python is None:
            return None
        file, _, function = self.python.rpartition(":")
        return file, function
