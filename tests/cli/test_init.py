"""The first minute: `harness init` gives something that works, and never overwrites anything."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.cli.conftest import Harness


def test_it_writes_a_scenario_and_a_system_and_says_what_comes_next(harness: Harness, tmp_path: Path) -> None:
    ended = harness("init", tmp_path / "demo")
    assert ended.code == 0
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {
        "scenario.yaml",
        "mailer.py",
        "Dockerfile",
    }
    assert "harness run scenario.yaml" in ended.out


def test_the_scenario_is_valid_as_it_is(harness: Harness, tmp_path: Path) -> None:
    harness("init", tmp_path / "demo")
    ended = harness("validate", tmp_path / "demo" / "scenario.yaml")
    assert ended.code == 0, ended.err


def test_the_system_is_short_and_needs_the_standard_library_only(harness: Harness, tmp_path: Path) -> None:
    harness("init", tmp_path / "demo")
    text = (tmp_path / "demo" / "mailer.py").read_text()
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else name.name).split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported == {"json", "os", "smtplib", "threading", "time", "email", "http", "urllib"}
    assert len(text.splitlines()) <= 90


def test_an_empty_folder_will_do(harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = harness("init", ".")
    assert ended.code == 0
    assert "cd " not in ended.out
    assert (tmp_path / "scenario.yaml").exists()


def test_a_folder_that_holds_anything_is_refused_and_left_alone(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ended = harness("init", tmp_path)
    assert ended.code == 2
    assert "is not empty" in ended.err
    assert "nothing was written" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_its_place_is_refused(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("")
    ended = harness("init", tmp_path / "demo")
    assert ended.code == 2
    assert "is a file" in ended.err


def test_a_folder_that_cannot_be_made_is_refused(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = harness("init", tmp_path / "file" / "demo")
    assert ended.code == 2
    assert "cannot write the starter" in ended.err
