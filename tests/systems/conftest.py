"""Two stub providers and a router's configuration that points to them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

SYSTEMS = Path(__file__).resolve().parents[2] / "fixtures" / "systems"
sys.path.insert(0, str(SYSTEMS))  # systems under test are run by path, never installed

from mailrouter.config import Config, endpoint  # noqa: E402

from tests.ports import free_port  # noqa: E402
from tests.systems.stubs import SendGridStub, SmtpStub, TwilioStub  # noqa: E402


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpStub]:
    stub = SmtpStub()
    await stub.start()
    yield stub
    await stub.stop()


@pytest.fixture
async def api() -> AsyncIterator[SendGridStub]:
    stub = SendGridStub()
    await stub.start()
    yield stub
    await stub.stop()


@pytest.fixture
async def sms() -> AsyncIterator[TwilioStub]:
    stub = TwilioStub()
    await stub.start()
    yield stub
    await stub.stop()


@pytest.fixture
def config(smtp: SmtpStub, api: SendGridStub, tmp_path: Path) -> Config:
    """SMTP first, SendGrid behind it, and times ten to twenty times shorter than an operator would choose."""
    return Config(
        primary=endpoint(smtp.url),
        backup=endpoint(api.url),
        state_dir=tmp_path / "state",
        port=free_port(),
        detect_after_s=0.3,
        failback_after_s=0.3,
        probe_every_s=0.06,
        send_timeout_s=1.0,
        max_retry_s=0.2,
    )
