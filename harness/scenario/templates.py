"""Templates in the system's command, environment and body: `{{ routes.primary.url }}`.

`template_problems` checks them at load against the names that will exist; `render`, `render_words` and
`render_body` fill them in when the addresses are known. A template may name variables and use a few filters,
nothing else: it cannot loop, compute or call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.scenario.document import Document, Path, lookup
from harness.scenario.errors import Problem, nearest, shown
from harness.scenario.mail import Signer
from harness.scenario.models import Scenario
from harness.scenario.providers import preset_behind

ROUTE_VARIABLES = (
    "url",
    "scheme",
    "host",
    "port",
    "username",
    "password",
    "api_key",
    "base_url",
    "tenant",
    "events_key",
)
"""Those of every route; `endpoint_variable` names the others."""
DKIM_VARIABLES = ("selector", "domain", "key_file", "key")
"""Below `dkim` of a route on which the system signs."""
SYSTEM_VARIABLES = ("host", "port", "state_dir")
TOP_VARIABLES = ("routes", "system", "webhooks", "ca_file", "python", "run_dir", "scenario_dir")
MESSAGE_VARIABLES = ("token", "to", "from", "subject", "text", "class", "stream", "headers", "expires_in_ms")
SUBMIT_BODY: Path = ("system", "submit", "body")
ANY = "*"
READ_BY_TEMPLATE = ("file", "database", "command")
OF_THE_RUN: tuple[Path, ...] = (
    ("system", "process"),
    ("system", "container", "command"),
    ("system", "env"),
    ("system", "setup"),
    ("system", "teardown"),
    ("system", "ready", "command"),
    ("system", "submit", "smtp"),
    ("system", "submit", "username"),
    ("system", "submit", "password"),
    ("system", "operator", ANY, "body"),
    ("system", "operator", ANY, "command"),
    *(("system", "signals", ANY, key) for key in (*READ_BY_TEMPLATE, "log", "until")),
    *(("system", "states", key) for key in READ_BY_TEMPLATE),
)
"""Templates that know TOP_VARIABLES: every text at or below these paths."""
OF_A_MESSAGE: tuple[Path, ...] = (SUBMIT_BODY,)
"""Templates that know MESSAGE_VARIABLES."""
OF_BOTH: tuple[Path, ...] = (("system", "submit", "command"),)
FILTERS = ("default", "int", "lower", "replace", "tojson", "trim", "upper", "urlencode")
_WHOLE = re.compile(r"\s*\{\{\s*(\w+)\s*\}\}\s*")
_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.Filter,
)


class _Environment(ImmutableSandboxedEnvironment):
    """A dotted name is a key first: a route called `items` is that route, not a method of dict."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


@dataclass(frozen=True)
class Wrong:
    """What is wrong with one template."""

    message: str
    meant: str = ""
    choices: tuple[str, ...] = ()
    advice: str = ""


@cache
def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    return environment


def template_problems(document: Document) -> list[Problem]:
    """Whatever is wrong with the templates of a document, each with its place."""
    run = _dummy(_routes(document), webhook_names(document))
    message = dict.fromkeys(MESSAGE_VARIABLES, "x")
    run["routes"] = {
        name: variables | ({"dkim": dict.fromkeys(_dkim_variables(document), "1")} if signs else {})
        for name, variables in run["routes"].items()
        for signs in [_system_signs(document, name)]
    }
    problems = []
    for places, known in ((OF_THE_RUN, run), (OF_A_MESSAGE, message), (OF_BOTH, run | message)):
        for path, text in _texts(document.data, places):
            if (wrong := check(text, known)) is not None:
                problems.append(
                    document.problem(
                        path, wrong.message, meant=wrong.meant, choices=wrong.choices, advice=wrong.advice
                    )
                )
    return problems


def webhook_names(document: Document) -> tuple[str, ...]:
    """What the system can post to, as the signals name it."""
    signals = lookup(document.data, ("system", "signals"))
    named = [lookup(signals, (name, "webhook")) for name in (signals if isinstance(signals, dict) else ())]
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


def check(text: str, context: Mapping[str, Any]) -> Wrong | None:
    """What is wrong with one template, given the names that will exist."""
    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        advice = "Write for example `{{ routes.primary.url }}`."
        return Wrong(f"{shown(text)} is not a template: {error.message}", advice=advice)
    except RecursionError:
        return Wrong(f"{shown(text)} is nested too deep for a template")
    for node in _walk(tree):
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            return Wrong(f"unknown filter {shown(node.name)}", nearest(node.name, FILTERS), FILTERS)
        if not isinstance(node, _ALLOWED):
            what = type(node).__name__.lower()
            return Wrong(f"a template here only fills in values, and `{what}` is more than that")
    for node in _walk(tree):
        if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
            wrong = _resolve(node, context)
            if isinstance(wrong, Wrong):
                return wrong
    try:
        _environment().from_string(text).render(context)
    except (TemplateError, TypeError, ValueError, LookupError) as error:
        return Wrong(f"{shown(text)} cannot be filled in: {error}")
    return None


def render(text: str, context: Mapping[str, Any]) -> str:
    """One text with its templates filled in."""
    return _environment().from_string(text).render(context)


def render_env(scenario: Scenario, context: Mapping[str, Any]) -> dict[str, str]:
    """The system's environment with its templates filled in. `context` holds TOP_VARIABLES."""
    return {name: render(value, context) for name, value in scenario.system.env.items()}


def render_words(command: Sequence[str], context: Mapping[str, Any]) -> list[str]:
    """A command; the word `python` is the interpreter that runs the harness."""
    return [str(context["python"]) if word == "python" else render(word, context) for word in command]


def render_body(template: Any, context: Mapping[str, Any]) -> Any:
    """A JSON body. A value that is one whole `{{ … }}` keeps its type: headers stay a mapping."""
    if isinstance(template, dict):
        return {key: render_body(value, context) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [render_body(value, context) for value in template]
    if not isinstance(template, str):
        return template
    whole = _WHOLE.fullmatch(template)
    if whole is not None and whole[1] in context:
        return context[whole[1]]
    return render(template, context)


def _texts(data: Any, places: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for place in places:
        if ANY not in place:
            yield from texts_in(lookup(data, place), place)
            continue
        at = place.index(ANY)
        above = lookup(data, place[:at])
        for name in above if isinstance(above, dict) else ():
            yield from _texts(data, [(*place[:at], name, *place[at + 1 :])])


def texts_in(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in a tree, with its path."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from texts_in(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from texts_in(value, (*path, index))


def endpoint_variable(endpoint: str) -> str:
    """What the base URL of an endpoint beside a route's own is called among the route's variables."""
    return f"{endpoint}_url"


def _routes(document: Document) -> dict[str, tuple[str, ...]]:
    """Each route's variables: those of the endpoints beside its own go by its provider's preset."""
    found = {}
    routes = lookup(document.data, ("routes",))
    for name in routes if isinstance(routes, dict) else ():
        preset = preset_behind(document, name)
        endpoints = preset.endpoints if preset is not None else ()
        found[str(name)] = (*ROUTE_VARIABLES, *(endpoint_variable(each) for each in endpoints))
    return found


def _system_signs(document: Document, route: str) -> bool:
    """Whether the system is given a key for what it sends by a route."""
    of_route = lookup(document.data, ("routes", route, "mail"))
    signs = isinstance(of_route, dict) and of_route.get("sign") == Signer.SYSTEM
    return signs and lookup(document.data, ("mail",)) is not None


def _dkim_variables(document: Document) -> tuple[str, ...]:
    """A compose file says itself what is mounted where: its services are given the key's text."""
    in_compose = lookup(document.data, ("system", "compose")) is not None
    return tuple(name for name in DKIM_VARIABLES if not (in_compose and name == "key_file"))


def _dummy(routes: Mapping[str, tuple[str, ...]], webhooks: tuple[str, ...]) -> dict[str, Any]:
    context: dict[str, Any] = dict.fromkeys(TOP_VARIABLES, "x")
    context["routes"] = {name: dict.fromkeys(variables, "1") for name, variables in routes.items()}
    context["system"] = dict.fromkeys(SYSTEM_VARIABLES, "1")
    context["webhooks"] = dict.fromkeys(webhooks, "x")
    return context


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _resolve(node: nodes.Node, context: Mapping[str, Any]) -> Any:
    """The value of a variable, or Wrong with the name that does not exist."""
    if isinstance(node, nodes.Name):
        return context[node.name] if node.name in context else _unknown(node.name, "", context)
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        key = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        parent = _resolve(node.node, context)
        if isinstance(parent, Wrong):
            return parent
        if not isinstance(parent, Mapping):
            return Wrong(f"`{_dotted(node.node)}` is a text, which has no `{key}` in it")
        return parent[key] if key in parent else _unknown(str(key), _dotted(node.node) + ".", parent)
    return None


def _unknown(name: str, before: str, valid: Mapping[str, Any]) -> Wrong:
    meant = nearest(name, valid)
    message = f"there is no variable {shown(before + name)}"
    return Wrong(message, before + meant if meant else "", tuple(before + str(each) for each in valid))


def _dotted(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_dotted(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        return f"{_dotted(node.node)}.{getattr(node.arg, 'value', '…')}"
    return "…"
