"""`harness images`: what is here, how to have another one, made ready ahead; or a sentence why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import PINNED, Kind
from tests.cli.conftest import Harness
from tests.requires import NO_ENGINE, require_docker

docker = pytest.fixture(require_docker)

ABSENT = "registry.invalid/none:1"
STARTER = Path(__file__).resolve().parents[2] / "harness" / "cli" / "starter" / "scenario.yaml"


def test_each_image_is_listed_with_what_it_is_exactly_and_its_variable(
    docker: Engine, harness: Harness
) -> None:
    ended = harness("images", "list")
    assert ended.code == 0
    for kind, reference in PINNED.items():
        assert reference in ended.out
        assert kind.variable in ended.out
    assert "mail-failover-harness/provider:" in ended.out
    assert ended.out.count("sha256:") >= 4


def test_the_list_as_json_says_what_is_here_and_what_is_not(
    docker: Engine, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(Kind.MAILPIT.variable, ABSENT)
    rows = {row["name"]: row for row in json.loads(harness("images", "list", "--json").out)["images"]}
    assert set(rows) == {kind.value for kind in Kind}
    assert rows["toxiproxy"]["here"] is True
    assert rows["toxiproxy"]["id"].startswith("sha256:")
    assert rows["toxiproxy"]["size_bytes"] > 1_000_000
    assert (rows["mailpit"]["here"], rows["mailpit"]["image"], rows["mailpit"]["id"]) == (False, ABSENT, None)
    assert "not here" in harness("images", "list").out


def test_what_is_here_is_neither_pulled_nor_built_again(docker: Engine, harness: Harness) -> None:
    pulled = harness("images", "pull")
    assert pulled.code == 0
    assert pulled.err.count("is here") == len(PINNED)
    built = harness("images", "build")
    assert built.code == 0
    assert built.out.startswith("mail-failover-harness/provider:")
    assert built.err == ""


def test_an_image_that_no_registry_gives_is_exit_2(
    docker: Engine, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(Kind.TOXIPROXY.variable, ABSENT)
    ended = harness("images", "pull")
    assert ended.code == 2
    assert f"error: the image {ABSENT} is not on the Docker engine and cannot be pulled" in ended.err
    assert "do:" in ended.err


def test_a_run_that_cannot_have_its_images_is_exit_2_and_nothing_is_started(
    docker: Engine, harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(Kind.MAILPIT.variable, ABSENT)
    ended = harness("run", STARTER, "--on", "containers", "--out", tmp_path / "runs")
    assert ended.code == 2
    assert f"the image {ABSENT} is not on" in ended.err
    assert "nothing was started" in ended.err
    assert not list((tmp_path / "runs").glob("*"))


def test_a_run_with_neither_its_images_nor_containers_asked_for_is_local_and_says_why(
    docker: Engine, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(Kind.MAILPIT.variable, ABSENT)
    choice = json.loads(harness("doctor", "--json").out)["choice"]
    assert choice["testbed"] == "local"
    assert f"the image {ABSENT} is not on the Docker engine (`harness images pull`)" in choice["why"]


@pytest.mark.parametrize("subcommand", ["list", "pull", "build"])
def test_without_an_engine_each_is_exit_2_in_one_sentence(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, subcommand: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    ended = harness("images", subcommand)
    assert ended.code == 2
    assert f"there is no {NO_ENGINE}" in ended.err
    assert len(ended.err.splitlines()) == 2


@pytest.mark.parametrize("subcommand", ["list", "pull", "build"])
def test_each_explains_itself_with_examples(harness: Harness, subcommand: str) -> None:
    assert f"harness images {subcommand}" in harness("images", subcommand, "--help").out.split("Examples:")[1]
