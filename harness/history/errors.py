"""What can go wrong with a history.

HistoryError
├── JournalError     an event could not be written; the run cannot go on (exit 70)
├── HistoryNotFound  there is no history at that path
├── HistoryTooNew    written by a later version of the harness
└── HistoryDamaged   a line other than the last one cannot be read
"""

from __future__ import annotations


class HistoryError(Exception):
    """The message says what was wrong, where, and what to do."""


class JournalError(HistoryError):
    pass


class HistoryNotFound(HistoryError):
    pass


class HistoryTooNew(HistoryError):
    pass


class HistoryDamaged(HistoryError):
    pass
