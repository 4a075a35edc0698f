"""Templates: what they may name, and what they become when the addresses are known."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenario.templates import check, render_body, render_env, render_words
from tests.scenario.writing import changed, loaded, problem

ROUTES = {"primary": {"url": "smtp://u:p@127.0.0.1:2525", "port": 2525}, "items": {"url": "x"}}
CONTEXT: dict[str, Any] = {
    "routes": ROUTES,
    "system": {"port": 8080, "state_dir": "/run/state"},
    "python": "/usr/bin/python3",
    "ca_file": "/run/ca.pem",
    "run_dir": "/run",
    "scenario_dir": "/scenarios",
}
MESSAGE: dict[str, Any] = {
    "token": "abc", "to": "c@x.example", "from": "a@x.example", "subject": "Hi", "text": "…",
    "class": "marketing", "stream": "news", "headers": {"X-A": "1"}, "expires_in_ms": None,
}  # fmt: skip


def test_the_environment_is_filled_in() -> None:
    env = render_env(loaded(), CONTEXT)
    assert env == {"PRIMARY_URL": "smtp://u:p@127.0.0.1:2525", "SENDERS": "4"}


def test_the_word_python_is_the_interpreter_that_runs_the_harness() -> None:
    scenario = loaded(("[python, -m, mailrouter]", '[python, -m, mailrouter, --port, "{{ system.port }}"]'))
    assert render_words(scenario.system.process, CONTEXT) == [
        "/usr/bin/python3",
        "-m",
        "mailrouter",
        "--port",
        "8080",
    ]


def test_a_name_that_is_missing_at_the_end_is_an_error_not_a_gap() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render_env(loaded(), {"routes": {"primary": {}}})


def test_a_body_keeps_its_shape_and_the_type_of_a_whole_value() -> None:
    template = {
        "personalizations": [{"to": "{{ to }}"}],
        "h": "{{ headers }}",
        "e": "{{expires_in_ms}}",
        "n": 1,
    }
    assert render_body(template, MESSAGE) == {
        "personalizations": [{"to": "c@x.example"}],
        "h": {"X-A": "1"},
        "e": None,
        "n": 1,
    }


def test_a_body_mixes_text_and_variables() -> None:
    assert render_body("{{ class }}: {{ subject | upper }}", MESSAGE) == "marketing: HI"


def test_a_body_knows_the_message_and_nothing_else() -> None:
    found = problem(changed(('"POST /messages"', '"POST /messages", body: {to: "{{ recipient }}"}')))
    assert found.path == "system.submit.body.to"
    assert "to" in found.choices and "routes" not in found.choices


def test_a_route_may_have_the_name_of_a_method() -> None:
    assert check("{{ routes.items.url }}", CONTEXT) is None


@pytest.mark.parametrize(
    "text",
    [
        "{{ routes.primary.url }}", "{{ routes['primary'].port }}", "{{ ca_file | urlencode }}", "plain", "",
        "{{ run_dir }}/{{ system.port }}", "{# a comment #}",
    ],
)  # fmt: skip
def test_what_a_template_may_say(text: str) -> None:
    assert check(text, CONTEXT) is None


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}", "{{ routes.primary.url.__class__.__mro__ }}", "{{ 'x' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}", "{% set x = 1 %}", "{{ range(10) }}", "{{ routes.primary.url() }}", "{{",
        "{{ }}", "{% include 'x' %}", "{{ ca_file | attr('x') }}",
        "{{ routes.primary.url | center(100000000) }}",
        "{{ nowhere | default('x') }}", "{{ routes.nowhere }}", "{{ routes[ca_file] }}",
    ],
)  # fmt: skip
def test_what_a_template_may_not_say(text: str) -> None:
    assert check(text, CONTEXT) is not None
