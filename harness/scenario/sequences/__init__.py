"""Compound presets: outages that people know by name, each a YAML file in this folder.

A file tells what happened, where that is known from, which presets it is for, and the steps: ordinary faults
at times relative to its beginning. `library` reads them; expand.py puts them into a scenario. A new one is a
new file, and nothing else changes.
"""
