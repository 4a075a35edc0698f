"""Help is quick, complete, and never a traceback."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest

from harness.cli.app import SECTIONS
from tests.cli.conftest import Harness

COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


def command_of(name: str) -> click.Command:
    command = importlib.import_module(COMMANDS[name].module).command
    assert isinstance(command, click.Command)
    return command


def test_help_lists_every_command_with_its_summary(harness: Harness) -> None:
    ended = harness("--help")
    assert ended.code == 0
    for name, entry in COMMANDS.items():
        assert f"{name} " in ended.out
        assert entry.summary in ended.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_with_examples(harness: Harness, name: str) -> None:
    ended = harness(name, "--help")
    assert ended.code == 0
    assert "Examples:" in ended.out
    assert f"harness {name}" in ended.out.split("Examples:")[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_in_the_list_is_the_first_line_of_the_command_s_own_help(name: str) -> None:
    assert (command_of(name).help or "").splitlines()[0] == COMMANDS[name].summary


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom harness.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pydantic', 'duckdb', 'httpx', 'msgspec', 'rich', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_importing_the_pytest_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, harness.pytest_plugin\n"
        "print(sorted({'pydantic', 'duckdb', 'httpx', 'msgspec', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("typed", "meant"), [("runn", "'run'"), ("doktor", "'doctor'"), ("xyz", "--help")])
def test_a_mistyped_command_is_exit_2_with_what_was_meant(harness: Harness, typed: str, meant: str) -> None:
    ended = harness(typed)
    assert ended.code == 2
    assert f"There is no command '{typed}'" in ended.err
    assert meant in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "x.yaml", "--on", "moon"),
        ("run", "x.yaml", "--repeat", "0"),
        ("plan", "a.yaml", "b.yaml"),
        ("plan", "a.yaml", "--lanes", "--json"),
        ("query", "last", "select 1", "--csv", "--json"),
        ("check", "last", "--expect", "mttd=1s", "--expect-from", "a.yaml"),
        ("check", "last", "--expect", "mttd"),
        ("heal", "some-run", "--all"),
        ("provider", "smtp", "--limit", "connections=many"),
        ("proxy", "--port", "99999"),
        ("--nonsense",),
    ],
)
def test_a_wrong_command_line_is_exit_2_without_a_traceback(
    harness: Harness, arguments: tuple[str, ...]
) -> None:
    ended = harness(*arguments)
    assert ended.code == 2
    assert "Error: " in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


def test_version(harness: Harness) -> None:
    ended = harness("--version")
    assert ended.code == 0
    assert ended.out.startswith("harness ")
