"""What is on the engine is removed by label only where it is this user's and its harness is dead."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness.testbed.containers.engine import Engine
from harness.testbed.containers.leftovers import leftovers
from tests.testbed.containers.labelled import Labelled

DEAD = {"pid": 2**22 + 1}  # more than a pid can be


@pytest.fixture(params=["dead", "pid given to another", "alive", "somebody else's"])
def left(request: pytest.FixtureRequest, docker: Engine) -> Iterator[tuple[str, Labelled]]:
    of = {
        "dead": DEAD,
        "pid given to another": {"pid": os.getpid(), "started_s": 1.0},
        "alive": {},
        "somebody else's": {"owner": "1000@elsewhere", **DEAD},
    }[request.param]
    with Labelled(docker, **of) as run:
        network = run.network()
        run.container(network=network)
        run.container(network=network)
        yield request.param, run


def test_only_a_dead_run_s_objects_of_one_s_own_are_to_be_removed(
    docker: Engine, left: tuple[str, Labelled]
) -> None:
    whose, run = left
    (found,) = [each for each in leftovers(docker) if each.marker == run.marker]
    assert str(found) == "2 containers, 1 network of a-run"
    assert found.is_ours_to_remove == (whose in ("dead", "pid given to another"))
    assert not found.is_kept
