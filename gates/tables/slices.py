"""Turn a parsed slice condition into a frame expression, held against the kinds of the columns.

A comparison across kinds is refused, not guessed: text "7" equals the number 7 on one engine and
not on another.
"""

from __future__ import annotations

import datetime as dt
import functools
import operator
from typing import TYPE_CHECKING, Any, cast

import narwhals as nw

from gates.errors import InputError
from gates.fields import bounded
from gates.tables.canonical import Column, Kind
from gates.where import AllOf, AnyOf, Compare, Member, Missing, Name, Node, Not, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMERIC = (Kind.INTEGER, Kind.NUMBER)
_CALLED = {bool: "True/False", int: "a number", float: "a number", str: "quoted text"}


def expression(where: Where, columns: Mapping[str, Column], table: str) -> nw.Expr:
    """Return the condition as true/false per row; where it is unknown, the row is out.

    Raises InputError when a column's kind does not fit what it is compared with.
    """
    return _Translator(where, columns, table).node(where.tree).fill_null(value=False)


class _Translator:
    def __init__(self, where: Where, columns: Mapping[str, Column], table: str) -> None:
        self.where = where
        self.columns = columns
        self.table = table

    def node(self, node: Node) -> nw.Expr:
        match node:
            case Name():
                self.fit(node, True)  # noqa: FBT003  (the value it is asked to fit)
                return self.column(node)
            case Missing(column=column):
                return self.column(column).is_null()
            case Not(part=part):
                return ~self.node(part)
            case AllOf(parts=parts):
                return functools.reduce(operator.and_, map(self.node, parts))
            case AnyOf(parts=parts):
                return functools.reduce(operator.or_, map(self.node, parts))
            case Member(column=column, values=values):
                members = [self.column(column) == self.fit(column, v.value) for v in values]
                return functools.reduce(operator.or_, members)
        return self.compare(node)

    def compare(self, node: Compare) -> nw.Expr:
        if isinstance(node.other, Name):
            self.same(node.column, node.other)
            value = self.column(node.other)
        else:
            value = self.fit(node.column, node.other.value)
        # mypy knows the operators only as functions of anything.
        return cast("nw.Expr", _COMPARE[node.operator](self.column(node.column), value))

    def column(self, name: Name) -> nw.Expr:
        return nw.col(self.columns[name.name].field)

    def fit(self, name: Name, value: bool | float | str) -> nw.Expr:  # noqa: FBT001
        """Return the value as something the column can be compared with."""
        column = self.columns[name.name]
        match value:
            case bool() if column.kind is Kind.BOOLEAN:
                return nw.lit(value)
            case int() | float() if column.kind in _NUMERIC and not isinstance(value, bool):
                return nw.lit(value)
            case str() if column.kind is Kind.TEXT:
                return nw.lit(value)
            case str() if column.kind is Kind.TEMPORAL:
                return nw.lit(self.moment(value))
        raise self.mismatch(name, column, _CALLED[type(value)])

    def moment(self, value: str) -> dt.datetime:
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            message = f"`{bounded(value)}` is no ISO date or time"
            raise self.error(
                message, 'Write it as "2026-01-31" or "2026-01-31T08:00:00Z".'
            ) from None
        return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment

    def same(self, left: Name, right: Name) -> None:
        kinds = {self.columns[side.name].kind for side in (left, right)}
        if Kind.OTHER in kinds or (len(kinds) > 1 and kinds != set(_NUMERIC)):
            message = f"compares `{bounded(left.name)}` with `{bounded(right.name)}`"
            both = " with ".join(self.columns[side.name].kind for side in (left, right))
            raise self.error(f"{message}: {both}", "Compare columns of one kind.")

    def mismatch(self, name: Name, column: Column, value: str) -> InputError:
        hint = {
            Kind.TEXT: "Quote the value, or mend what is no number in the data.",
            Kind.BOOLEAN: "Compare with True or False.",
            Kind.INTEGER: "Write the value as a number, without quotes.",
            Kind.NUMBER: "Write the value as a number, without quotes.",
            Kind.TEMPORAL: 'Compare with a quoted ISO date, such as "2026-01-31".',
        }.get(column.kind)
        message = f"compares `{bounded(name.name)}`, which holds {column.kind}, with {value}"
        return self.error(message, hint)

    def error(self, problem: str, hint: str | None) -> InputError:
        text = bounded(self.where.text)
        return InputError(
            f"the slice condition `{text}` {problem}", where=bounded(self.table), hint=hint
        )
