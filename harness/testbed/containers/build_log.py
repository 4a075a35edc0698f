"""What the engine says while it builds an image: steps are progress, the last lines tell why it failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from harness.testbed.containers.images import Progress

LAST_LINES = 12
STEP_CHARACTERS = 60


def follow(answers: Iterable[dict[str, Any]], progress: Progress) -> str | None:
    """The last lines of a build that failed; None where it did not.

    Reads to the end after an error, too: a stream left half read is never closed.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    failed = False
    for answer in answers:
        for line in str(answer.get("stream", answer.get("error", ""))).splitlines():
            if line.strip():
                last.append(line.strip())
            if line.startswith("Step "):
                progress(line.strip()[:STEP_CHARACTERS])
        failed = failed or "error" in answer
    return "\n  ".join(last) if failed else None
