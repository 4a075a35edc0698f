"""A container that dies unbidden is noticed with its last words; one that was to die is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.testbed.containers.engine import Engine
from harness.testbed.containers.events import ContainerWatch
from tests.testbed.containers.labelled import Labelled
from tests.waiting import wait_until


@pytest.fixture
def run(docker: Engine) -> Iterator[Labelled]:
    with Labelled(docker) as run:
        yield run


@pytest.fixture
def watch(docker: Engine, run: Labelled) -> Iterator[ContainerWatch]:
    watch = ContainerWatch(docker, run.marker)
    watch.start()
    yield watch
    watch.stop()


def is_over(run: Labelled, watch: ContainerWatch) -> None:
    """Until the watch has seen everything that has happened by now: a marked death after all others."""
    seen: list[int] = []
    watch.leave("end of the test", seen.append)
    run.kill(run.container(part="end of the test"))
    wait_until(lambda: seen == [137])


def test_while_all_is_well_nothing_is_lost(run: Labelled, watch: ContainerWatch) -> None:
    run.container()
    is_over(run, watch)
    assert watch.lost() is None


def test_one_that_dies_is_named_with_how_it_ended_and_its_last_words(
    run: Labelled, watch: ContainerWatch
) -> None:
    container = run.container(command=["-nonsense"])
    wait_until(lambda: watch.lost() is not None)
    lost = watch.lost() or ""
    assert lost.startswith(f"the container {run.name_of(container)} exited with code 2:\n  ")
    assert "flag provided but not defined: -nonsense" in lost


def test_one_that_is_killed_from_outside_is_told_so(run: Labelled, watch: ContainerWatch) -> None:
    run.kill(run.container())
    wait_until(lambda: watch.lost() is not None)
    assert "was killed by SIGKILL" in (watch.lost() or "")


def test_the_death_that_was_announced_is_expected_and_the_next_is_not(
    run: Labelled, watch: ContainerWatch
) -> None:
    container = run.container()
    watch.announce(container)
    run.kill(container)
    run.start(container)
    is_over(run, watch)
    assert watch.lost() is None
    run.kill(container)
    wait_until(lambda: watch.lost() is not None)


def test_what_was_announced_and_withdrawn_is_not_expected(run: Labelled, watch: ContainerWatch) -> None:
    container = run.container()
    watch.announce(container)
    watch.withdraw(container)
    run.kill(container)
    wait_until(lambda: watch.lost() is not None)


def test_a_pause_is_no_death(run: Labelled, watch: ContainerWatch) -> None:
    run.container(state="paused")
    is_over(run, watch)
    assert watch.lost() is None


def test_in_the_tear_down_everything_may_end(run: Labelled, watch: ContainerWatch) -> None:
    container = run.container()
    watch.expect_all()
    run.kill(container)
    is_over(run, watch)
    assert watch.lost() is None


def test_another_run_s_containers_are_not_its_concern(
    docker: Engine, run: Labelled, watch: ContainerWatch
) -> None:
    with Labelled(docker) as other:
        other.kill(other.container())
        is_over(run, watch)
    assert watch.lost() is None


def test_a_watch_that_was_stopped_lets_go_at_once_and_has_lost_nothing(
    run: Labelled, watch: ContainerWatch
) -> None:
    watch.stop()
    watch.stop()
    run.kill(run.container())
    assert watch.lost() is None
