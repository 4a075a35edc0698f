"""Find what is stored from what a person typed: a folder or file, a run's name, `last`; or many at once."""

from __future__ import annotations

import difflib
from glob import has_magic
from pathlib import Path

from harness.cli.exits import CommandError

HISTORIES = ("history.jsonl", "history.parquet")


def runs_under(out: Path) -> list[Path]:
    """The run folders under `out`, oldest first; their names begin with their time of start."""
    if not out.is_dir():
        return []
    return sorted(path for path in out.iterdir() if any((path / name).is_file() for name in HISTORIES))


def find_history(text: str, out: Path) -> Path | str:
    """Like `find_run`, and many runs at once: a folder of them, a pattern, an address in a bucket."""
    from harness.history.errors import HistoryNotFound
    from harness.history.sources import find, is_remote

    if is_remote(text):
        return text
    if text == "last" or Path(text).is_file() or ((out / text).exists() and not Path(text).exists()):
        return find_run(text, out)
    if not Path(text).is_dir() and not has_magic(text):
        return find_run(text, out)
    try:
        find(text)
    except HistoryNotFound as error:
        raise CommandError(
            str(error), do="name a run's folder, a folder of runs, or a pattern that matches some"
        ) from error
    return Path(text)


def find_run(text: str, out: Path) -> Path:
    """The run folder (or the one file of events) that `text` means; CommandError when there is none."""
    runs = runs_under(out)
    if text == "last":
        if not runs:
            raise CommandError(
                "there is no run yet",
                where=str(out),
                do="`harness run SCENARIO` makes one; --out names its folder",
            )
        return runs[-1]
    for path in (Path(text), out / text):
        if path.is_file():
            return path
        if path.is_dir():
            if any((path / name).is_file() for name in HISTORIES):
                return path
            raise CommandError(
                f"{path} is not the folder of a run: it holds neither {' nor '.join(HISTORIES)}",
                meant=_nearest_below(path),
                do="name a folder that `harness run` printed, or say `last`",
            )
    near = difflib.get_close_matches(Path(text).name, [run.name for run in runs], n=1, cutoff=0.5)
    raise CommandError(
        f"there is no run '{text}'",
        where=f"neither here nor in {out}",
        meant=str(out / near[0]) if near else None,
        do="name a run folder, or say `last` for the newest",
    )


def _nearest_below(path: Path) -> str | None:
    inside = runs_under(path)
    return f"{inside[-1]} (the newest of {len(inside)} in there)" if inside else None
