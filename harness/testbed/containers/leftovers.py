"""What runs have left on a Docker engine, by whose it is: ours to remove, a living run's, somebody else's.

By labels alone, so that it is found even where the run's folder, and its ledger with it, is gone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from docker.errors import DockerException
from requests.exceptions import RequestException

from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine, EngineMissing
from harness.testbed.containers.reaper import Kind, Thing, look, short
from harness.testbed.resources import same_process


@dataclass(frozen=True)
class Leftover:
    """One run's objects on the engine."""

    marker: str
    run: str
    owner: str
    is_mine: bool
    is_alive: bool
    is_kept: bool
    things: tuple[Thing, ...]

    @property
    def is_ours_to_remove(self) -> bool:
        return self.is_mine and not self.is_alive

    def __str__(self) -> str:
        counts = [(kind, sum(each.kind is kind for each in self.things)) for kind in Kind]
        return ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts if n) + f" of {self.run}"


def leftovers(engine: Engine) -> list[Leftover]:
    """Every run that has something on this engine, whoever's it is. Raises EngineMissing."""
    try:
        found = look(engine.client.api, names.RUN)
    except (DockerException, RequestException) as error:
        raise EngineMissing(
            f"the Docker engine at {engine.host} stopped answering: {short(error)}", "try again"
        ) from error
    by_run: dict[str, list[Thing]] = defaultdict(list)
    for thing in found:
        by_run[thing.labels[names.RUN]].append(thing)
    return [_leftover(marker, things) for marker, things in sorted(by_run.items())]


def _leftover(marker: str, things: list[Thing]) -> Leftover:
    labels = things[0].labels
    owner = labels.get(names.OWNER, "")
    is_mine = owner == names.owner()
    return Leftover(
        marker=marker,
        run=labels.get(names.NAME, marker),
        owner=owner,
        is_mine=is_mine,
        # A pid means something only to who counts the same ones.
        is_alive=is_mine and _is_at_work(labels),
        # A network is labelled so in every run, for the container that may be kept on it.
        is_kept=any(thing.is_to_be_kept for thing in things if thing.kind is Kind.CONTAINER),
        things=tuple(things),
    )


def _is_at_work(labels: dict[str, str]) -> bool:
    """Labels that cannot be read are not ours, and what is not known to be dead is left alone."""
    try:
        pid, started_at = int(labels[names.PID]), float(labels[names.STARTED])
    except (KeyError, ValueError):
        return True
    return same_process(pid, started_at) is not None
