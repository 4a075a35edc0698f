"""YAML text to plain data that remembers where each piece came from.

`read_document` guards against hostile or careless files (size, depth, alias bombs, duplicate keys, tags, a
second document) and raises ScenarioError with places. Everything after it works on `Document`: plain dicts,
lists and scalars, and a place for each path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from harness.scenario.errors import Problem, ScenarioError, join_path, shown

Path = tuple[str | int, ...]

MOST_BYTES = 256 * 1024
MOST_NODES = 20_000
DEEPEST = 24
_PLAIN_TAG = "tag:yaml.org,2002:"
_MEANT = re.compile(r"(.*); did you mean `([^`]*)`\?", re.DOTALL)
_TEXT_TAGS = ("str", "timestamp", "value")


@dataclass(frozen=True)
class Place:
    """Where a value stands; lines and columns from 0. `key` is the place of its key in a mapping."""

    line: int
    column: int
    length: int = 1
    key_line: int = -1
    key_column: int = -1
    key_length: int = 1
    override: str = ""


@dataclass
class Document:
    file: str
    text: str
    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    fault_labels: tuple[str, ...] = ()
    """What the entries of `faults` are to be called, where they are not those of the file."""

    def problem(
        self, path: Sequence[str | int], message: str, *, at_key: bool = False, **more: Any
    ) -> Problem:
        """A problem at a path; where the path does not exist, at its nearest parent that does."""
        if match := _MEANT.fullmatch(message):
            message, more["meant"] = match[1], match[2]
        label = more.pop("label", None) or self.label(path)
        steps = tuple(path)
        while steps and steps not in self.places:
            steps, at_key = steps[:-1], bool(steps[:-1])
        place = self.places.get(steps, Place(0, 0))
        if place.override:
            return Problem(file=self.file, path=label, message=message, override=place.override, **more)
        by_key = at_key and place.key_line >= 0
        line = place.key_line if by_key else place.line
        column = place.key_column if by_key else place.column
        length = place.key_length if by_key else place.length
        return self.at(line, column, message, length=length, path=label, **more)

    def at(self, line: int, column: int, message: str, **more: Any) -> Problem:
        """A problem at a line and column, both from 0."""
        lines = self.text.split("\n")
        source = lines[line] if 0 <= line < len(lines) else ""
        return Problem(
            file=self.file, line=line + 1, column=column + 1, message=message, source_line=source, **more
        )

    def label(self, path: Sequence[str | int]) -> str:
        """The path for people: a stream by its name as in `--set`, other lists by index."""
        steps = list(path)
        if len(steps) >= 2 and steps[0] == "workload" and isinstance(steps[1], int):
            name = lookup(self.data, ("workload", steps[1], "stream"))
            if isinstance(name, str) and name and "." not in name:
                steps[1] = name
        if len(steps) >= 2 and steps[0] == "faults" and isinstance(steps[1], int) and self.fault_labels:
            return join_path([self.fault_labels[steps[1]], *steps[2:]])
        return join_path(steps)


def lookup(data: Any, path: Sequence[str | int]) -> Any:
    """The value at a path, or None where there is none."""
    for step in path:
        in_list = isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data)
        if not in_list and not (isinstance(data, dict) and step in data):
            return None
        data = data[step]
    return data


def read_document(text: str, file: str) -> Document:
    """YAML text to a document whose top is a mapping. Raises ScenarioError."""
    document = Document(file, text)
    node = _compose(document)
    if node is None:
        raise ScenarioError(
            [
                Problem(
                    file=file,
                    message="the file is empty",
                    advice="`harness init DIR` writes one to begin with.",
                )
            ]
        )
    if not isinstance(node, MappingNode):
        raise ScenarioError(
            [
                document.at(
                    node.start_mark.line,
                    node.start_mark.column,
                    f"a scenario is a mapping of keys to values, and this is {_kind(node)}",
                    advice="Begin with `scenario: a-name`; `harness init DIR` writes an example.",
                )
            ]
        )
    builder = _Builder(document)
    document.data = builder.build(node, (), None)
    if builder.problems:
        raise ScenarioError(builder.problems)
    return document


def read_value(text: str) -> Any:
    """One YAML value, as in `--set path=value`. Raises ScenarioError."""
    return read_part(text, "--set", ()).data


def read_part(text: str, file: str, path: Path) -> Document:
    """One YAML value as a document that has nothing else, at a path of a scenario. Raises ScenarioError."""
    document = Document(file, text)
    node = _compose(document)
    builder = _Builder(document)
    document.data = None if node is None else builder.build(node, path, None)
    if builder.problems:
        raise ScenarioError(builder.problems)
    for step in reversed(path):
        document.data = {step: document.data}
    return document


def _compose(document: Document) -> Node | None:
    """Text to a graph of nodes, after a look at its depth, which the composer itself would recurse into."""
    try:
        _check_depth(document)
        yaml = YAML(typ="safe", pure=True)
        return yaml.compose(document.text)  # type: ignore[no-any-return]
    except ReaderError as error:
        before = document.text[: error.position]
        line = before.count("\n")
        column = len(before) - (before.rfind("\n") + 1)
        message = f"the character {_code_point(error.character)} is not allowed in YAML"
        problem = document.at(line, column, message, advice="Remove it; it may be invisible.")
        raise ScenarioError([problem]) from error
    except MarkedYAMLError as error:
        raise ScenarioError([_syntax_problem(document, error)]) from error
    except (YAMLError, ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError) as error:
        # The parser lets its own slips through on odd input (a directive such as `%YAML x`, a lone anchor).
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ScenarioError([Problem(file=document.file, message=f"this is not YAML: {reason}")]) from error


def _check_depth(document: Document) -> None:
    from ruamel.yaml import events

    depth = 0
    for event in YAML(typ="safe", pure=True).parse(document.text):
        if isinstance(event, events.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                mark = event.start_mark
                raise ScenarioError(
                    [document.at(mark.line, mark.column, f"nested more than {DEEPEST} levels deep")]
                )
        elif isinstance(event, events.CollectionEndEvent):
            depth -= 1


def _syntax_problem(document: Document, error: MarkedYAMLError) -> Problem:
    mark: StreamMark | None = error.problem_mark or error.context_mark
    what = " ".join(str(error.problem or error.context or "this is not YAML").split())
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = document.text.split("\n")
    source = lines[line] if line < len(lines) else ""
    advice = ""
    if "\t" in source[: column + 1]:
        what, advice = "a tab cannot be used to indent", "YAML indents with spaces; replace the tab."
    elif "single document" in str(error.context) or "another document" in what:
        what = "there is a second document in this file"
        advice = "A file holds one scenario; put the second one into a file of its own."
    elif "mapping values are not allowed" in what:
        what = "a `:` stands where no key can be"
        advice = "Put a text that contains `: ` into quotes, and look at the indentation."
    elif "could not find expected ':'" in what:
        what, advice = "this key has no `:`", "A key is followed by `: ` and its value."
    elif "undefined alias" in what:
        advice = "An alias `*name` needs an anchor `&name` before it."
    elif "while scanning an alias" in str(error.context) or "while scanning an anchor" in str(error.context):
        what, advice = "an alias or anchor has no name", "Put a text that begins with * or & into quotes."
    elif "{{" in source:
        advice = 'Put a template into quotes: "{{ routes.primary.url }}".'
    return document.at(line, column, what, advice=advice)


class _Builder:
    """Walks the graph of nodes once for each mention; aliases are counted as what they expand to."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.nodes = 0

    def build(self, node: Node, path: Path, key: ScalarNode | None) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES or len(path) > DEEPEST:
            too_many = f"the file expands to more than {MOST_NODES:,} values"
            message = too_many if self.nodes > MOST_NODES else f"nested more than {DEEPEST} levels deep"
            advice = "An alias that refers to other aliases, or to itself, grows without end."
            mark = node.start_mark
            raise ScenarioError([self.document.at(mark.line, mark.column, message, advice=advice)])
        self.document.places[path] = _place(node, key)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            self._refuse_tag(node, "seq")
            return [self.build(item, (*path, index), None) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        self._refuse_tag(node, "map")
        built: dict[str, Any] = {}
        seen: dict[str, Node] = {}
        merges = [value for key, value in node.value if key.tag == _PLAIN_TAG + "merge"]
        merged = self._merge(merges, path)
        for key, value in node.value:
            if key.tag == _PLAIN_TAG + "merge":
                continue
            if not isinstance(key, ScalarNode):
                line = self.document.text.split("\n")[key.start_mark.line]
                advice = 'Put a template into quotes: "{{ routes.primary.url }}".' if "{{" in line else ""
                self._problem(key, f"a key is a text, and this is {_kind(key)}", advice)
            elif key.value in seen:
                first = seen[key.value].start_mark.line + 1
                self._problem(
                    key,
                    f"the key {shown(key.value)} is there twice, first on line {first}",
                    advice="Remove one of them; which one was meant cannot be known.",
                )
            else:
                seen[key.value] = key
                built[key.value] = self.build(value, (*path, key.value), key)
        return merged | built

    def _merge(self, merges: list[Node], path: Path) -> dict[str, Any]:
        """What `<<: *alias` takes in; of several, the first to name a key wins."""
        merged: dict[str, Any] = {}
        own_place = self.document.places[path]
        for value in merges:
            for source in value.value if isinstance(value, SequenceNode) else [value]:
                if not isinstance(source, MappingNode):
                    self._problem(source, "`<<` takes in a mapping, such as an alias of one")
                    continue
                merged = self.build(source, path, None) | merged
        self.document.places[path] = own_place
        return merged

    def _scalar(self, node: Node) -> Any:
        kind = str(node.tag or "").removeprefix(_PLAIN_TAG)
        text = str(node.value)
        if kind in _TEXT_TAGS:
            return text
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return text.lower() in ("true", "yes", "on")
            if kind == "int":
                digits = text.replace("_", "")
                return int(digits, 0) if "0x" in digits or "0o" in digits or "0b" in digits else int(digits)
            if kind == "float":
                special = text.lower().replace(".inf", "inf").replace(".nan", "nan")
                return float(special.replace("_", ""))
        except ValueError:
            self._problem(node, f"{shown(text)} is not a number that can be used")
            return None
        self._refuse_tag(node, "str")
        return text

    def _refuse_tag(self, node: Node, usual: str) -> None:
        tag = str(node.tag or "")
        if tag and tag != _PLAIN_TAG + usual:
            name = tag.replace(_PLAIN_TAG, "!!")
            self._problem(node, f"the tag {shown(name)} has no meaning here", advice="Remove it.")

    def _problem(self, node: Node, message: str, advice: str = "") -> None:
        place = _place(node, None)
        self.problems.append(
            self.document.at(place.line, place.column, message, length=place.length, advice=advice)
        )


def _place(node: Node, key: ScalarNode | None) -> Place:
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line else 1
    if isinstance(node, MappingNode | SequenceNode):
        length = 1
    place = Place(start.line, start.column, max(1, length))
    if key is None:
        return place
    key_length = (
        key.end_mark.column - key.start_mark.column if key.end_mark.line == key.start_mark.line else 1
    )
    return Place(
        place.line, place.column, place.length, key.start_mark.line, key.start_mark.column, max(1, key_length)
    )


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, SequenceNode) else f"the text {shown(node.value)}"


def _code_point(character: object) -> str:
    return f"U+{character:04X}" if isinstance(character, int) else f"{character!a}"
