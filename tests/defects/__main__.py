"""`make defects`: every planted bug of the reference system is caught by its check, the right one by none.

    python -m tests.defects                          all of it, and writes docs/defects.md
    python -m tests.defects --only slow-detect       the rows of one defect; `right` is the system without any
    python -m tests.defects --third 2/3 --seeds 2    a third of the rows, with two seeds of the right system

Ends with 0 if every row is as intended, 1 if one is not or could not be judged, 130 if interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.defects import page
from tests.defects.claims import all_claims
from tests.defects.conduct import Tell, conduct
from tests.defects.judged import Judged, Row
from tests.ran import ROOT

SEEDS = 20
AT_ONCE = 4
RIGHT = "right"


def rows(seeds: int) -> list[Row]:
    """Each claim, then the right system in the places that claims name: each seed in two of five, and the
    next ones in the others, so that all of it takes less than a quarter of an hour and not half of one."""
    claims = all_claims()
    places = list(dict.fromkeys(claim.place for claim in claims))
    planted = [Row(claim.place, claim) for claim in claims]
    return planted + [
        Row(place, seed=seed)
        for seed in range(1, seeds + 1)
        for number, place in enumerate(places)
        if (2 * seed + number) % 5 < 2
    ]


def chosen(every: Sequence[Row], only: Sequence[str], third: int | None) -> list[Row]:
    """Raises ValueError for a name that no row has."""
    named = {RIGHT if row.claim is None else str(row.claim.defect) for row in every}
    if strange := [name for name in only if name not in named]:
        raise ValueError(f"no row is about {strange[0]!r}; there are: {', '.join(sorted(named))}")
    found = [row for row in every if not only or (row.claim.defect if row.claim else RIGHT) in only]
    planted = [row for row in found if row.claim]
    right = [row for row in found if not row.claim]
    return found if third is None else planted[third - 1 :: 3] + right[third - 1 :: 3]


def third_of(text: str) -> int:
    """`2/3`, or `today`: by the day, so that three days in a row run all."""
    if text == "today":
        return date.today().toordinal() % 3 + 1
    if found := re.fullmatch(r"([123])/3", text):
        return int(found[1])
    raise argparse.ArgumentTypeError(f"{text!r} is no third; write 1/3, 2/3, 3/3 or today")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.defects", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--only", action="append", default=[], metavar="DEFECT", help="may be repeated")
    parser.add_argument("--third", type=third_of, metavar="K/3", help="1/3, 2/3, 3/3, or today: by the day")
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, help="of the right system, each in two of five scenarios"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "runs" / "defects")
    options = parser.parse_args(arguments)
    try:
        todo = chosen(rows(options.seeds), options.only, options.third)
    except ValueError as error:
        parser.error(str(error))
    if options.third is not None:
        again = f"--third {options.third}/3 --seeds {options.seeds}"
        print(f"third {options.third} of 3; the same again: python -m tests.defects {again}")
    began, done = time.monotonic(), 0

    def tell(judged: Judged, took_s: float, folder: Path) -> None:
        nonlocal done
        done += 1
        print(f"{done:4}/{len(todo)} {judged.row!s:68} {took_s:4.0f} s  {outcome(judged)}", flush=True)
        if not judged.as_intended:
            print(f"          kept: {folder}", flush=True)

    try:
        judged = asyncio.run(interruptible(todo, options.out, tell))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; what was running has been healed", file=sys.stderr)
        return 130
    wrong = [each for each in judged if each.wrong]
    trouble = [each for each in judged if each.trouble]
    good = len(judged) - len(wrong) - len(trouble)
    took = f"{(time.monotonic() - began) / 60:.1f} min"
    print(f"as intended: {good}, not: {len(wrong)}, not judged for trouble: {len(trouble)}; {took}")
    if wrong or trouble:
        return 1
    if not options.only and options.third is None:
        page.write(judged)
        print(f"wrote {page.PAGE.relative_to(ROOT)}")
    return 0


async def interruptible(todo: Sequence[Row], out: Path, tell: Tell) -> list[Judged]:
    """SIGTERM cancels it, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await conduct(todo, out, AT_ONCE, tell)


def outcome(judged: Judged) -> str:
    if judged.trouble:
        return f"TROUBLE: {judged.trouble}"
    if judged.wrong:
        return f"NOT AS INTENDED: {'; '.join(judged.wrong)}"
    return f"caught by {', '.join(judged.row.claim.checks)}" if judged.row.claim else "nothing raised"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
