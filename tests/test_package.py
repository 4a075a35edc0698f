"""What people install is whole: the wheel carries every file that the code reads, and no tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.testbed.containers.build_context import recipe

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture
def wheel(built: Path) -> list[str]:
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def test_every_file_of_the_package_is_in_the_wheel(wheel: list[str]) -> None:
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "harness").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours - set(wheel) == set()
    assert {"harness/cli/starter/mailer.py", "harness/cli/starter/scenario.yaml", "harness/py.typed"} <= ours


def test_the_provider_image_that_is_built_from_it_is_the_same(built: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(installed)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from harness.testbed.containers import build_context\n"
        "print(build_context.__file__, build_context.recipe('base', 'id').tag)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(installed)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    path, tag = done.stdout.split()
    assert path.startswith(str(installed))
    assert tag == recipe("base", "id").tag


def test_nothing_else_is(wheel: list[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"harness", "mail_failover_harness"}


def test_the_licence_is(wheel: list[str]) -> None:
    assert any(name.endswith("LICENSE") for name in wheel)
