"""Arguments of MAIL FROM and RCPT TO: an address and its parameters (RFC 5321 4.1.2, leniently).

Lenient where real providers are: spaces after the colon, missing angle brackets, source routes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_PATH = re.compile(
    r"""\s*(?:
        <\s*(?:@[^<>:\s]+:)?(?P<angle>(?:"(?:[^"\\]|\\.)*"|[^<>"\s])*)\s*>
        | (?P<bare>[^<>\s]+)
    )(?P<parameters>(?:\s+\S+)*)\s*""",
    re.VERBOSE,
)
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:=[\x21-\x3c\x3e-\x7e]+|=[^\x00-\x20\x7f=]+)?")


class Path(msgspec.Struct, frozen=True, kw_only=True):
    address: str  # "" is the null sender
    parameters: Mapping[str, str]  # names in upper case


class BadAddress(Exception):
    pass


class BadSyntax(Exception):
    pass


def parse_path(argument: str, keyword: str) -> Path:
    """Parse what follows MAIL or RCPT; `keyword` is FROM or TO. Raises BadSyntax or BadAddress."""
    name, colon, rest = argument.partition(":")
    if not colon or name.strip().upper() != keyword:
        raise BadSyntax
    match = _PATH.fullmatch(rest)
    if match is None:
        raise BadAddress
    address = match["bare"] if match["bare"] is not None else match["angle"]
    if not _acceptable(address, null_allowed=keyword == "FROM" and match["bare"] is None):
        raise BadAddress
    parameters = {}
    for word in match["parameters"].split():
        if not _PARAMETER.fullmatch(word):
            raise BadSyntax
        parameter, _, value = word.partition("=")
        parameters[parameter.upper()] = value
    return Path(address=address, parameters=parameters)


def _acceptable(address: str, *, null_allowed: bool) -> bool:
    if not address:
        return null_allowed
    local, at, domain = address.rpartition("@")
    if not at:
        return address.lower() == "postmaster"
    return bool(local and domain) and address.isprintable() and len(address) <= 320
