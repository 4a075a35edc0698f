"""The log of a system's containers has all that they wrote, to the last words of one that ended at once."""

from __future__ import annotations

import time
from pathlib import Path

from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.system_log import follow

TIMES = 30  # one that only follows misses the last words in one of ten


def test_the_last_words_are_in_it_each_time(docker: Engine, tmp_path: Path) -> None:
    for number in range(TIMES):
        began_s, log = time.time(), tmp_path / str(number)
        container = docker.client.containers.create(
            PINNED[Kind.PYTHON], ["sh", "-c", "echo up; printf 'out of luck' >&2"], network_mode="none"
        )
        try:
            container.start()
            follow(docker.host, log, began_s, {container.id: "web | "})
        finally:
            container.remove(force=True)
        assert log.read_text() == "web | up\nweb | out of luck\n"
