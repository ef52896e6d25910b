"""Read a suite's row condition without running it.

Great Expectations hands a condition in text to `DataFrame.query`, which evaluates Python. A suite
is data, so its text is parsed here, and what is not a plain comparison is refused. The result is
the library's own form for a condition, as nested mappings.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from gates.errors import ConfigError

_HINT = (
    "Write `column > 5`, `column == 'text'`, `column in [1, 2]`, `column.isnull()`, joined with"
    " `and` or `or`; a column with an odd name is `col('its name')`."
)
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "IN",
    ast.NotIn: "NOT_IN",
}
_JOIN: dict[type[ast.AST], str] = {
    ast.And: "and",
    ast.Or: "or",
    ast.BitAnd: "and",
    ast.BitOr: "or",
}
_NULL = {"isnull": True, "isna": True, "notnull": False, "notNull": False, "notna": False}
_MAX_TEXT = 2000


class _NotPlain(Exception):
    """Something in a condition that is not a plain comparison."""


def condition(raw: Any, where: str) -> dict[str, Any]:
    """Return a row condition, text or mapping, in the form of nested mappings.

    Raises ConfigError for anything but comparisons and null tests joined with and/or.
    """
    try:
        return _from_text(raw) if isinstance(raw, str) else _from_mapping(raw)
    except (_NotPlain, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(
            "the row condition is not made of plain comparisons, and code is not run",
            where=where,
            hint=_HINT,
        ) from error


def columns_of(parsed: Any) -> Iterator[str]:
    """Yield the columns a parsed condition looks at; of None, nothing."""
    if not isinstance(parsed, Mapping):
        return
    if "column" in parsed:
        yield parsed["column"]["name"]
    for part in parsed.get("conditions", ()):
        yield from columns_of(part)


def renamed(parsed: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the condition with its columns under other names."""
    if "conditions" in parsed:
        return {**parsed, "conditions": [renamed(part, names) for part in parsed["conditions"]]}
    return {**parsed, "column": {"name": names[parsed["column"]["name"]]}}


def _from_mapping(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise _NotPlain
    kind = raw.get("type")
    if kind == "pass_through":
        return _from_text(raw.get("pass_through_filter"))
    if kind in ("and", "or"):
        parts = raw.get("conditions")
        if not isinstance(parts, list) or not parts:
            raise _NotPlain
        return {"type": kind, "conditions": [_from_mapping(part) for part in parts]}
    column = raw.get("column")
    name = column.get("name") if isinstance(column, Mapping) else column
    if not isinstance(name, str):
        raise _NotPlain
    if kind == "nullity" and isinstance(raw.get("is_null"), bool):
        return _nullity(name, is_null=raw["is_null"])
    if kind == "comparison" and raw.get("operator") in _COMPARE.values():
        return _comparison(name, raw["operator"], raw.get("parameter"))
    raise _NotPlain


def _from_text(text: Any) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise _NotPlain
    return _from_node(ast.parse(text.strip(), mode="eval").body)


def _from_node(node: ast.expr) -> dict[str, Any]:
    match node:
        case ast.BoolOp(op=op, values=values):
            return _joined(op, values)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _JOIN:
            return _joined(op, [left, right])
        case ast.UnaryOp(op=ast.Invert() | ast.Not(), operand=operand):
            parsed = _from_node(operand)
            if parsed["type"] != "nullity":
                raise _NotPlain
            return {**parsed, "is_null": not parsed["is_null"]}
        case ast.Call(func=ast.Attribute(value=value, attr=attr), args=[], keywords=[]):
            if attr not in _NULL:
                raise _NotPlain
            return _nullity(_column(value), is_null=_NULL[attr])
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _comparison(_column(left), _COMPARE[type(op)], ast.literal_eval(right))
        case _:
            raise _NotPlain


def _joined(op: ast.AST, parts: list[ast.expr]) -> dict[str, Any]:
    return {"type": _JOIN[type(op)], "conditions": [_from_node(part) for part in parts]}


def _column(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str(name))], keywords=[]):
            return name
        case _:
            raise _NotPlain


def _nullity(name: str, *, is_null: bool) -> dict[str, Any]:
    return {"type": "nullity", "column": {"name": name}, "is_null": is_null}


def _comparison(name: str, operator: str, value: Any) -> dict[str, Any]:
    several = operator in ("IN", "NOT_IN")
    if several and not isinstance(value, list | tuple):
        raise _NotPlain
    if not all(isinstance(item, str | int | float) for item in (value if several else [value])):
        raise _NotPlain
    return {
        "type": "comparison",
        "column": {"name": name},
        "operator": operator,
        "parameter": list(value) if several else value,
    }
