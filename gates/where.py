"""The small language of slice conditions: `18 <= age < 25 and region not in ("north", "west")`.

Python's grammar, of which only comparisons, `in`, `is None`, `and`/`or`/`not`, column names and
plain values are let through; nothing is ever evaluated here. A column whose name is no identifier
is written `col("any name")`. A row in which the condition is unknown, for want of a value, is not
in the slice. Light enough for `validate`; `gates.tables.slices` turns the tree into an expression.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from dataclasses import dataclass
from typing import TypeAlias

from gates.errors import ConfigError
from gates.fields import bounded

MAX_LENGTH = 1000
MAX_DEPTH = 20

Value: TypeAlias = bool | int | float | str


@dataclass(frozen=True)
class Name:
    """A column; as a condition by itself it must hold true/false."""

    name: str


@dataclass(frozen=True)
class Literal:
    """A number, text or truth value as written."""

    value: Value


@dataclass(frozen=True)
class Compare:
    """`column operator other`, of `== != < <= > >=`; `18 <= age` is kept as `age >= 18`."""

    column: Name
    operator: str
    other: Name | Literal


@dataclass(frozen=True)
class Member:
    """`column in (values)`."""

    column: Name
    values: tuple[Literal, ...]


@dataclass(frozen=True)
class Missing:
    """`column is None`."""

    column: Name


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    part: Node


@dataclass(frozen=True)
class AllOf:
    """Conditions joined by `and`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class AnyOf:
    """Conditions joined by `or`."""

    parts: tuple[Node, ...]


Node: TypeAlias = Name | Compare | Member | Missing | Not | AllOf | AnyOf


@dataclass(frozen=True)
class Where:
    """A parsed condition: its text, the columns it reads in order of appearance, and its tree."""

    text: str
    columns: tuple[str, ...]
    tree: Node


_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_REFUSED: dict[type[ast.AST], str] = {
    ast.Attribute: "a dotted name",
    ast.Call: "a function call",
    ast.BinOp: "arithmetic, `&` or `|`",
    ast.IfExp: "an if-expression",
    ast.JoinedStr: "an f-string",
    ast.Lambda: "a lambda",
    ast.NamedExpr: "an assignment",
    ast.Subscript: "an index",
    ast.List: "a list",
    ast.Tuple: "a tuple",
    ast.Constant: "a plain value",
}
# Other languages' words, read as column names, would make a slice that is silently empty.
_FOREIGN = {"true": "True", "false": "False", "null": "None", "none": "None", "nan": "None"}
_GRAMMAR = (
    "Allowed are comparisons, `in (…)`, `is None`, and/or/not, parentheses, numbers, quoted text, "
    'True/False and column names; `col("any name")` for a name that is not an identifier.'
)


def parse(text: str) -> Where:
    """Return the condition written in `text`.

    Raises ConfigError that names the construct at fault and where in the text it stands.
    """
    source = text.strip()
    if not source:
        raise ConfigError("the slice condition is empty", hint=_GRAMMAR)
    if len(source) > MAX_LENGTH:
        raise ConfigError(
            f"the slice condition has {len(source)} characters, over the limit of {MAX_LENGTH}",
            hint="Compute a column in the data, and compare that.",
        )
    tree = _Reader(source).condition(_syntax(source), 0)
    return Where(text=source, columns=tuple(dict.fromkeys(_names(tree))), tree=tree)


def _syntax(source: str) -> ast.expr:
    """Return Python's own parse; its warnings are about code that runs, which this never does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Newlines only end a statement: a YAML block may spread a condition over lines.
            return ast.parse(source.replace("\n", " "), mode="eval").body
    except SyntaxError as error:
        raise ConfigError(
            "the slice condition cannot be read",
            where=_place(source, error.offset or 1),
            hint=_syntax_hint(source),
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise ConfigError(
            "the slice condition cannot be read: it holds what is no text, or is nested too deeply",
            hint=_GRAMMAR,
        ) from None


def _syntax_hint(source: str) -> str:
    """Return advice for the usual slips of a hand used to SQL or C."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", source)
    if re.search(r"(?<![=!<>])=(?!=)", bare):
        return "A comparison for equality is written `==`."
    for sign, word in (("&&", "and"), ("||", "or"), ("<>", "!=")):
        if sign in bare:
            return f"Write `{word}` instead of `{sign}`."
    if re.search(r"\b(AND|OR|NOT|IN|IS|NULL)\b", bare):
        return "Write `and`, `or`, `not`, `in`, `is None` in small letters."
    return _GRAMMAR


def _place(source: str, character: int) -> str:
    return f"character {character} of `{bounded(source, 120)}`"


class _Reader:
    """Walk one parse tree, letting through what is on the list and nothing else."""

    def __init__(self, source: str) -> None:
        self.source = source

    def condition(self, node: ast.expr, depth: int) -> Node:
        """Return a node that is true or false of a row."""
        if depth > MAX_DEPTH:
            raise self.error(node, f"is nested more than {MAX_DEPTH} deep")
        match node:
            case ast.BoolOp(op=operator, values=values):
                parts = tuple(self.condition(value, depth + 1) for value in values)
                return AllOf(parts) if isinstance(operator, ast.And) else AnyOf(parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self.condition(operand, depth + 1))
            case ast.Compare(left=left, ops=operators, comparators=others):
                sides = [left, *others]
                links = tuple(
                    self.comparison(sides[i], operator, sides[i + 1])
                    for i, operator in enumerate(operators)
                )
                return links[0] if len(links) == 1 else AllOf(links)
            case ast.Name() | ast.Call():
                return self.column(node)
        raise self.refusal(node)

    def comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Node:
        """Return one link of a chain of comparisons."""
        if isinstance(operator, ast.In | ast.NotIn):
            member = Member(self.column(left), self.values(right))
            return member if isinstance(operator, ast.In) else Not(member)
        if isinstance(operator, ast.Is | ast.IsNot):
            if not (isinstance(right, ast.Constant) and right.value is None):
                raise self.error(right, "uses `is`", hint="Only `is None` and `is not None` exist.")
            missing = Missing(self.column(left))
            return missing if isinstance(operator, ast.Is) else Not(missing)
        sign = _OPERATORS[type(operator)]
        match self.operand(left), self.operand(right):
            case Name() as column, other:
                return Compare(column, sign, other)
            case other, Name() as column:
                return Compare(column, _MIRRORED[sign], other)
        raise self.error(left, "compares two plain values", hint="Name a column on one side.")

    def operand(self, node: ast.expr) -> Name | Literal:
        """Return a side of a comparison."""
        return self.column(node) if isinstance(node, ast.Name | ast.Call) else self.literal(node)

    def column(self, node: ast.expr) -> Name:
        """Return a column, by identifier or by `col("…")`."""
        match node:
            case ast.Name(id=name) if name in _FOREIGN:
                hint = f'Write `{_FOREIGN[name]}`, or `col("{name}")` for a column of that name.'
                raise self.error(node, f"names a column `{name}`", hint=hint)
            case ast.Name(id=name):
                return Name(name)
            case ast.Call(
                func=ast.Name(id="col"), args=[ast.Constant(value=str() as name)], keywords=[]
            ):
                return Name(name)
        raise self.refusal(node)

    def values(self, node: ast.expr) -> tuple[Literal, ...]:
        """Return what stands after `in`; one value in parentheses is a list of one."""
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            if not node.elts:
                raise self.error(node, "has an empty list after `in`")
            return tuple(self.literal(element) for element in node.elts)
        return (self.literal(node),)

    def literal(self, node: ast.expr) -> Literal:
        """Return a plain value."""
        match node:
            case ast.Constant(value=bool() | str() as value):
                return Literal(value)
            case ast.Constant(value=int() | float() as number):
                return self.number(node, number)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                if not isinstance(number, bool):
                    return self.number(node, -number)
            case ast.Constant(value=None):
                hint = "A missing value is asked for with `is None` or `is not None`."
                raise self.error(node, "compares with None", hint=hint)
        raise self.refusal(node)

    def number(self, node: ast.expr, number: float) -> Literal:
        """Return a number that every engine holds exactly as written."""
        if not math.isfinite(number) or (isinstance(number, int) and abs(number) >= 2**63):
            raise self.error(node, "has a number beyond 64 bits", hint="Compare it as quoted text.")
        return Literal(number)

    def refusal(self, node: ast.expr) -> ConfigError:
        """Return the error for a construct that is not on the list."""
        kind = _REFUSED.get(type(node), f"`{type(node).__name__}`")
        return self.error(node, f"holds {kind} where none is allowed")

    def error(self, node: ast.expr, problem: str, *, hint: str = _GRAMMAR) -> ConfigError:
        """Return an error that points into the text."""
        # ast counts bytes; a person counts characters.
        prefix = self.source.encode()[: node.col_offset].decode(errors="ignore")
        where = _place(self.source, len(prefix) + 1)
        return ConfigError(f"the slice condition {problem}", where=where, hint=hint)


def _names(node: Node | Literal) -> list[str]:
    """Return the columns below a node, in order of appearance."""
    match node:
        case Name(name=name):
            return [name]
        case Compare(column=column, other=other):
            return _names(column) + _names(other)
        case Member(column=column) | Missing(column=column):
            return _names(column)
        case Not(part=part):
            return _names(part)
        case AllOf(parts=parts) | AnyOf(parts=parts):
            return [name for part in parts for name in _names(part)]
    return []
