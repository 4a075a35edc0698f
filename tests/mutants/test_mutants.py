"""The means of `make mutants`: SQL written anew means the same, and a slip is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks import test_against_model as against_model
from tests.mutants import embedded, python, views
from tests.mutants.databases import Database
from tests.mutants.judging import of_chance, own_test_fails
from tests.mutants.killing import Children, Fate
from tests.mutants.placing import put_in_place
from tests.mutants.sql import mutations


@pytest.fixture(scope="module")
def chance() -> Iterator[Database]:
    database = of_chance(40)
    database.remember()
    yield database
    database.con.close()


def test_each_view_as_sqlglot_writes_it_says_the_same(chance: Database) -> None:
    for path in views.files():
        for mutant in views.rewritten(path):
            assert not chance.differing(chance.rebuild(mutant)), mutant.name


def test_a_slip_in_a_view_is_noticed() -> None:
    database = of_chance(40)
    database.remember()
    true = against_model.delivered(database.con)
    path = next(path for path in views.files() if path.stem == "runs")
    slip = next(
        each for each in views.mutants(path) if each.where == "_messages" and each.operator == "filter"
    )
    assert database.differing(database.rebuild(slip))
    assert against_model.delivered(database.con) != true
    database.con.close()


def test_a_slip_in_a_module_is_noticed_by_the_test_of_its_own() -> None:
    slip = next(
        each for each in python.mutants(Path("harness/checks/mail/zone.py")) if each.where == "public_part"
    )
    fates: list[Fate] = []
    children = Children(1)
    for place in (False, True):

        def work(place: bool = place) -> Fate:
            if place:
                put_in_place(slip)
            return Fate.BY_TEST if own_test_fails("mail/zone.py") else Fate.SURVIVED

        children.run(work, fates.append)
        children.finish()
    assert fates == [Fate.SURVIVED, Fate.BY_TEST]


def test_what_an_update_sets_is_no_comparison() -> None:
    text = "update t set known = true from u where t.a = u.a"
    changed = [mutated for operator, _, mutated, _ in mutations(text) if operator == "comparison"]
    assert changed == ["UPDATE t SET known = TRUE FROM u WHERE t.a <> u.a"]


@pytest.mark.parametrize("source", [python, embedded])
def test_mutants_compile_and_say_where_they_are(source: object) -> None:
    found = list(source.mutants(Path("harness/checks/flapping.py")))  # type: ignore[attr-defined]
    assert found
    for mutant in found:
        compile(mutant.text, str(mutant.path), "exec")
        assert 1 <= mutant.line <= mutant.text.count("\n") + 1
