"""Loading: files and bytes of every kind, anchors, and that nothing but ScenarioError ever comes out."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from harness.scenario.errors import ScenarioError, nearest
from harness.scenario.loader import load, load_text, variants_of
from tests.scenario.writing import FILE, SCENARIOS, VALID, loaded, problem, problems


def error_of(path: Path) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_scenarios_load_and_say_what_they_show(path: Path) -> None:
    variant = next(iter(variants_of(path)), None)
    scenario = load(path, variant=variant)
    assert scenario.scenario == "-".join(filter(None, (path.stem, variant)))
    assert scenario.path == path
    assert scenario.source_text.startswith("# What it shows:")


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_they_or_the_variants_in_their_comments_are_short(path: Path) -> None:
    comment = "\n".join(line[2:] for line in path.read_text().splitlines() if line.startswith("# "))
    _, said, rest = comment.partition("A short variant")
    variant = rest.split("\n", 1)[1].partition("\nWhat ")[0] if said else ""
    sets = [word for word in shlex.split(variant) if word != "--set"]
    for each in variants_of(path) or [None]:
        short = load(path, sets, variant=each)
        assert short.baseline.for_ + short.storm_ns <= 15 * 10**9


def test_the_resolved_scenario_loads_again_to_the_same() -> None:
    scenario = load(SCENARIOS / "m365-auth-outage.yaml")
    written = StringIO()
    YAML().dump(scenario.resolved(), written)
    assert load_text(written.getvalue(), FILE).model_dump() == scenario.model_dump()


def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "outage.yaml").write_text(VALID)
    said = error_of(tmp_path / "outge.yaml")
    assert "there is no such file" in said and f"did you mean `{tmp_path / 'outage.yaml'}`?" in said


def test_a_folder_lists_its_scenarios(tmp_path: Path) -> None:
    (tmp_path / "outage.yaml").write_text(VALID)
    assert "this is a folder" in error_of(tmp_path) and "outage.yaml" in error_of(tmp_path)


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VALID)
    assert "cannot be read: Not a directory" in error_of(tmp_path / "a.yaml" / "b.yaml")


def test_a_file_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    file = tmp_path / "outage.yaml"
    file.write_bytes(b"scenario: x\nsummary: caf\xe9\n")
    assert f"{file}:2:13: is not UTF-8: byte 0xe9" in error_of(file)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "outage.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode())
    assert load(file).scenario == "drill"


def test_an_enormous_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "outage.yaml"
    file.write_bytes(b"a: b\n" * 100_000)
    assert "larger than 256 KiB" in error_of(file)


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(ScenarioError):
        load("a\0b")


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    found = problems(VALID.replace("on: primary", "on: primry").replace("seed: 7", "seed: x") + "more: 1\n")
    assert [p.path for p in found] == ["seed", "faults[0].on", "more"]


def test_anchors_and_merges_are_understood() -> None:
    text = VALID.replace(
        "faults:\n",
        "faults:\n  - &outage {at: 1s, for: 1s, on: third, fault: outage}\n  - {<<: *outage, at: 3s}\n",
    )
    faults = load_text(text, FILE).faults
    assert [(fault.at, fault.on) for fault in faults[:2]] == [(10**9, "third"), (3 * 10**9, "third")]


def test_a_problem_in_an_alias_points_to_where_it_is_written() -> None:
    text = VALID.replace("faults:\n", "faults:\n  - &o {at: 1s, for: 1s, on: nowhere, fault: outage}\n")
    assert problem(text).line == 24


def test_numbers_in_an_environment_become_text() -> None:
    scenario = loaded(("SENDERS: 4", "SENDERS: 4, SHARE: 0.5, DEBUG: true, NAME: x"))
    env = scenario.system.env
    assert (env["SENDERS"], env["SHARE"], env["DEBUG"], env["NAME"]) == ("4", "0.5", "true", "x")


def test_control_characters_never_reach_the_terminal() -> None:
    found = problems(VALID.replace("on: primary", 'on: "\\e[31mred"'))
    assert found and all("\x1b" not in each.render() for each in found)


def test_the_caret_stays_under_its_word_in_a_long_line() -> None:
    long = "x" * 200
    rendered = problem(VALID.replace("SENDERS: 4", f"LONG: {long}, BAD: '{{{{ nowhere }}}}'")).render()
    source, caret = rendered.splitlines()[1:3]
    assert len(source) <= 105
    start = caret.index("^")
    assert source[start : start + 16] == "'{{ nowhere }}'}"


@pytest.mark.parametrize(
    ("word", "valid", "meant"),
    [
        ("sumary", ["summary", "scenario"], "summary"),
        ("AUTH_FAILURE", ["auth-failure", "outage"], "auth-failure"),
        ("auth", ["auth-failure", "outage"], "auth-failure"),
        ("zzz", ["summary", "scenario"], ""),
        (7, ["summary"], ""),
    ],
)
def test_the_nearest_word_is_suggested_only_when_it_is_near(
    word: object, valid: list[str], meant: str
) -> None:
    assert nearest(word, valid) == meant


def survives(text: str) -> None:
    """Whatever comes in, a scenario or ScenarioError comes out, and the error can be shown."""
    try:
        load_text(text, FILE)
    except ScenarioError as error:
        assert error.problems and all(each.render() for each in error.problems)


@given(st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_load_or_are_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(content)
    with pytest.raises(ScenarioError):
        load(file)


@given(st.text(alphabet="abc:-[]{}*&!|>'\"%@`#,?~<= \n\t\\0123.eE_+", max_size=60))
@example("%YAML 1.1\n---\non: yes\n")
@example("? [a, b]\n: c\n")
@example("a: 0x\n")
@example("a: 0b2\n")
@example("a: 1_000_000\n")
@example("a: 2026-99-99\n")
@example("- &a [*a]\n")
@example("a: " + "9" * 5000)
@example("!!set {a, b}")
@example("!!binary abc")
@example("&a")
@example("a: !<tag:yaml.org,2002:int> x")
def test_any_yaml_loads_or_is_refused(text: str) -> None:
    survives(text)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["5s", "10/s", "10%", "primary", "system", "outage", "kill", "{{ routes.primary.url }}", "{{", "none"]
    ),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["at", "for", "on", "fault", "stream", "class", "rate", "pool", "http", "x", "limits"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
TOP_KEYS = ["providers", "routes", "system", "workload", "faults", "drain", "expect", "baseline", "seed"]
PLACES = [(key,) for key in TOP_KEYS] + [
    ("workload", 0),
    ("workload", 0, "rate"),
    ("workload", 0, "recipients"),
    ("faults", 0),
    ("faults", 0, "on"),
    ("system", "env"),
    ("system", "submit"),
    ("system", "submit", "body"),
    ("system", "signals"),
    ("system", "signals", "detected"),
    ("system", "process"),
    ("system", "states"),
    ("providers", "m365"),
    ("providers", "m365", "limits"),
    ("routes", "primary"),
    ("expect", "throttle"),
    ("expect", "waves"),
    ("expect", "mttd"),
    ("expect", "throttle", "primary"),
    ("faults", 1, "latency"),
]


@given(place=st.sampled_from(PLACES), value=TREES)
@settings(max_examples=150)
def test_any_value_in_any_place_loads_or_is_refused(place: tuple[str | int, ...], value: object) -> None:
    yaml = YAML(typ="safe", pure=True)
    data = yaml.load(VALID)
    inside = data
    for step in place[:-1]:
        inside = inside[step]
    inside[place[-1]] = value
    written = StringIO()
    yaml.dump(data, written)
    survives(written.getvalue())


@pytest.mark.parametrize(
    "system", ["container: {image: 'shop/mailer:1.2'}", "compose: {file: compose.yaml, service: web}"]
)
def test_a_system_in_a_container_needs_containers(system: str) -> None:
    scenario = loaded(("process: [python, -m, mailrouter]", system))
    assert scenario.requires is None and scenario.least_testbed == "containers"
    assert scenario.system.inner_port == 8080
