"""Mutants of the checks' Python, by cosmic-ray's operators.

Its own runner starts a process for each mutant and writes to the source; here its operators alone are
used, and the mutants are run as those of SQL are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from tests.mutants.mutant import ROOT, Mutant, one_line

OPERATORS = {
    "comparison": (
        "ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_Lt_GtE",
        "ReplaceComparisonOperator_LtE_Lt", "ReplaceComparisonOperator_LtE_Gt",
        "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_Gt_LtE",
        "ReplaceComparisonOperator_GtE_Gt", "ReplaceComparisonOperator_GtE_Lt",
        "ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq",
        "ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is",
    ),
    "boundary": ("NumberReplacer", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    "logic": ("AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceUnaryOperator_Delete_Not"),
    "arithmetic": (
        "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add", "ReplaceBinaryOperator_Mul_Div",
        "ReplaceBinaryOperator_Div_Mul", "ReplaceUnaryOperator_Delete_USub",
    ),
    "loop": ("ZeroIterationForLoop", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
}  # fmt: skip
WORDING = ("summary", "why", "formula", "error")


def mutants(path: Path) -> Iterator[Mutant]:
    source = (ROOT / path).read_text(encoding="utf-8")
    tree = ast.parse(source)
    for kind, names in OPERATORS.items():
        for name in names:
            operator = get_operator(f"core/{name}")()
            occurrence = 0
            while (text := mutate_code(source, operator, occurrence)) is not None:
                occurrence += 1
                try:
                    mutated = ast.parse(text)
                except SyntaxError:  # `*` that is no multiplication
                    continue
                found = _difference(tree, mutated)
                if found is not None and not _means_nothing(found[1]):
                    where, before, after, line = found
                    yield Mutant(path, where, kind, f"{one_line(before)} -> {one_line(after)}", text, line)


def _means_nothing(code: str) -> bool:
    """What only type checkers see, or keeps from being changed what nobody changes."""
    return "TYPE_CHECKING" in code or "frozen=" in code


def _is_wording(node: ast.AST) -> bool:
    """What is told to people: it is read by them, and no verdict depends on it."""
    return (
        isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.keyword) and node.arg in WORDING)
        or (isinstance(node, ast.FunctionDef) and node.name in ("_summary", "_why"))
        or (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in WORDING
        )
    )


def _difference(one: ast.AST, other: ast.AST, most: int = 100) -> tuple[str, str, str, int] | None:
    """Which function differs, the smallest part of it that still says what it is about, and its line; None
    where nothing differs but what is said."""
    where: list[str] = []
    told = ("", "")
    line = 1
    while True:
        if _is_wording(one):
            return None
        line = getattr(one, "lineno", line)
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            where.append(one.name)
        elif isinstance(one, ast.Assign) and not where and isinstance(one.targets[0], ast.Name):
            where.append(one.targets[0].id)
        if isinstance(one, ast.expr | ast.stmt):
            texts = ast.unparse(one), ast.unparse(other)
            if texts[0] == texts[1]:
                return None
            if not told[0] or len(told[0]) > most:
                told = texts
        mine, theirs = list(ast.iter_child_nodes(one)), list(ast.iter_child_nodes(other))
        unlike = [(a, b) for a, b in zip(mine, theirs, strict=False) if ast.dump(a) != ast.dump(b)]
        if len(mine) != len(theirs) or len(unlike) != 1:
            return (".".join(where) or "module", *told, line) if told[0] else None
        one, other = unlike[0]
