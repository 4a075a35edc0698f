"""Where an engine answers: what `--on auto` takes, what it says of a missing image, what is made ready."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.testbed.containers import images
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import Kind
from harness.testbed.containers.prepare import NEEDED, ensure_images, find_images
from harness.testbed.discover import NotAvailable, choose, discover

ABSENT = "registry.invalid/none:1"


def test_containers_are_taken_where_the_engine_and_all_images_are(docker: Engine) -> None:
    choice = choose()
    assert (choice.testbed, choice.proxy) == ("containers", "toxiproxy")
    assert docker.version in choice.why


def test_the_embedded_proxy_means_the_local_testbed(docker: Engine) -> None:
    assert choose(proxy="embedded").testbed == "local"


def test_containers_need_no_mailpit_on_this_machine(
    docker: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("HARNESS_TOOLS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert choose(mailpit=True).testbed == "containers"


@pytest.mark.parametrize("kind", [Kind.TOXIPROXY, Kind.PROVIDER])
def test_auto_is_local_where_an_image_is_missing_and_says_which(
    docker: Engine, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    monkeypatch.setenv(kind.variable, ABSENT)
    choice = choose()
    assert choice.testbed == "local"
    assert (
        f"not in containers: the {'provider ' * (kind is Kind.PROVIDER)}image {ABSENT} is not on"
        in choice.why
    )


def test_auto_is_local_where_the_provider_image_is_not_built_and_says_how(
    docker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.testbed.containers.build.find_provider", lambda _: None)
    assert "the provider image is not built (`harness images build`)" in choose().why


def test_containers_that_were_asked_for_are_taken_and_the_images_made_ready_then(
    docker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(Kind.MAILPIT.variable, ABSENT)
    assert choose(on="containers").testbed == "containers"
    said = Console(file=io.StringIO())
    with pytest.raises(
        NotAvailable, match=rf"the image {ABSENT} is not on .* and cannot be pulled:"
    ) as refused:
        ensure_images(said)
    assert "docker load" in refused.value.do


def test_images_that_are_there_are_left_alone(docker: Engine) -> None:
    output = io.StringIO()
    ready = ensure_images(Console(file=output))
    assert set(ready) == set(NEEDED)
    assert output.getvalue() == ""


def test_an_image_goes_by_the_name_in_the_environment(
    docker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "mailpit.invalid/by-another-name:1"
    docker.client.images.get(images.PINNED[Kind.MAILPIT]).tag(other)
    try:
        monkeypatch.setenv(Kind.MAILPIT.variable, other)
        found = find_images(docker)[Kind.MAILPIT]
        assert found is not None
        assert found.reference == other
    finally:
        with contextlib.suppress(Exception):
            docker.client.images.remove(other)


def test_the_doctor_lists_the_engine_and_each_image(docker: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(Kind.TOXIPROXY.variable, ABSENT)
    found = {one.name: one for one in discover()}
    assert found["docker engine"].version == f"{docker.version}, API {docker.api_version}"
    assert found["image provider"].here
    assert not found["image toxiproxy"].here
    assert "`harness images pull`" in found["image toxiproxy"].note
