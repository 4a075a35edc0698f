"""The provider image: it starts every provider, as nobody, and holds nothing that a provider does without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.providers.presets import names
from harness.testbed.containers import build, images
from harness.testbed.containers.build_context import _IMPORTS, pins, recipe
from harness.testbed.containers.build_wheels import Target, _platforms, target_of, wheels
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import PINNED, Image, Kind
from harness.testbed.containers.prepare import run_images
from harness.testbed.discover import NotAvailable
from tests.testbed.containers.labelled import output

IMPORT_ALL = """
import pkgutil, sys, httpx, harness.providers.__main__
import harness.providers as providers
for module in pkgutil.walk_packages(providers.__path__, "harness.providers."):
    if module.name != "harness.providers.mailpit":  # the harness's own reader of Mailpit
        __import__(module.name)
print(*sorted(sys.modules))
"""


@pytest.fixture
def image(docker: Engine) -> Image:
    return run_images(docker)[Kind.PROVIDER]


def inside(docker: Engine, image: Image, *command: str) -> str:
    return output(docker, image.id, *command)


def test_it_imports_all_that_a_provider_imports_and_nothing_that_it_does_without(
    docker: Engine, image: Image
) -> None:
    modules = set(inside(docker, image, "python", "-c", IMPORT_ALL).split())
    assert {f"harness.providers.presets.{name.replace('-', '_')}" for name in names()} <= modules
    assert not {"duckdb", "rich", "ruamel", "docker", "testcontainers", "psutil", "trustme"} & modules


def test_the_packages_in_it_are_those_that_were_tested_here(docker: Engine, image: Image) -> None:
    listed = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    there = inside(docker, image, "python", "-c", listed)
    for pin in pins():
        assert pin.replace("-", "_") in there.replace("-", "_")
    assert "duckdb" not in there


def test_it_runs_as_nobody_and_may_write_where_its_journal_goes_alone(docker: Engine, image: Image) -> None:
    tried = inside(
        docker,
        image,
        "sh",
        "-c",
        "id -u; touch /harness/journal && echo yes; touch /opt/harness/x || echo no",
    )
    assert tried.split() == ["65532", "yes", "no"]


def test_what_it_imports_is_compiled_already(docker: Engine, image: Image) -> None:
    uncompiled = (
        "import os, sys, harness.providers.__main__\n"
        "ours = [m for n, m in sys.modules.items() if n.startswith('harness')]\n"
        "print([m.__name__ for m in ours if not os.path.exists(m.__cached__)])"
    )
    assert inside(docker, image, "python", "-c", uncompiled).strip() == "[]"


def test_without_a_configuration_it_says_which_file_it_wants(docker: Engine, image: Image) -> None:
    container = docker.client.containers.run(image.id, network_mode="none", detach=True)
    try:
        assert container.wait(timeout=30)["StatusCode"] == 2
        assert b"/harness/config.json" in container.logs()
    finally:
        container.remove(force=True)


def test_the_same_content_is_the_same_image_and_is_not_built_again(docker: Engine, image: Image) -> None:
    said: list[str] = []
    assert build.build_provider(docker, said.append).id == image.id
    assert said == []


def test_another_file_version_or_base_is_another_image() -> None:
    same = recipe("base", "sha256:1")
    assert same.tag == recipe("base", "sha256:1").tag
    others = [
        recipe("base", "sha256:2"),
        type(same)("base", "sha256:1", same.dockerfile + b"#", same.package, same.pins),
        type(same)("base", "sha256:1", same.dockerfile, same.package | {"harness/x.py": b""}, same.pins),
        type(same)("base", "sha256:1", same.dockerfile, same.package, same.pins[1:]),
    ]
    assert len({same.tag, *(other.tag for other in others)}) == 5


def test_the_files_that_go_in_are_those_that_a_provider_process_imports() -> None:
    listed = "import sys; [__import__(name) for name in sys.argv[1:]]; print(*sys.modules)"
    presets = [f"harness.providers.presets.{name.replace('-', '_')}" for name in names()]
    done = subprocess.run(
        [sys.executable, "-c", listed, "harness.providers.__main__", *presets],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {name for name in done.stdout.split() if name.split(".")[0] == "harness"}
    package = set(recipe("base", "id").package)
    for module in imported:
        path = module.replace(".", "/")
        assert {f"{path}.py", f"{path}/__init__.py"} & package, module


def test_the_wheels_are_pinned_down_to_the_last_requirement() -> None:
    named = {pin.partition("==")[0] for pin in pins()}
    assert {"aiosmtpd", "pydantic-core", "anyio", "idna", "cryptography"} <= named
    assert not {"duckdb", "rich", "pip", "uvloop"} & named
    with pytest.raises(LookupError, match="no-such-package is not installed"):
        pins([*_IMPORTS, "no-such-package"])


def test_a_base_is_asked_for_its_own_python(docker: Engine) -> None:
    target = target_of(docker, images.pinned(Kind.PYTHON))
    assert target.python.startswith("3.")
    assert any(platform.startswith(("manylinux", "musllinux")) for platform in target.platforms)


def test_a_base_without_python_is_refused_and_nothing_is_left(docker: Engine) -> None:
    before = set(docker.client.containers.list(all=True, filters={"ancestor": PINNED[Kind.TOXIPROXY]}))
    with pytest.raises(NotAvailable, match="cannot say which Python it has") as refused:
        target_of(docker, images.pinned(Kind.TOXIPROXY))
    assert "HARNESS_IMAGE_PYTHON" in refused.value.do
    made = set(docker.client.containers.list(all=True, filters={"ancestor": PINNED[Kind.TOXIPROXY]})) - before
    assert not [container for container in made if not container.labels]


def test_an_absent_base_is_refused(docker: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_IMAGE_PYTHON", "registry.invalid/python:none")
    with pytest.raises(
        NotAvailable, match=r"its base registry\.invalid/python:none is not on the Docker engine"
    ):
        build.provider_recipe(docker)
    assert build.find_provider(docker) is None


def test_a_build_that_fails_says_so_with_the_engine_s_last_lines(docker: Engine) -> None:
    good = build.provider_recipe(docker)
    broken = type(good)(good.base, good.base_id, b"ARG BASE\nFROM $BASE\nRUN echo mist; false\n", {}, ())
    with pytest.raises(NotAvailable, match=r"(?s)last lines:.*mist.*non-zero code: 1"):
        build._build(docker, broken, broken.context([]), lambda _: None)


@pytest.mark.parametrize(
    ("libc", "version", "newest", "oldest"),
    [
        ("glibc", "2.36", "manylinux_2_36_x86_64", "manylinux1_x86_64"),
        ("", "", "musllinux_1_2_x86_64", "musllinux_1_1_x86_64"),
    ],
)
def test_wheels_for_an_older_c_library_will_do(libc: str, version: str, newest: str, oldest: str) -> None:
    platforms = _platforms("x86_64", libc, version)
    assert (platforms[0], platforms[-1]) == (newest, oldest)


def test_where_no_index_answers_pip_s_own_words_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(NotAvailable, match=r"cannot be fetched for Python 3\.11: .*h11==0\.16\.0") as refused:
        wheels(["h11==0.16.0"], Target("3.11", ("manylinux_2_36_x86_64",), has_pip=True))
    assert "HARNESS_IMAGE_PROVIDER" in refused.value.do


def test_what_is_in_the_cache_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    target = Target("3.11", ("manylinux_2_36_x86_64",), has_pip=False)
    folder = tmp_path / "mail-failover-harness" / "wheels" / "cp311-manylinux_2_36_x86_64"
    folder.mkdir(parents=True)
    for name in ("typing_extensions-4.16.0", "pip-25.0"):
        (folder / f"{name}-py3-none-any.whl").touch()
    found = wheels(["typing-extensions==4.16.0"], target)
    assert [wheel.name.split("-")[0] for wheel in found] == ["typing_extensions", "pip"]


def test_the_history_gets_what_exactly_was_run(docker: Engine, image: Image) -> None:
    told = json.loads(json.dumps(image.as_json()))
    assert told["id"].startswith("sha256:")
    assert told["image"] == image.reference
