from __future__ import annotations

from typing import Any

from harness.checks.own import Looked
from harness.history.store import History


def late(history: History, run: str, params: dict[str, Any]) -> Looked:
    return Looked(counted=0)
