"""What can go wrong with a history.

HistoryError
├── JournalError     an event could not be written; the run cannot go on (exit 70)
├── HistoryNotFound  there is no history at that path (NothingStored: in that bucket)
├── HistoryTooNew    written by a later version of the harness
├── HistoryDamaged   a line other than the last one cannot be read
├── MemoryUnreadable (connection.py)
└── StorageClientMissing, StorageRefused, StorageUnreachable (bucket.py)
"""

from __future__ import annotations


class HistoryError(Exception):
    """The message says what was wrong and where, `do` what to do about it."""

    do = "check that the file is whole"


class JournalError(HistoryError):
    pass


class HistoryNotFound(HistoryError):
    do = "name the folder of a run, its history.jsonl or history.parquet, or `last`"


class HistoryTooNew(HistoryError):
    do = "judge it with the harness that recorded it, or a newer one; `harness --version` tells which this is"


class HistoryDamaged(HistoryError):
    pass
