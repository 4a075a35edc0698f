"""Where histories lie: folders, files, patterns and buckets in, the files that hold events out.

A run's folder, a file, a folder of runs, a folder of Parquet files, a pattern such as
`reports/runs/*/history.parquet`, or an address in S3-compatible storage. What is nowhere to be found says
where it was looked for.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.history.errors import HistoryNotFound

LINES = "history.jsonl"
PARQUET = "history.parquet"
BUCKET = "s3://"
_EVENTS = (".jsonl", ".parquet")


@dataclass(frozen=True)
class Source:
    """One file with events, or a pattern in a bucket; and the providers' journals that may hold more."""

    place: str
    providers: Path | None = None
    folder: Path | None = None  # of the run, where that was named rather than the file

    @property
    def parquet(self) -> bool:
        return self.remote or self.place.endswith(".parquet")

    @property
    def remote(self) -> bool:
        return self.place.startswith(BUCKET)


def find(where: str | Path | Sequence[str | Path]) -> list[Source]:
    """Every file with events, in order. Raises HistoryNotFound."""
    places = [where] if isinstance(where, str | Path) else list(where)
    return [source for place in places for source in _find(place)]


def _find(place: str | Path) -> Iterator[Source]:
    if is_remote(place):
        yield Source(_remote_name(str(place)))
        return
    path = Path(place)
    if path.is_file():
        yield Source(str(path))
    elif path.is_dir():
        yield from _in_folder(path)
    elif glob.has_magic(str(place)):
        matches = [Path(match) for match in sorted(glob.glob(str(place), recursive=True))]  # noqa: PTH207  it may be absolute
        held = [
            source
            for match in matches
            if match.suffix in _EVENTS or holds_events(match)
            for source in _find(match)
        ]
        if not held:
            raise HistoryNotFound(f"there is no history at {place}: nothing that matches holds one")
        yield from held
    else:
        raise HistoryNotFound(f"there is no history at {place}: no such file or folder")


def is_remote(place: str | Path) -> bool:
    return isinstance(place, str) and place.startswith(BUCKET)


def _remote_name(address: str) -> str:
    """A bucket's folder stands for all Parquet files in and below it."""
    inside = address.removeprefix(BUCKET).rstrip("/")
    return address if address.endswith(".parquet") else f"{BUCKET}{inside}/**/*.parquet"


def _in_folder(folder: Path) -> Iterator[Source]:
    own = _own(folder)
    if own:
        yield from own
        return
    runs = [each for each in sorted(folder.iterdir()) if each.is_dir() and holds_events(each)]
    if not runs:
        raise HistoryNotFound(
            f"there is no history at {folder}: no {LINES} and no Parquet file in it, nor in a folder in it"
        )
    for run in runs:
        yield from _own(run)


def holds_events(folder: Path) -> bool:
    """Whether it is the folder of one run, rather than of several, or of none."""
    return folder.is_dir() and bool(_own(folder))


def _own(folder: Path) -> list[Source]:
    """The newer of lines and Parquet; without either, all other Parquet files together."""
    lines, parquet = folder / LINES, folder / PARQUET
    if parquet.is_file() and (not lines.is_file() or parquet.stat().st_mtime_ns >= lines.stat().st_mtime_ns):
        return [Source(str(parquet), folder=folder)]
    if lines.is_file():
        return [Source(str(lines), folder / "providers", folder)]
    return [Source(str(file), folder=folder) for file in sorted(folder.glob("*.parquet"))]
