"""The mail of a run as it left the providers: each copy with its message, return path and sending address.

A run keeps it beside its history, in `outbound/`; an index tells which receipt a message belongs to. Copies
by other channels than mail are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from harness.history.store import History

INDEX = Path("outbound") / "index.jsonl"
ZONE = "dns.zone"


@dataclass(frozen=True)
class Copy:
    """What one customer got. `message` is None where the run did not keep it."""

    token: str | None
    recipient: str
    route: str
    class_: str | None
    message: bytes | None
    mail_from: str
    egress: str
    wall_s: float


# One row per copy, in the order of the record; of those without a message `file` is null.
COPIES = """
select c.token, c.recipient, c.route, c.class, i.file, i."offset", i.bytes, i.mail_from, i.egress, c.end_ns
from copies c
join events e on e.run = c.run and e.seq = c.seq
left join read_json($index, format = 'newline_delimited', columns = {
    source: 'VARCHAR', n: 'BIGINT', file: 'VARCHAR', "offset": 'BIGINT', bytes: 'BIGINT',
    mail_from: 'VARCHAR', egress: 'VARCHAR'}) i
    on i.source = e.source and i.n = e.n
where c.run = $run and not c.baseline and contains(c.recipient, '@')
order by c.seq
"""


def copies(history: History, run: str, folder: Path) -> Iterator[Copy]:
    """Raises OSError where the folder has no index or lacks a file of it."""
    if not (folder / INDEX).is_file():
        raise FileNotFoundError(f"there is no {INDEX} in {folder}")
    start_s = datetime.fromisoformat(history.run_started(run).wall_start).timestamp()
    rows = history.con.execute(COPIES, {"run": run, "index": str(folder / INDEX)}).fetchall()
    with ExitStack() as open_packs:
        packs: dict[str, IO[bytes]] = {}
        for token, recipient, route, class_, file, offset, size, mail_from, egress, end_ns in rows:
            message = None
            if file is not None:
                if file not in packs:
                    packs[file] = open_packs.enter_context((folder / INDEX).with_name(file).open("rb"))
                packs[file].seek(offset)
                message = packs[file].read(size)
            yield Copy(
                token,
                recipient,
                route,
                class_,
                message,
                mail_from or "",
                egress or "",
                start_s + end_ns / 1e9,
            )
