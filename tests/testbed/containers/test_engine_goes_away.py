"""An engine that ends, is killed or restarted in the middle of a run: noticed, and healed once it is back."""

from __future__ import annotations

import contextlib
import gc
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.testbed.containers.engine import Engine, connect
from harness.testbed.containers.events import ContainerWatch
from harness.testbed.heal import heal
from harness.testbed.resources import ResourceLedger, standing
from tests.testbed.containers.labelled import IMAGE, Labelled
from tests.testbed.containers.own_engine import OwnEngine, own_engine
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def leaky() -> Iterator[None]:
    """docker-py leaves a socket that did not connect to the garbage collector."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def own() -> Iterator[OwnEngine]:
    with own_engine([IMAGE]) as engine:
        yield engine


@pytest.fixture
def engine(own: OwnEngine) -> Iterator[Engine]:
    with contextlib.closing(connect(host=own.host)) as engine:
        yield engine


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_is_noticed_and_healed_when_it_is_back(
    own: OwnEngine, engine: Engine, tmp_path: Path, number: signal.Signals
) -> None:
    ledger = ResourceLedger(tmp_path, uuid.uuid4().hex)
    ledger.making_on_engine(engine.host)
    run = Labelled(engine, ledger.marker)
    watch = ContainerWatch(engine, run.marker)
    watch.start()
    run.container(network=run.network(), volume=run.volume())

    own.stop(number)
    wait_until(lambda: "the Docker engine went away, or was restarted" in (watch.lost() or ""))
    watch.stop()
    report = heal(tmp_path)
    assert "the Docker engine does not answer" in report.left[0]
    assert report.left[0].endswith(f"When it answers again: harness heal {tmp_path}")

    own.start()
    report = heal(tmp_path)
    assert report.ok, report.left
    assert [word.split()[0] for word in report.removed] == ["container", "network", "volume"]
    assert run.there() == []
    assert standing(tmp_path).is_clean
    ledger.close()
