"""Watch a run's containers by the engine's own events: which died unbidden, and whether the engine went away.

A thread reads the stream of events; nobody polls. What the harness itself is about to end (a fault, the
tear-down) is announced first, so that the death which follows is expected. `lost()` is what a testbed asks.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.reaper import short
from harness.testbed.processes import how_it_ended

LAST_LINES = 20
STOP_WAIT_S = 2.0

Told = Callable[[int], None]


class ContainerWatch:
    """From `start`, before the first container of the run is made, to `stop`."""

    def __init__(self, engine: Engine, marker: str) -> None:
        self._api = engine.client.api
        self._marker = marker
        self._announced: Counter[str] = Counter()
        self._others: dict[str, Told] = {}
        self._lost: str | None = None
        self._over = False
        self._stream: Any = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """From here on nothing is missed. Raises DockerException where the engine does not answer."""
        of = {"label": names.of_run(self._marker), "type": "container", "event": "die"}
        self._stream = self._api.events(filters=of, decode=True)
        self._thread = threading.Thread(target=self._watch, name="docker events", daemon=True)
        self._thread.start()

    def lost(self) -> str | None:
        """What ended unbidden, in words, or that the engine did; None while all is well."""
        return self._lost

    def announce(self, container: str) -> None:
        """The container of this id is about to be ended by us, once."""
        self._announced[container] += 1

    def withdraw(self, container: str) -> None:
        """What was announced did not come about: its next death is nobody's wish."""
        self._announced[container] = max(0, self._announced[container] - 1)

    def leave(self, part: str, told: Told) -> None:
        """Somebody else answers for this part: `told`, in the watching thread, of its exit code each time."""
        self._others[part] = told

    def expect_all(self) -> None:
        """The tear-down begins: whatever ends from here on was to end."""
        self._over = True

    def stop(self) -> None:
        """Let go of the engine; safe to call again, and where the watch was never started."""
        self._over = True
        if self._thread is None:
            return
        if self._thread.is_alive():
            # An engine reached by SSH cannot be let go of; the thread then ends with the process.
            with contextlib.suppress(DockerException, OSError, AttributeError):
                self._stream.close()
        self._thread.join(STOP_WAIT_S)

    def _watch(self) -> None:
        why = "its stream of events ended"
        try:
            for event in self._stream:
                self._died(event["Actor"]["ID"], event["Actor"]["Attributes"])
        except (DockerException, RequestException, ValueError, OSError) as error:
            why = short(error)
        if not self._over:
            self._lost = _engine_gone(why)

    def _died(self, container: str, attributes: dict[str, str]) -> None:
        code = int(attributes.get("exitCode", "0"))
        if (told := self._others.get(attributes.get(names.PART, ""))) is not None:
            told(code)
            return
        if self._over:
            return
        if self._announced[container] > 0:
            self._announced[container] -= 1
            return
        if self._lost is None:
            try:
                words = self._last_words(container)
            except RequestException as error:
                # It goes down itself, and takes its containers along.
                self._lost = _engine_gone(short(error))
                return
            ended = how_it_ended(code if code <= 128 else 128 - code)
            self._lost = f"the container {attributes.get('name', container[:12])} {ended}{words}"

    def _last_words(self, container: str) -> str:
        lines = list(self._log(container))
        return ":\n  " + "\n  ".join(lines) if lines else "; it wrote nothing"

    def _log(self, container: str) -> Iterator[str]:
        """Nothing where it is removed already: then how it ended must do."""
        with contextlib.suppress(DockerException):
            text: bytes = self._api.logs(container, tail=LAST_LINES)
            yield from (line[:500] for line in text.decode("utf-8", "replace").splitlines())


def _engine_gone(why: str) -> str:
    return f"the Docker engine went away, or was restarted: {why}"
