"""Checks of the user's own under `expect: own:`: a query or a function, read and tried when a file is loaded.

What is wrong with one is a mistake in the scenario, found before anything starts. The texts are kept with
the scenario, so that what decides a run is what stood there when it was loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PrivateAttr, WithJsonSchema, model_validator

from harness.checks.own import NotUsable, function, query
from harness.checks.own.params import EVERYTHING, Need, Params
from harness.scenario.document import Document
from harness.scenario.errors import Problem, nearest
from harness.scenario.part import Part, Text, exactly_one, wrong

MOST_BYTES = 256 * 1024

Plain = Annotated[
    dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=60)], Any],
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]


class OwnCheck(Part):
    """A check of your own: a query in SQL, or a function in Python."""

    model_config = ConfigDict(**exactly_one("sql", "python"))

    sql: Text | None = None
    """A file with one query; each row is a thing it looked at, `why` says what is wrong with it."""
    python: Text | None = None
    """`FILE:FUNCTION`; the function is given the history, the run and `params`."""
    params: Plain = Field(default_factory=dict)
    """What it is given; a query asks for it as `$name`."""
    needs: tuple[Need, ...] = EVERYTHING
    """What a pass stands on, beside a whole record; by default all of it."""

    _text: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _of_one_kind(self) -> OwnCheck:
        if (self.sql is None) == (self.python is None):
            raise wrong(
                "a check of your own is either `sql` or `python`",
                advice="For example `{sql: checks/late-mail.sql}` or `{python: checks/vip.py:vip_first}`.",
            )
        if self.python is not None:
            try:
                function.split(self.python)
            except NotUsable as error:
                raise wrong(error.what, key="python", advice=error.do) from error
        if "run" in self.params:
            raise wrong("`run` is the run's own name", key="params", advice="Call it something else.")
        return self

    @property
    def kind(self) -> str:
        return "sql" if self.sql is not None else "python"

    @property
    def file(self) -> str:
        """As written; relative to the scenario file."""
        return self.sql if self.sql is not None else function.split(self.python or "")[0]

    def read(self, folder: Path) -> None:
        """Take the file's text, and try it. Raises NotUsable."""
        path = folder / self.file
        self._text = _text_of(path, self.file)
        if self.sql is not None:
            query.prepare(self._text, self.params)
        else:
            function.function_of(self._text, self.python or "")

    def recorded(self) -> Params:
        """As a history holds it."""
        return Params(sql=self.sql, python=self.python, params=self.params, needs=self.needs, text=self._text)


def own_problems(checks: dict[str, OwnCheck], document: Document) -> Iterator[Problem]:
    """Whatever keeps a check of one's own from being asked; the texts are read in the same go."""
    folder = Path(document.file).parent
    for name, check in checks.items():
        try:
            check.read(folder)
        except NotUsable as error:
            where = ("expect", "own", name, check.kind)
            message = (
                error.what if error.what.startswith("there is no file") else f"{check.file}: {error.what}"
            )
            yield document.problem(where, message, advice=error.do, meant=error.meant)


def _text_of(path: Path, as_written: str) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NotUsable(f"is larger than {MOST_BYTES // 1024} KiB, which no check needs")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        there = (
            sorted(each.name for each in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
        )
        meant = nearest(path.name, there)
        raise NotUsable(
            f"there is no file {path}", meant=str(Path(as_written).with_name(meant)) if meant else ""
        ) from error
    except OSError as error:
        raise NotUsable(f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise NotUsable("is not UTF-8", "Save the file as UTF-8.") from error
