"""The plain submission server, with STARTTLS: in a run it shows the run's certificate, or a flawed one."""

from __future__ import annotations

from dataclasses import replace

from harness.providers.presets import smtp

PRESET = replace(
    smtp.PRESET,
    name="smtp-starttls",
    summary="Plain SMTP submission under STARTTLS: optional AUTH (PLAIN, LOGIN)",
    scheme="smtp+starttls",
    tls_required=True,
)
