"""What can be wrong with a SQL statement: small changes of its syntax tree, by sqlglot.

`mutations` takes the text of one statement and yields (operator, before -> after, mutated text, line in it).
Each operator is a slip that people make: the other comparison, one more or less, the other join, a condition
or a key left out or turned round, the other aggregate, `union` for `union all`, `coalesce` forgotten,
`and` for `or`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlglot
from sqlglot import ErrorLevel, exp

from tests.mutants.mutant import one_line

DIALECT = "duckdb"

# What to put in the place of a node: takes the copy of the node, gives the new one (or changes its parents).
Change = Callable[[exp.Expression], exp.Expression | None]

COMPARISONS: dict[type[exp.Expression], tuple[type[exp.Binary], ...]] = {
    exp.LT: (exp.LTE, exp.GTE),
    exp.LTE: (exp.LT, exp.GT),
    exp.GT: (exp.GTE, exp.LTE),
    exp.GTE: (exp.GT, exp.LT),
    exp.EQ: (exp.NEQ,),
    exp.NEQ: (exp.EQ,),
    exp.NullSafeNEQ: (exp.NEQ, exp.NullSafeEQ),
}
ARITHMETIC: dict[type[exp.Expression], type[exp.Binary]] = {
    exp.Add: exp.Sub, exp.Sub: exp.Add, exp.Mul: exp.Div, exp.Div: exp.Mul,
}  # fmt: skip
AGGREGATES: dict[type[exp.Expression], type[exp.Expression]] = {
    exp.Min: exp.Max, exp.Max: exp.Min, exp.Sum: exp.Max, exp.ArgMax: exp.ArgMin, exp.ArgMin: exp.ArgMax,
    exp.LogicalOr: exp.LogicalAnd, exp.LogicalAnd: exp.LogicalOr, exp.First: exp.Last, exp.Last: exp.First,
    exp.FirstValue: exp.LastValue, exp.LastValue: exp.FirstValue, exp.Lag: exp.Lead, exp.Lead: exp.Lag,
    exp.Greatest: exp.Least, exp.Least: exp.Greatest,
}  # fmt: skip


def parsed(text: str) -> exp.Expression:
    """One statement. Raises sqlglot.errors.SqlglotError."""
    tree = sqlglot.parse_one(text, dialect=DIALECT)
    if isinstance(tree, exp.Command):
        raise sqlglot.errors.ParseError(f"not understood: {text[:60]}")
    return tree


def written(tree: exp.Expression) -> str:
    return tree.sql(DIALECT, comments=False, unsupported_level=ErrorLevel.IGNORE)


def mutations(text: str) -> Iterator[tuple[str, str, str, int]]:
    tree = parsed(text)
    for index, node in enumerate(tree.walk()):
        for operator, change in _changes(node):
            copy = tree.copy()
            target = next(each for at, each in enumerate(copy.walk()) if at == index)
            around = _around(target)
            before = written(around)
            put = change(target)
            if put is not None and put is not target:
                if target is around:
                    around = put
                target.replace(put)
            after = written(around) if around.parent or around is not target else "nothing"
            yield operator, f"{one_line(before)} -> {one_line(after)}", written(copy), _line(node)


def _line(node: exp.Expression) -> int:
    """Of the first name in it; the nearest one around it that has any."""
    at: exp.Expression | None = node
    while at is not None:
        lines = [each.meta["line"] for each in at.walk() if "line" in each.meta]
        if lines:
            return int(min(lines))
        at = at.parent
    return 1


def _around(node: exp.Expression, most: int = 100) -> exp.Expression:
    """As much of the statement around a node as still fits a name: `1` alone would say nothing."""
    while (
        node.parent is not None
        and not isinstance(node.parent, exp.Select | exp.Create | exp.Subquery)
        and len(written(node.parent)) <= most
    ):
        node = node.parent
    return node


def _changes(node: exp.Expression) -> Iterator[tuple[str, Change]]:
    kind = type(node)
    assigns = isinstance(node.parent, exp.Update) and node.arg_key == "expressions"
    for other in () if assigns else COMPARISONS.get(kind, ()):
        yield "comparison", lambda n, other=other: other(this=n.this, expression=n.expression)
    if kind is exp.Between:
        yield "comparison", lambda n: _open(n, exp.GT, exp.LTE)
        yield "comparison", lambda n: _open(n, exp.GTE, exp.LT)
    if kind in ARITHMETIC:
        yield "arithmetic", lambda n: ARITHMETIC[type(n)](this=n.this, expression=n.expression)
    if kind is exp.Literal and not node.is_string and not _is_type_size(node):
        for step in (1, -1):
            yield "boundary", lambda n, step=step: _stepped(n, step)
    if kind is exp.Boolean:
        yield "boundary", lambda n: exp.Boolean(this=not n.this)
    yield from _aggregates(node)
    yield from _joins(node)
    yield from _filters(node)
    yield from _keys(node)
    if kind is exp.Union:
        if not node.args.get("distinct"):
            yield "union", lambda n: _set(n, "distinct", True)
        yield "union", lambda n: n.expression
        yield "union", lambda n: n.this
    if kind in (exp.Coalesce, exp.Nullif):
        yield "coalesce", lambda n: n.this
    if kind is exp.And:
        yield "logic", lambda n: exp.Or(this=n.this, expression=n.expression)
    if kind is exp.Or:
        yield "logic", lambda n: exp.And(this=n.this, expression=n.expression)
        yield "filter", lambda n: n.this
        yield "filter", lambda n: n.expression
    if kind is exp.Not:
        yield "filter", lambda n: n.this
    if kind is exp.Distinct and isinstance(node.parent, exp.Select):
        yield "distinct", _gone
    if kind is exp.If and isinstance(node.parent, exp.Case) and len(node.parent.args["ifs"]) > 1:
        yield "case", _gone
    if kind is exp.Case and node.args.get("default") is not None:
        yield "case", lambda n: _set(n, "default", None)


def _aggregates(node: exp.Expression) -> Iterator[tuple[str, Change]]:
    kind = type(node)
    if kind in AGGREGATES:
        yield "aggregate", lambda n: AGGREGATES[type(n)](**{k: v for k, v in n.args.items() if v is not None})
    if kind is exp.AnyValue and not isinstance(node.parent, exp.Filter):  # null takes no filter
        yield "aggregate", lambda n: exp.Null()
    if kind is exp.Count and not isinstance(node.this, exp.Star | None.__class__):
        if isinstance(node.this, exp.Distinct):
            yield "aggregate", lambda n: exp.Count(this=n.this.expressions[0])
        else:
            yield "aggregate", lambda n: exp.Count(this=exp.Distinct(expressions=[n.this]))
    if kind is exp.Filter:
        yield "filter", lambda n: n.this


def _joins(node: exp.Expression) -> Iterator[tuple[str, Change]]:
    if not isinstance(node, exp.Join) or node.args.get("method"):
        return
    if node.side == "LEFT":
        yield "join", lambda n: _set(n, "side", None)
    elif not node.kind and (node.args.get("on") or node.args.get("using")):
        yield "join", lambda n: _set(n, "side", "LEFT")
    if node.args.get("on") is not None:
        for index in range(len(_conjuncts(node.args["on"]))):
            yield "join", lambda n, index=index: _set(n, "on", _without(n.args["on"], index) or exp.true())
    for index in range(len(node.args.get("using") or ())):
        if len(node.args["using"]) > 1:
            yield "join", lambda n, index=index: _drop(n, "using", index)


def _filters(node: exp.Expression) -> Iterator[tuple[str, Change]]:
    if not isinstance(node, exp.Where | exp.Having | exp.Qualify):
        return
    conjuncts = _conjuncts(node.this)
    for index in range(len(conjuncts)):
        if len(conjuncts) > 1:
            yield "filter", lambda n, index=index: _set(n, "this", _without(n.this, index))
    if len(conjuncts) == 1:
        yield "filter", lambda n: _set(n, "this", exp.true())
    yield "filter", lambda n: _set(n, "this", exp.Not(this=exp.Paren(this=n.this)))


def _keys(node: exp.Expression) -> Iterator[tuple[str, Change]]:
    if isinstance(node, exp.Window):
        for index in range(len(node.args.get("partition_by") or ())):
            yield "partition", lambda n, index=index: _drop(n, "partition_by", index)
        if node.args.get("spec") is not None:
            yield "partition", lambda n: _set(n, "spec", None)
    if isinstance(node, exp.Order):
        for index in range(len(node.expressions)):
            if len(node.expressions) > 1:
                yield "partition", lambda n, index=index: _drop(n, "expressions", index)
    if isinstance(node, exp.Ordered):
        yield "partition", lambda n: _set(n, "desc", not n.args.get("desc"))
    if isinstance(node, exp.Tuple) and isinstance(node.parent, exp.ArgMax | exp.ArgMin):
        for index in range(len(node.expressions)):
            yield "partition", lambda n, index=index: _drop(n, "expressions", index)


def _conjuncts(condition: exp.Expression) -> list[exp.Expression]:
    while isinstance(condition, exp.Paren):
        condition = condition.this
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def _without(condition: exp.Expression, index: int) -> exp.Expression | None:
    rest = [each.copy() for at, each in enumerate(_conjuncts(condition)) if at != index]
    return exp.and_(*rest, copy=False) if rest else None


def _open(node: exp.Expression, low: type[exp.Binary], high: type[exp.Binary]) -> exp.Expression:
    return exp.Paren(
        this=exp.And(
            this=low(this=node.this.copy(), expression=node.args["low"]),
            expression=high(this=node.this.copy(), expression=node.args["high"]),
        )
    )


def _stepped(node: exp.Expression, step: int) -> exp.Expression:
    value = float(node.name) if any(sign in node.name for sign in ".eE") else int(node.name)
    return (
        exp.Literal.number(repr(value + step))
        if value + step >= 0
        else exp.Paren(this=exp.Neg(this=exp.Literal.number(repr(-(value + step)))))
    )


def _is_type_size(node: exp.Expression) -> bool:
    return isinstance(node.parent, exp.DataType | exp.DataTypeParam)


def _set(node: exp.Expression, key: str, value: object) -> exp.Expression:
    node.set(key, value)
    return node


def _drop(node: exp.Expression, key: str, index: int) -> exp.Expression:
    node.set(key, [each for at, each in enumerate(node.args[key]) if at != index])
    return node


def _gone(node: exp.Expression) -> None:
    node.pop()
