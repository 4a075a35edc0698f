"""However a run in containers ends, no container, network or volume of it is left ten seconds later."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.testbed.resources import standing
from tests.conduct.ending_runs import DEADLINE_S, Ended
from tests.conduct.test_endings import flat
from tests.testbed.containers.own_engine import OwnEngine
from tests.testbed.containers.places import Place, place_for_runs
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HEALED_WITHIN_S = 10.0
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with place_for_runs() as place:
        before = place.objects()
        yield place
        if place.own is not None:
            assert place.objects() == before


MOMENTS: dict[str, str] = {
    # name: what its history says then
    "setting up": '"phase":"setup"',
    "starting the system": '"change":"started"',
    "in the baseline": '"phase":"baseline"',
    "with a fault on": '"kind":"fault.acted"',
    "healing": '"phase":"heal"',
    "draining": '"phase":"drain"',
    "tearing down": '"phase":"teardown"',
}


@pytest.fixture(scope="module")
def killed(place: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Ended, float]]:
    """One run for each moment, two at a time, and how long after the kill something was there."""
    folder = tmp_path_factory.mktemp("killed")

    def kill_one(name: str) -> tuple[Ended, float]:
        running = place.harness(folder / name.replace(" ", "-"))
        running.until(MOMENTS[name])
        if name == "setting up":
            assert running.folder is not None
            run_dir = running.folder
            wait_until(lambda: any(e.startswith("container") for e in place.left_of(run_dir)), DEADLINE_S)
        running.send(signal.SIGKILL)
        began = time.monotonic()
        run = running.end()
        wait_until(lambda: not place.left_of(run.dir), DEADLINE_S)
        return run, time.monotonic() - began

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(MOMENTS, pool.map(kill_one, MOMENTS), strict=True))


class TestKillingTheHarness:
    @pytest.mark.parametrize("moment", MOMENTS)
    def test_leaves_nothing_ten_seconds_later(
        self, killed: dict[str, tuple[Ended, float]], place: Place, moment: str
    ) -> None:
        run, took_s = killed[moment]
        assert run.code == -signal.SIGKILL
        assert took_s < HEALED_WITHIN_S
        assert place.left_of(run.dir) == []
        assert run.left_over() == []
        wait_until(lambda: standing(run.dir).is_clean)
        assert (run.dir / "watchdog.json").exists()


def test_killing_the_harness_while_compose_brings_the_system_up_leaves_nothing(
    place: Place, tmp_path: Path
) -> None:
    """Compose is a program of its own and goes on without the harness."""
    running = place.harness(tmp_path / "out", ROOT / "scenarios" / "compose.yaml")
    running.until('"phase":"setup"')
    assert running.folder is not None
    run_dir = running.folder
    wait_until(lambda: any(each.startswith("volume") for each in place.left_of(run_dir)), DEADLINE_S)
    running.send(signal.SIGKILL)
    running.end()
    wait_until(lambda: standing(run_dir).is_clean, HEALED_WITHIN_S)
    assert place.left_of(run_dir) == []


class TestAnInterruption:
    @pytest.mark.parametrize(
        ("moment", "number"),
        [
            ("setting up", signal.SIGINT),
            ("with a fault on", signal.SIGINT),
            ("draining", signal.SIGTERM),
        ],
    )
    def test_ends_with_130_and_leaves_nothing(
        self, place: Place, tmp_path: Path, moment: str, number: signal.Signals
    ) -> None:
        running = place.harness(tmp_path / "out")
        running.until(MOMENTS[moment])
        running.send(number)
        run = running.end()
        assert run.code == 130, run.said
        assert_nothing_left(place, run)


def test_two_runs_side_by_side_do_not_meet(place: Place, tmp_path: Path) -> None:
    both = [place.harness(tmp_path / name) for name in ("one", "two")]
    for running in both:
        run = running.end()
        assert run.code == 0, run.said
        assert_nothing_left(place, run)


ENDS_AT_ONCE = 'ENTRYPOINT ["/bin/sh", "-c", "echo the last words of the image; exit 7"]'


@pytest.fixture
def image_that_ends_at_once(place: Place) -> Iterator[str]:
    name = "mfh-test-ends-at-once:latest"
    made = place.docker("create", place.provider_image)
    place.docker("commit", "--change", ENDS_AT_ONCE, made, name)
    place.docker("rm", made)
    yield name
    place.docker("rmi", name)


class TestATestbedThatIsHalfStarted:
    def test_by_an_image_that_ends_at_once_says_so_and_is_torn_down(
        self, place: Place, tmp_path: Path, image_that_ends_at_once: str
    ) -> None:
        run = place.harness(tmp_path / "out", HARNESS_IMAGE_MAILPIT=image_that_ends_at_once).end()
        assert run.code == 70, run.said
        assert "ended with code 7 before it was ready: the last words of the image" in flat(run.said)
        assert_nothing_left(place, run)


@pytest.fixture
def own(place: Place) -> Iterator[OwnEngine]:
    """To be stopped and started."""
    if place.own is None:
        pytest.skip("only an engine of the test's own may be stopped")
    yield place.own
    if not place.own.is_running:
        place.own.start()


class TestAnEngine:
    def test_that_is_restarted_in_a_run_is_our_failure(
        self, place: Place, own: OwnEngine, tmp_path: Path
    ) -> None:
        running = place.harness(tmp_path / "out")
        running.until(MOMENTS["with a fault on"])
        own.stop()
        own.start()
        run = running.end()
        assert run.code in (6, 70), run.said
        assert "the Docker engine" in run.detail()
        if run.code == 6:
            assert f"When it answers again: harness heal {run.dir}" in run.detail()
            assert place.heal(run.dir).returncode == 0
        assert_nothing_left(place, run)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_that_ends_in_a_run_and_stays_away_is_6_with_the_command_that_cleans(
        self, place: Place, own: OwnEngine, tmp_path: Path, number: signal.Signals
    ) -> None:
        running = place.harness(tmp_path / "out")
        running.until(MOMENTS["with a fault on"])
        own.stop(number)
        run = running.end()
        assert run.code == 6, run.said
        assert f"When it answers again: harness heal {run.dir}" in run.detail()
        own.start()
        healed = place.heal(run.dir)
        assert healed.returncode == 0, healed.stderr
        assert_nothing_left(place, run)


def assert_nothing_left(place: Place, run: Ended) -> None:
    assert place.left_of(run.dir) == []
    assert run.left_over() == []
    assert standing(run.dir).is_clean
