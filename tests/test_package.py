"""What people install is whole: the wheel carries every file that the code reads, and no tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    target = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
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


def test_the_provider_image_can_be_built_from_it(wheel: list[str]) -> None:
    assert "harness/testbed/containers/provider.Dockerfile" in wheel


def test_nothing_else_is(wheel: list[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"harness", "mail_failover_harness"}


def test_the_licence_is(wheel: list[str]) -> None:
    assert any(name.endswith("LICENSE") for name in wheel)
