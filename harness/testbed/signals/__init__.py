"""Reading what the SUT says of itself: one reader for all signals, one file for each kind of source.

A source gives a document (source.py), a question finds a signal's value in it (question.py), the reader polls
and journals (reader.py). `readings.py` makes both from a scenario.
"""
