"""What is here, what would be used, and what a person is told where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.testbed.discover import NotAvailable, choose, discover, find_tool
from tests.cli.conftest import Harness
from tests.requires import NO_ENGINE

Install = Callable[[str, str], Path]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A machine with no programs at all and no Docker engine, and a way to put programs on its PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("HARNESS_TOOLS", raising=False)
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    monkeypatch.chdir(tmp_path)

    def install(name: str, prints: str) -> Path:
        program = tmp_path / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!{sys.executable}\nprint({prints!r})\n")
        program.chmod(0o755)
        return program

    return install


def test_where_nothing_is_installed_the_embedded_proxy_is_used(bare: Install) -> None:
    choice = choose()
    assert (choice.testbed, choice.proxy) == ("local", "embedded")
    assert "not here" in choice.why


def test_where_no_engine_answers_auto_says_why_it_is_local(bare: Install) -> None:
    why = choose().why
    assert f"not in containers: Docker is not installed: there is no {NO_ENGINE} (install Docker" in why


def test_toxiproxy_is_used_where_it_is(bare: Install) -> None:
    program = bare("bin/toxiproxy-server", "toxiproxy-server version 2.12.0")
    choice = choose()
    assert choice.proxy == "toxiproxy"
    assert str(program) in choice.why


def test_the_embedded_proxy_is_used_when_it_is_asked_for(bare: Install) -> None:
    bare("bin/toxiproxy-server", "")
    assert choose(proxy="embedded").proxy == "embedded"


def test_the_project_s_own_tools_come_before_path_and_named_ones_before_both(
    bare: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = bare("bin/mailpit", "")
    assert find_tool("mailpit") == on_path
    own = bare(".tools/mailpit", "")
    assert find_tool("mailpit") == own
    named = bare("elsewhere/mailpit", "")
    monkeypatch.setenv("HARNESS_TOOLS", str(tmp_path / "elsewhere"))
    assert find_tool("mailpit") == named


def test_toxiproxy_that_is_not_here_is_refused_with_what_to_do(bare: Install) -> None:
    with pytest.raises(NotAvailable, match="toxiproxy-server is not here") as refused:
        choose(proxy="toxiproxy")
    assert "make tools" in refused.value.do


def test_containers_are_refused_in_one_sentence(bare: Install) -> None:
    with pytest.raises(NotAvailable, match=r"^Docker is not installed: there is no \S+$") as refused:
        choose(on="containers")
    assert "install Docker" in refused.value.do


def test_containers_have_no_embedded_proxy(bare: Install) -> None:
    with pytest.raises(NotAvailable, match="there is no embedded proxy in containers"):
        choose(on="containers", proxy="embedded")


def test_a_scenario_that_needs_mailpit_is_refused_without_it(bare: Install) -> None:
    with pytest.raises(NotAvailable, match="mailpit is not here"):
        choose(mailpit=True)
    bare("bin/mailpit", "")
    assert choose(mailpit=True).testbed == "local"


def test_everything_that_was_looked_for_is_listed_whether_here_or_not(bare: Install) -> None:
    bare("bin/toxiproxy-server", "toxiproxy-server version git")
    found = {one.name: one for one in discover()}
    assert found["toxiproxy"].version == "git"
    for name in ("mailpit", "docker engine", "go"):
        assert not found[name].here
        assert found[name].note


def test_a_program_that_does_not_run_is_described_and_not_a_crash(bare: Install, tmp_path: Path) -> None:
    program = bare("bin/go", "")
    program.write_text("no program at all")
    found = {one.name: one for one in discover()}
    assert found["go"].here
    assert "does not run" in found["go"].version


def test_the_table_ends_with_what_a_run_would_use(bare: Install, harness: Harness) -> None:
    ended = harness("doctor")
    assert ended.code == 0
    assert "A run would use the local testbed and the embedded proxy" in ended.out


def test_what_cannot_be_had_is_said_and_still_exit_0(bare: Install, harness: Harness) -> None:
    ended = harness("doctor", "--on", "containers")
    assert ended.code == 0
    assert "A run would be refused: Docker is not installed" in ended.out


@pytest.mark.parametrize(("on", "proxy"), [("lokal", "auto"), ("auto", "toxiproxi")])
def test_a_name_that_nobody_knows_is_refused_and_not_taken_for_auto(on: str, proxy: str) -> None:
    with pytest.raises(NotAvailable, match="there is no `--") as refused:
        choose(on, proxy)
    assert "auto" in refused.value.do


def test_as_json(bare: Install, harness: Harness) -> None:
    document = json.loads(harness("doctor", "--json").out)
    assert document["choice"]["proxy"] == "embedded"
    assert {"python", "toxiproxy", "mailpit", "go"} <= {one["name"] for one in document["found"]}
    assert document["unhealed"] == []


def test_the_real_mailpit_is_not_asked_to_look_for_updates() -> None:
    mailpit = find_tool("mailpit")
    if mailpit is None:
        pytest.skip("mailpit is not here")
    done = subprocess.run(
        [mailpit, "version", "--no-release-check"], capture_output=True, text=True, check=True
    )
    (found,) = [one for one in discover() if one.name == "mailpit"]
    assert found.version in done.stdout
