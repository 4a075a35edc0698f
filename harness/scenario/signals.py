"""What the system under test tells the outside: when it is up, its signals, the states of its messages.

A signal has exactly one source and what belongs to it. Files, commands, databases and what is looked for in a
log are templates (templates.py); how each source is read is told in harness/testbed/signals.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from harness.checks.units import NS_PER_MS, Duration
from harness.scenario.part import Command, Name, Part, Text, exactly_one, wrong

POLLED = ("http", "prometheus", "log", "file", "sql", "command")
SOURCES = (*POLLED, "webhook")
STATES_SOURCES = ("http", "file", "sql", "command")
DEFAULT_EVERY, COMMAND_EVERY = "100ms", "1s"
FASTEST_COMMAND_NS = 100 * NS_PER_MS
VALUE_GROUP = "value"
_ONE_SOURCE: list[Any] = [
    *({"required": [source]} for source in SOURCES if source != "file"),
    {"required": ["file"], "not": {"required": ["log"]}},
]
_ONE_STATES_SOURCE: list[Any] = [{"required": [source]} for source in STATES_SOURCES]
_SELECTOR = re.compile(
    r"\s*[A-Za-z_:][A-Za-z0-9_:]*"
    r'(?:\{\s*(?:[A-Za-z_]\w*\s*=\s*"(?:[^"\\]|\\.)*"\s*,?\s*)*\})?'
    r"(?:\s*(?:==|!=|>=|<=|>|<)\s*-?\d+(?:\.\d+)?)?\s*"
)
_QUERY = re.compile(r"\s*(?:select|with|values|show|table)\b", re.IGNORECASE)
_IN_MEMORY = re.compile(r"sqlite(?:\+\w+)?://(?:/?|/:memory:.*)")


def _jmespath(expression: str) -> str:
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        reason = str(error).partition("\n")[0].partition(":")[2].strip(" :") or "it cannot be read"
        raise ValueError(f"is not a JMESPath expression: {reason}") from error
    return expression


def _regex(expression: str) -> str:
    try:
        re.compile(expression)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return expression


def _selector(expression: str) -> str:
    if not _SELECTOR.fullmatch(expression):
        raise ValueError(
            'is not a metric selector; write for example `queue_pending`, or `route_up{route="primary"} == 0`'
        )
    return expression


def _path(path: str) -> str:
    if not path.startswith("/") or any(c.isspace() or ord(c) < 33 for c in path):
        raise ValueError(f"must be a path on the system's own HTTP port, such as `/status`; got `{path}`")
    return path


def _query(sql: str) -> str:
    if not _QUERY.match(sql):
        raise ValueError("must be a query, such as `select count(*) from outbox`; nothing is ever written")
    return sql


def _database(url: str) -> str:
    if _IN_MEMORY.fullmatch(url):
        raise ValueError("is a database in memory, which only the process that made it can read")
    if "://" not in url and "{{" not in url:
        raise ValueError(
            "must be the address of a database, such as `sqlite:///{{ system.state_dir }}/queue.db`"
        )
    return url


def _poll(ns: int) -> int:
    if not 10 * NS_PER_MS <= ns <= 60_000 * NS_PER_MS:
        raise ValueError("must be between 10ms and 60s")
    return ns


HttpPath = Annotated[str, AfterValidator(_path)]
Jmespath = Annotated[str, AfterValidator(_jmespath), Field(min_length=1)]
Regex = Annotated[str, AfterValidator(_regex), Field(min_length=1, max_length=1000)]
Query = Annotated[Text, AfterValidator(_query), Field(min_length=1)]
Database = Annotated[Text, AfterValidator(_database), Field(min_length=1)]
File = Annotated[Text, Field(min_length=1)]
Expression = Annotated[str, Field(min_length=1)]


class Ready(Part):
    """When the system is up: exactly one of these."""

    model_config = exactly_one("http", "command")

    http: HttpPath | None = None
    """A path on the system's port that answers 2xx, such as `/status`."""
    command: Command | None = None
    """A command on this machine that ends with 0."""

    @model_validator(mode="after")
    def _one_sign(self) -> Ready:
        if (self.http is None) == (self.command is None):
            raise wrong("`ready` is told by `http` or by `command`, one of them")
        return self


class Signal(Part):
    """Something the system tells the outside: exactly one source, and a question to what it gives."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(oneOf=_ONE_SOURCE))

    http: HttpPath | None = None
    """A path that answers JSON; `when` or `value` is JMESPath."""
    prometheus: HttpPath | None = None
    """A path that answers Prometheus text; `when` or `value` is a metric selector."""
    log: Regex | None = None
    """A regular expression: a line of the system's log, or of `file`, with it in it makes the signal true.

    Its group `value`, such as `depth=(?P<value>\\d+)`, tells a number or text instead.
    """
    until: Regex | None = None
    """With `log`: a line with this in it makes the signal false again."""
    file: File | None = None
    """A file that the system rewrites; relative to the scenario file. With `log`: the log."""
    sql: Query | None = None
    """A query; its first row counts. Without `when` and `value` it is the first column."""
    database: Database | None = None
    """With `sql`: SQLAlchemy's address, such as `sqlite:///{{ system.state_dir }}/queue.db`."""
    command: Command | None = None
    """A command that prints the answer; `python` is the interpreter that runs the harness."""
    webhook: Name | None = None
    """A name: the system posts JSON to `{{ webhooks.NAME }}`."""
    format: Literal["json", "text", "exit-code"] | None = None
    """With `file` and `command`: JSON (`when`, `value` are JMESPath), a text (regular expressions), or the
    command's exit code (JMESPath over that number). JSON by default."""
    when: Expression | None = None
    """True or false: an edge is an event, such as `routes.primary.state == 'down'`."""
    value: Expression | None = None
    """A number or text, such as `queue.pending`."""
    route: Name | None = None
    """The route it speaks of; `detected` speaks of the first route unless it says."""
    every: Annotated[Duration, AfterValidator(_poll)] | None = None
    """How often it is read: 100ms by default, a command every second."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        filled = dict(data)
        if "webhook" not in data:
            filled.setdefault("every", COMMAND_EVERY if "command" in data else DEFAULT_EVERY)
        if "log" not in data and ("file" in data or "command" in data):
            filled.setdefault("format", "json")
        return filled

    @model_validator(mode="after")
    def _one_source_one_question(self) -> Signal:
        source = self.source
        _belongs(self, "until", "log")
        _belongs(self, "database", "sql")
        if self.format is not None and source not in ("file", "command"):
            raise wrong("`format` goes with `file` or `command`", key="format")
        if source == "sql" and self.database is None:
            raise wrong(
                "`database` is missing: whose rows are they?",
                advice='Write for example `database: "sqlite:///{{ system.state_dir }}/queue.db"`.',
            )
        if source == "file" and self.format == "exit-code":
            raise wrong("a file has no exit code", key="format", advice="Use `json` or `text`.")
        if source == "command" and self.every_ns < FASTEST_COMMAND_NS:
            advice = "A command is a new process each time."
            raise wrong("a command is run every 100ms at most", key="every", advice=advice)
        if source == "webhook" and self.every is not None:
            raise wrong("a webhook is not polled: it comes when it comes", key="every")
        if source == "log":
            self._check_log()
        else:
            self._check_question()
        return self

    def _check_log(self) -> None:
        for key in ("when", "value"):
            if getattr(self, key) is not None:
                raise wrong(
                    f"`log` is the question itself, and `{key}` would be another",
                    key=key,
                    advice="A group `(?P<value>…)` in `log` tells a value.",
                )
        if self.until is not None and VALUE_GROUP in re.compile(self.log or "").groupindex:
            raise wrong(
                "`log` tells a value, which lasts until the next one; `until` has no use", key="until"
            )

    def _check_question(self) -> None:
        if self.when is not None and self.value is not None:
            raise wrong("`when` (true or false) and `value` (a number or text) are two questions; keep one")
        if self.when is None and self.value is None:
            if self.source == "sql":
                return
            raise wrong("a signal has `when` (true or false) or `value` (a number or text), one of them")
        check = _selector if self.source == "prometheus" else _regex if self.format == "text" else _jmespath
        try:
            check(self.expression)
        except ValueError as error:
            key = "when" if self.when is not None else "value"
            raise wrong(f"`{self.expression}` {error}", key=key) from error

    @property
    def source(self) -> str:
        """Which of SOURCES it is read from."""
        return _one_of(self, SOURCES, "a signal is read")

    @property
    def expression(self) -> str:
        return self.when or self.value or ""

    @property
    def every_ns(self) -> int:
        """0 where it is not polled."""
        return self.every or 0


class States(Part):
    """Where the system tells the state of its messages: exactly one source, read once at the end."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(oneOf=_ONE_STATES_SOURCE))

    http: HttpPath | None = None
    """A path that answers JSON."""
    file: File | None = None
    """A file with JSON in it; relative to the scenario file."""
    sql: Query | None = None
    """A query whose columns are `token` or `recipient`, and `state`."""
    database: Database | None = None
    """With `sql`: SQLAlchemy's address."""
    command: Command | None = None
    """A command that prints JSON."""
    items: Jmespath | None = None
    """JMESPath to a list of {token or recipient, state}; not with `sql`."""

    @model_validator(mode="after")
    def _one_source(self) -> States:
        source = _one_of(self, STATES_SOURCES, "states are read")
        _belongs(self, "database", "sql")
        if source == "sql":
            if self.database is None:
                raise wrong("`database` is missing: whose rows are they?")
            if self.items is not None:
                advice = "Name the columns: `select id as token, state from outbox`."
                raise wrong("the rows are the items", key="items", advice=advice)
        elif self.items is None:
            raise wrong(
                "`items` is missing: where in the answer is the list?",
                advice='Write for example `items: "messages[].{token: key, state: state}"`.',
            )
        return self

    @property
    def source(self) -> str:
        """Which of STATES_SOURCES it is."""
        return _one_of(self, STATES_SOURCES, "states are read")


def _one_of(part: Signal | States, sources: tuple[str, ...], what: str) -> str:
    said = [source for source in sources if getattr(part, source) is not None]
    if "log" in said and "file" in said:
        said.remove("file")  # then it is the log
    if len(said) > 1:
        raise wrong(f"`{said[0]}` and `{said[1]}` are two sources; keep one", key=said[1])
    if not said:
        listed = ", ".join(f"`{source}`" for source in sources)
        raise wrong(f"{what} from one of {listed}, and none is here")
    return said[0]


def _belongs(part: Signal | States, key: str, source: str) -> None:
    if getattr(part, key) is not None and getattr(part, source, None) is None:
        raise wrong(f"`{key}` goes with `{source}`", key=key)
