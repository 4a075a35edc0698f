"""Pydantic's errors as problems: with place, words for people, the nearest valid spelling and the choices.

The choices at an unknown key come from the model that refused it, found by walking the types along the path
of the error; so they hold for the checks' own parameter models too.
"""

from __future__ import annotations

import re
import types
from dataclasses import replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError

from harness.checks import CHECKS
from harness.checks.params import as_written
from harness.scenario.document import Document, Path, lookup
from harness.scenario.errors import Problem, nearest, shown

_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "mapping_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}


def explain(document: Document, error: ValidationError, model: Any, prefix: Path = ()) -> list[Problem]:
    """Each error of a validation as a problem; `model` was validated from what stands at `prefix`."""
    errors = error.errors(include_url=False)
    unknown = [each["loc"] for each in errors if each["type"] == "extra_forbidden"]
    problems = []
    for each in errors:
        loc = each["loc"]
        if each["type"] == "missing" and any(
            other[:-1] == loc[:-1] and nearest(other[-1], [loc[-1]]) for other in unknown
        ):
            continue  # it is there, misspelt
        path = prefix + _data_path(lookup(document.data, prefix), model, loc)
        if each["type"] == "too_short" and lookup(document.data, path):
            continue  # there are entries, and what is wrong with them is said
        problems.append(_or_as_written(_one(document, path, dict(each), _type_at(model, loc[:-1])), path))
    return list({(p.path, p.message, p.override): p for p in problems}.values())


def _data_path(data: Any, model: Any, loc: tuple[str | int, ...]) -> Path:
    """The part of pydantic's path that is in the file: without the tags of unions."""
    path: list[str | int] = []
    for index, step in enumerate(loc):
        if step in _tags(_type_at(model, loc[:index])):
            continue  # `latency` may be the tag of a fault and the name of its attribute
        there = (isinstance(data, dict) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        )
        if there:
            path.append(step)
            data = data[step]
        elif index == len(loc) - 1 and isinstance(data, dict) and isinstance(step, str) and step != "[key]":
            path.append(step)
    return tuple(path)


def _one(document: Document, path: Path, error: dict[str, Any], parent: Any) -> Problem:
    kind, ctx, given = error["type"], error.get("ctx", {}), error.get("input")
    if kind == "extra_forbidden":
        keys = _keys_of(parent)
        message = f"unknown key {shown(path[-1] if path else '')}"
        return document.problem(
            path, message, at_key=True, meant=nearest(error["loc"][-1], keys), choices=keys
        )
    if kind == "missing":
        return document.problem(path, "is missing", advice=_example(str(error["loc"][-1])))
    if kind == "part":
        where = (*path, ctx["key"]) if ctx["key"] else path
        return document.problem(where, ctx["text"], advice=ctx["advice"])
    if kind in ("literal_error", "enum"):
        choices = _choices(str(ctx.get("expected", "")))
        return document.problem(
            path, f"{shown(given)} is not valid here", meant=nearest(given, choices), choices=choices
        )
    if kind == "union_tag_invalid":
        tag = str(ctx["discriminator"]).strip("'")
        choices = _choices(str(ctx["expected_tags"]))
        word = ctx["tag"]
        message = f"unknown {tag} {shown(word)}"
        return document.problem((*path, tag), message, meant=nearest(word, choices), choices=choices)
    if kind == "union_tag_not_found":
        tag = str(ctx["discriminator"]).strip("'")
        choices = _tags(_type_at(parent, error["loc"][-1:]))
        return document.problem(path, f"`{tag}` is missing", choices=choices)
    at_key = "[key]" in error["loc"]
    return document.problem(path, _say(kind, ctx, given, error["msg"]), at_key=at_key)


def _or_as_written(problem: Problem, path: Path) -> Problem:
    """With how the check is written, where nothing else says what to do about its parameters."""
    if problem.meant or problem.choices or problem.advice or path[:1] != ("expect",):
        return problem
    check = CHECKS.get(str(path[1])) if len(path) > 1 else None
    return problem if check is None else replace(problem, advice=f"Write {as_written(check.params)}")


def _say(kind: str, ctx: dict[str, Any], given: Any, message: str) -> str:
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, and this is {shown(given)}"
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"must be {words} {ctx[key]}, and this is {shown(given)}"
    if kind == "too_short":
        return "is empty, and must hold at least one entry" if ctx["min_length"] == 1 else message
    if kind == "string_too_short":
        return "is an empty text"
    if kind == "string_too_long":
        return f"is longer than {ctx['max_length']} characters"
    if kind == "string_pattern_mismatch":
        return f"{shown(given)} is not a name: letters, digits, `-` and `_`, beginning with a letter or digit"
    if kind in ("value_error", "assertion_error"):
        return message.partition(", ")[2] or message
    return message[:1].lower() + message[1:]


def _example(key: str) -> str:
    examples = {
        "scenario": "Give it a name, such as `scenario: m365-outage`.",
        "summary": "One sentence that says what it shows.",
        "providers": "For example `providers: {m365: {fake: microsoft365-smtp}}`.",
        "routes": "For example `routes: {primary: {provider: m365}}`.",
        "system": "The system under test: `process`, `submit` and `longest_retry`.",
        "process": "The command, such as `process: [python, -m, mailrouter]`.",
        "submit": 'How mail is handed in, such as `submit: {http: "POST /messages"}`.',
        "longest_retry": "The longest the system waits before it tries again, such as `longest_retry: 2s`.",
        "workload": "For example `workload: [{stream: news, class: marketing, rate: 5/s, for: 45s}]`.",
        "drain": "For example `drain: {deadline: 60s}`.",
        "expect": "What must hold, for example `expect: {duplicates: none, delivered: all}`.",
        "for": "How long it lasts, such as `for: 10s`.",
        "at": "When it begins, counted from the end of the baseline, such as `at: 10s`.",
        "on": "What is broken: the name of a route, or `system`.",
        "restart_after": "How long the system stays dead, such as `restart_after: 2s`.",
        "grace": "How long it may take to end, such as `grace: 5s`.",
        "latency": "How late, such as `latency: 400ms`.",
        "class": "What kind of mail: `transactional`, `marketing`, …",
        "fake": "Which provider it looks like, such as `fake: sendgrid`.",
        "deadline": "How long the system may take to settle, such as `deadline: 60s`.",
    }
    return examples.get(key, "")


def _choices(expected: str) -> tuple[str, ...]:
    """pydantic's "'a', 'b' or 'c'" as a tuple."""
    return tuple(re.findall(r"'([^']*)'", expected))


def _type_at(kind: Any, loc: tuple[str | int, ...]) -> Any:
    """The type that pydantic was validating at a path, as far as it can be followed."""
    kind = _bare(kind)
    if not loc or kind is None:
        return kind
    step, rest = loc[0], loc[1:]
    if isinstance(kind, type) and issubclass(kind, RootModel):
        return _type_at(kind.model_fields["root"].annotation, loc)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            if step in (name, info.alias):
                return _type_at(info.annotation, rest)
        return None
    origin, args = get_origin(kind), get_args(kind)
    if origin is dict:
        return _type_at(args[1], rest)
    if origin in (list, tuple, set, frozenset):
        return _type_at(args[0], rest)
    if origin in (Union, types.UnionType):
        members = [_bare(each) for each in args]
        for member in members:
            if _tag_of(member) == step or getattr(member, "__name__", None) == step:
                return _type_at(member, rest)
        models = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
        return _type_at(models[0], loc) if len(models) == 1 else None
    return None


def _bare(kind: Any) -> Any:
    """Without Annotated and without `| None`."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        members = [each for each in get_args(kind) if each is not type(None)]
        if len(members) == 1:
            return _bare(members[0])
    return kind


def _tag_of(model: Any) -> str | None:
    """The one value of a model's discriminating literal, such as `kill` of the field `fault`."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        for info in model.model_fields.values():
            if get_origin(info.annotation) is Literal and info.is_required():
                return str(get_args(info.annotation)[0])
    return None


def _tags(union: Any) -> tuple[str, ...]:
    union = _bare(union)
    if get_origin(union) not in (Union, types.UnionType):
        return ()
    return tuple(tag for each in get_args(union) if (tag := _tag_of(_bare(each))) is not None)


def _keys_of(model: Any) -> tuple[str, ...]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        return tuple(info.alias or name for name, info in model.model_fields.items())
    return ()
