"""The checks once more, slowly: plain Python over the events, every rule spelt out, nothing shared with
the views.

It follows the words of the definitions, not the SQL: nested loops, exact fractions, no cleverness.
Agreement of the two on very many random histories is what makes either believable. `Record` reads a run;
each module answers for one family of checks.
"""

from tests.checks.model.record import Record

__all__ = ["Record"]
