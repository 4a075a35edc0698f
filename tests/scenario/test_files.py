"""Files that a scenario names: found beside it, and read without running anything of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario.errors import ScenarioError
from harness.scenario.loader import load_text
from tests.scenario.writing import changed

CALLER = changed(('http: "POST /messages"', "python: 'caller.py:submit'"))


def problem(folder: Path, text: str = CALLER) -> str:
    try:
        load_text(text, folder / "drill.yaml")
    except ScenarioError as error:
        (found,) = error.problems
        assert found.line == 16, "at its place in the scenario"
        return found.message + (f" (meant {found.meant})" if found.meant else "")
    return ""


@pytest.mark.parametrize(
    "text",
    [
        "def submit(message): ...",
        "async def submit(message): ...",
        "class submit: ...",
        "from elsewhere import send as submit",
        "submit = print",
        "submit: object = print",
        "try:\n    from a import submit\nexcept ImportError:\n    from b import submit",
        "if True:\n    def submit(message): ...",
    ],
)
def test_a_function_may_be_there_in_many_ways(tmp_path: Path, text: str):
    (tmp_path / "caller.py").write_text(text)
    assert problem(tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def sumbit(message): ...", "there is no `submit` in {file} (meant caller.py:sumbit)"),
        ("x = 1\ndef f():\n    def submit(message): ...", "there is no `submit` in {file}"),
        ("def submit(message):", "{file}, line 1 is not Python: expected an indented block"),
        ("a\0b", "{file} is not Python"),
    ],
)
def test_what_is_wrong_with_the_file_is_told(tmp_path: Path, text: str, said: str):
    (tmp_path / "caller.py").write_text(text)
    assert problem(tmp_path).startswith(said.format(file=tmp_path / "caller.py"))


def test_a_file_that_is_misspelt_is_guessed(tmp_path: Path):
    (tmp_path / "calller.py").write_text("def submit(message): ...")
    assert problem(tmp_path) == f"there is no file {tmp_path / 'caller.py'} (meant calller.py:submit)"


def test_certificates_must_be_there(tmp_path: Path):
    text = changed(('http: "POST /messages"', "smtp: '2525', starttls: true, ca: ca.pem"))
    assert problem(tmp_path, text) == f"there is no file {tmp_path / 'ca.pem'}"
    (tmp_path / "ca.pem").write_text("")
    assert problem(tmp_path, text) == ""


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode())))
def test_no_content_of_a_file_is_a_surprise(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    folder = tmp_path_factory.mktemp("any")
    (folder / "caller.py").write_bytes(content)
    problem(folder)
