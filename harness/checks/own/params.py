"""A check of one's own as a history holds it: where its text stood, the text itself, what it was given."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, model_validator

from harness.checks.params import CheckParams


class Need(StrEnum):
    """What a pass stands on beside a whole record."""

    EXPOSURE = "exposure"  # the system met every fault
    EXACT_TIMES = "exact-times"  # no receipt was read back after the fact


EVERYTHING = tuple(Need)


class Params(CheckParams):
    """One of `sql` and `python` says what kind it is, and what its file was called."""

    sql: str | None = None
    python: str | None = None
    """`FILE:FUNCTION`."""
    params: dict[str, Any] = Field(default_factory=dict)
    needs: Annotated[tuple[Need, ...], Field(strict=False)] = EVERYTHING
    text: str
    """The whole file, as it was when the run began."""

    @model_validator(mode="after")
    def _of_one_kind(self) -> Params:
        if (self.sql is None) == (self.python is None):
            raise ValueError("a check of one's own is either `sql` or `python`")
        return self

    @property
    def where(self) -> str:
        return self.sql or self.python or ""

    @property
    def shown(self) -> dict[str, Any]:
        """Without the text, which the history has."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"text"})
