"""The documents tell the truth: their commands run, their scenarios load, their tables are complete.

A console block runs line by line in a folder that looks like a clone with one stored run. What takes long is
marked `covered by: make shows`, and must then be one of those shows, with the same exit code.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ruamel.yaml import YAML

from harness.checks import CHECKS
from harness.cli.app import SECTIONS
from harness.cli.markdown import BLOCKS, rewritten
from harness.conduct.judge import ExitCode
from harness.providers import presets
from harness.scenario.faults import KINDS
from harness.scenario.loader import load, load_text
from harness.scenario.sequences import library
from harness.scenario.signals import SOURCES
from tests import shows
from tests.requires import NO_ENGINE, require_docker, require_tool

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
STARTER = "harness init demo && cd demo && harness run scenario.yaml"
NOT_RUN = {"changes the shell that runs it", "asks registries", "removes images of other versions"}
PART_OF = "part of: "

docker = pytest.fixture(require_docker)

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^>]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_NEEDS_DOCKER = re.compile("--on containers|harness images|docker ")
_EXIT = re.compile(r"\s+# exit (\d+)$")


@dataclass(frozen=True)
class Block:
    document: str
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.text.splitlines()[0][:50] if self.text else ''}"


@dataclass(frozen=True)
class Command:
    """One line of a console block, and the exit code that it is said to have."""

    line: str
    exit_code: int
    mark: str
    document: str

    def __str__(self) -> str:
        return f"{self.document}: {self.line}"


def blocks(language: str) -> list[Block]:
    return [
        Block(str(document.relative_to(ROOT)), found["language"], found["mark"] or "", found["text"])
        for document in DOCUMENTS
        for found in _BLOCK.finditer(document.read_text(encoding="utf-8"))
        if found["language"] == language
    ]


def commands() -> list[Command]:
    found = []
    for block in blocks("console"):
        for line in block.text.splitlines():
            assert line.startswith("$ "), f"{block}: only commands stand in a console block"
            exit_ = _EXIT.search(line)
            text = _EXIT.sub("", line.removeprefix("$ "))
            found.append(Command(text, int(exit_[1]) if exit_ else 0, block.mark, block.document))
    return found


PARTS = [each for each in blocks("yaml") + blocks("python") if each.mark.startswith(PART_OF)]
RUN_HERE = [each for each in commands() if not each.mark]


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scenarios and systems, and one stored run: the starter's, made as README says."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("scenarios", "fixtures"):
        (folder / name).symlink_to(ROOT / name)
    done = shell(STARTER, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(folder / "demo" / "reports", folder / "reports")
    return folder


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if not _NEEDS_DOCKER.search(line):
        env["DOCKER_HOST"] = NO_ENGINE
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.e2e
@pytest.mark.parametrize("command", RUN_HERE, ids=str)
def test_a_command_does_what_the_document_says(
    command: Command, clone: Path, request: pytest.FixtureRequest
) -> None:
    if _NEEDS_DOCKER.search(command.line):
        request.getfixturevalue("docker")
    if "jq" in command.line:
        require_tool("jq")
    if "--proxy toxiproxy" in command.line:
        require_tool("toxiproxy-server")
    if command.line == STARTER:
        return  # the clone's own run
    done = shell(command.line, clone)
    assert done.returncode == command.exit_code, done.stdout + done.stderr


def test_the_starter_is_in_the_readme() -> None:
    assert any(each.line == STARTER and each.document == "README.md" for each in RUN_HERE)


@pytest.mark.parametrize("command", [each for each in commands() if each.mark], ids=str)
def test_a_command_that_is_not_run_here_is_a_show_or_says_why(command: Command) -> None:
    kind, _, reason = command.mark.partition(": ")
    if kind == "not run":
        assert reason in NOT_RUN
        return
    assert command.mark == "covered by: make shows"
    program, *arguments = shlex.split(command.line.removeprefix(".venv/bin/"))
    promised = {(*_as_typed(show), show.exit_code) for show in shows.shows()}
    assert (program, *arguments, command.exit_code) in promised


def _as_typed(show: shows.Show) -> tuple[str, ...]:
    """A show's command as a document writes it."""
    words = [word for word in show.command if word not in ("--json", "--no-print-directory", "-m")]
    words = words[1:] if Path(words[0]).name == "python" else words
    return (Path(words[0]).name, *words[1:])


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_scenario_or_a_part_of_one_is_valid(block: Block) -> None:
    yaml = YAML()
    part = yaml.load(block.text)
    if block.mark.startswith(PART_OF):
        load(ROOT / block.mark.removeprefix(PART_OF))
        return
    if block.mark:
        assert block.mark.startswith("parsed only: ")
        return
    text = block.text
    if "scenario" not in part:
        whole = yaml.load((ROOT / shows.DEMO).read_text())
        whole.update(part)
        stream = StringIO()
        yaml.dump(whole, stream)
        text = stream.getvalue()
    load_text(text, ROOT / "scenarios" / "from-the-document.yaml")


@pytest.mark.parametrize("block", PARTS, ids=str)
def test_a_part_of_a_file_stands_in_it_word_for_word(block: Block) -> None:
    assert block.text in (ROOT / block.mark.removeprefix(PART_OF)).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.document, "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_pictures_lead_to_something(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_picture_is_told_in_words() -> None:
    for document in DOCUMENTS:
        for words in re.findall(r"!\[([^\]]*)\]\(", document.read_text(encoding="utf-8")):
            assert len(words) > 40, document


@pytest.mark.parametrize(
    "drawing", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.stem
)
def test_a_drawing_has_its_words_as_words_and_can_be_read_in_the_dark(drawing: Path) -> None:
    root = ElementTree.parse(drawing).getroot()
    svg = "{http://www.w3.org/2000/svg}"
    for part in ("title", "desc"):
        assert root.findtext(f"{svg}{part}")
    assert len(root.findall(f"{svg}text")) > 10
    assert "prefers-color-scheme: dark" in (root.findtext(f"{svg}style") or "")
    assert root.get("viewBox")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(
        r"(?:`|^\$ |^)make ([a-z]+)", document.read_text(encoding="utf-8"), re.MULTILINE
    ):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(
    "document", ["docs/faults.md", "docs/providers.md", "docs/clients.md", "docs/checks.md"]
)
def test_the_tables_are_those_of_the_code(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert text == rewritten(text), f"{document} is not what the code says: run `make docs`"


def test_every_table_stands_somewhere() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert set(re.findall(r"<!-- table: ([\w-]+) -->", pages)) == set(BLOCKS)


def first_column(document: str, heading: str) -> set[str]:
    """The words in back-quotes of a table's first column; `heading` is that column's."""
    found: set[str] = set()
    inside = False
    for line in (ROOT / document).read_text(encoding="utf-8").splitlines():
        cell = line.split("|")[1].strip() if line.startswith("|") else None
        if cell is None:
            inside = False
        elif cell == heading:
            inside = True
        elif inside:
            found |= {word.split()[0] for word in re.findall(r"`([^`]+)`", cell)}
    return found


def test_the_command_line_s_page_names_every_command() -> None:
    assert first_column("docs/cli.md", "command") == {name for each in SECTIONS.values() for name in each}


def test_the_faults_page_names_every_fault() -> None:
    assert first_column("docs/faults.md", "`fault:`") == set(KINDS)


def test_the_faults_page_names_every_sequence() -> None:
    assert first_column("docs/faults.md", "`sequence:`") == set(library.names())


def test_the_providers_page_names_every_fake() -> None:
    assert first_column("docs/providers.md", "`fake:`") == set(presets.names())


def test_the_format_s_page_names_every_check() -> None:
    assert first_column("docs/scenario-format.md", "check") == set(CHECKS)


def test_the_format_s_page_names_every_source_of_signals() -> None:
    assert first_column("docs/scenario-format.md", "source") == set(SOURCES)


def test_the_readme_names_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(code) for code in rows} == {int(code) for code in ExitCode}


def test_the_readme_names_every_scenario() -> None:
    named = set(re.findall(r"\(scenarios/([\w-]+\.yaml)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named == {path.name for path in (ROOT / "scenarios").glob("*.yaml")}


def test_a_page_for_users_names_every_scenario_of_a_system() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    for path in (ROOT / "scenarios" / "systems").glob("*.yaml"):
        assert f"(../scenarios/systems/{path.name})" in pages


def test_the_architecture_says_why_of_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [
        each for extra in ("mailpit", "pytest", "sql") for each in project["optional-dependencies"][extra]
    ]
    names = {re.split(r"[<>=\[ ]", each)[0] for each in wanted}
    table = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## Why each dependency")[1]
    assert names <= set(re.findall(r"[\w.-]+", table))


def test_the_lock_names_no_index() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()
