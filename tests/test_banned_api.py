"""What must run on a virtual clock may not know another: the linter refuses it, in every such folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BANNED = """
import os
import random
import threading
import time
from datetime import datetime

NOW = datetime.now()
HOME = os.environ
"""


def refused(name: str) -> set[str]:
    """The lines of BANNED that ruff refuses in a file of that name."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "concise"]
    done = subprocess.run(
        [*command, "--stdin-filename", name, "-"],
        input=BANNED,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {line.split(":")[1] for line in done.stdout.splitlines() if "TID251" in line}


@pytest.mark.parametrize(
    "name",
    [
        "harness/providers/ledger.py",
        "harness/providers/smtp/engine.py",
        "harness/providers/http/engine.py",
        "harness/providers/presets/new.py",
        "harness/testbed/proxy/embedded.py",
        "harness/testbed/proxy/embedded_toxics.py",
        "fixtures/systems/mailrouter/router.py",
    ],
)
def test_other_clocks_chance_threads_and_environment_are_refused(name):
    assert refused(name) == {"3", "4", "5", "8", "9"}


def test_a_process_may_read_its_environment():
    assert refused("harness/providers/__main__.py") == set()
