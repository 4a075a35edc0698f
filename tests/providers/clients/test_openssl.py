"""`openssl s_client -starttls smtp` against `harness provider`, as people look at a mail server."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.foreground import foreground, port_after
from tests.requires import require_tool


@pytest.mark.parametrize("name", ["microsoft365-smtp", "smtp-starttls", "inbound-mx"])
def test_a_session_over_starttls_with_the_authority_of_the_banner(name: str, tmp_path: Path) -> None:
    openssl = require_tool("openssl")
    with foreground("provider", name, "--dir", str(tmp_path)) as provider:
        banner = provider.until("Every attempt")
        trust = re.search(r"trust\s+(\S+)", banner)
        assert trust is not None
        command = [openssl, "s_client", "-starttls", "smtp", "-crlf", "-quiet", "-verify_return_error"]
        command += ["-connect", f"127.0.0.1:{port_after('listens', banner)}"]
        command += ["-verify_ip", "127.0.0.1", "-CAfile", trust[1]]
        lines = ["EHLO client.example"]
        if login := re.search(r"login\s+(\S+) / (\S+)", banner):
            lines += ["AUTH LOGIN", *(base64.b64encode(word.encode()).decode() for word in login.groups())]
        lines += ["MAIL FROM:<s@sender.example>", "RCPT TO:<c.me@customer.example>"]
        lines += ["DATA", "Subject: hi", "", "hello", ".", "QUIT", ""]
        done = subprocess.run(
            command, input="\n".join(lines), capture_output=True, text=True, timeout=60, check=True
        )
        codes = re.findall(r"^(\d{3}) ", done.stdout, re.MULTILINE)
        logged_in = ["334", "334", "235"] if login else []
        # -quiet shows the end of the first EHLO, which openssl said by itself.
        assert codes[-len(logged_in) - 6 :] == ["250", *logged_in, "250", "250", "354", "250", "221"]
        assert "accepted" in provider.until("c.me@customer.example")
        assert provider.interrupt() == 0
