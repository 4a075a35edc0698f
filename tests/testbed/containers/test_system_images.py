"""A system's image made ready ahead: built as its context lies there, or found; refusals in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.scenario.loader import load_text
from harness.scenario.models import Scenario
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.system_compose import ensure_compose_images
from harness.testbed.containers.system_image import ensure_system_image
from harness.testbed.discover import NotAvailable
from tests.testbed.containers.labelled import output
from tests.testbed.local_bench import SCENARIO

PYTHON = PINNED[Kind.PYTHON]


def scenario(folder: Path, system: str) -> Scenario:
    before, _, rest = SCENARIO.partition("  process:")
    text = f"{before}  {system}\n{rest[rest.index('  submit:') :]}"
    return load_text(text, folder / "scenario.yaml")


def test_a_context_is_built_again_as_it_lies_there_now(docker: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        'ARG BASE\nFROM ${BASE}\nCOPY said.txt /\nCMD ["cat", "/said.txt"]\n'
    )
    (tmp_path / "said.txt").write_text("first")
    of_a_context = scenario(tmp_path, f"container: {{build: ., args: {{BASE: '{PYTHON}'}}}}")
    told: list[str] = []
    image = ensure_system_image(docker, of_a_context, told.append)
    try:
        assert output(docker, image) == "first"
        assert any(line.startswith("Step ") for line in told)
        (tmp_path / "said.txt").write_text("second")
        assert ensure_system_image(docker, of_a_context, told.append) == image
        assert output(docker, image) == "second"
    finally:
        docker.client.images.remove(image, force=True)


def test_an_image_that_is_there_is_taken_as_it_is(docker: Engine, tmp_path: Path) -> None:
    assert (
        ensure_system_image(docker, scenario(tmp_path, f"container: {{image: '{PYTHON}'}}"), print) == PYTHON
    )


def test_a_build_that_fails_shows_the_engines_last_words(docker: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {PYTHON}\nRUN echo no such luck && exit 7\n")
    with pytest.raises(NotAvailable, match="could not be built") as caught:
        ensure_system_image(docker, scenario(tmp_path, "container: {build: .}"), lambda _: None)
    assert "no such luck" in caught.value.what


def test_a_context_without_a_dockerfile_is_told(docker: Engine, tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match=f"there is no {tmp_path}/other/Dockerfile"):
        ensure_system_image(docker, scenario(tmp_path, "container: {build: other}"), lambda _: None)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (None, "there is no compose file"),
        ("services: {api: {image: x}}", "no service `web`; there are: api"),
        ("services: [", "compose failed"),
        ("services: {web: {image: x, network_mode: host}}", "past the proxies"),
        ("services: {web: {image: x}, primary: {image: x}}", "service `primary` is called"),
    ],
)
def test_a_compose_file_that_cannot_be_run_is_told_ahead(
    docker: Engine, tmp_path: Path, file: str | None, said: str
) -> None:
    if file is not None:
        (tmp_path / "compose.yaml").write_text(file)
    of_a_file = scenario(tmp_path, "compose: {file: compose.yaml, service: web}")
    with pytest.raises(NotAvailable, match=said):
        ensure_compose_images(docker, of_a_file, lambda _: None)


def test_without_the_compose_plugin_one_sentence_says_so(
    docker: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: x}}")
    of_a_file = scenario(tmp_path, "compose: {file: compose.yaml, service: web}")
    bare = tmp_path / "bin"
    bare.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(bare))
    monkeypatch.delenv("HARNESS_TOOLS", raising=False)
    with pytest.raises(NotAvailable, match="Docker's command line is not on PATH"):
        ensure_compose_images(docker, of_a_file, lambda _: None)
    (bare / "docker").write_text(
        "#!/bin/sh\necho \"docker: 'compose' is not a docker command.\" >&2\nexit 1\n"
    )
    (bare / "docker").chmod(0o755)
    with pytest.raises(NotAvailable, match="there is no compose plugin: docker: 'compose' is not"):
        ensure_compose_images(docker, of_a_file, lambda _: None)
