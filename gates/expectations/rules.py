"""The short form of a schema in the configuration: rules for columns, and what they stand for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, Strict, StrictBool, StrictFloat, StrictInt, StrictStr

from gates.expectations.expectation import (
    NUMERIC,
    ColumnType,
    Expectation,
    between,
    instant,
    rest,
    types,
)
from gates.fields import Model, bounded
from gates.limits import Finite, Problem

_ORDERED = NUMERIC | {ColumnType.DATETIME}
_TEXT = frozenset({ColumnType.TEXT})
# Which rules say something about a column of a type; the others fit every type.
_FITS = {
    "min": _ORDERED,
    "max": _ORDERED,
    "mean_between": NUMERIC,
    "regex": _TEXT,
    "min_length": _TEXT,
    "max_length": _TEXT,
}

Length = Annotated[int, Strict(), Field(ge=0)]
Share = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Bound = StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)] | StrictStr
Value = StrictBool | StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)] | StrictStr


class RowsRule(Model):
    """How many rows the table may have."""

    min: Length | None = Field(default=None, description="At least this many rows.")
    max: Length | None = Field(default=None, description="At most this many rows.")


class ColumnRule(Model):
    """What is expected of one column; nulls are judged by `nullable` and `max_null_share` alone."""

    model_config = ConfigDict(populate_by_name=False)

    type: ColumnType | None = Field(default=None, description="The type the table declares.")
    required: StrictBool = Field(default=True, description="false: skipped when it is not there.")
    nullable: StrictBool | None = Field(default=None, description="false: no value is missing.")
    max_null_share: Share | None = Field(default=None, description="At most this share is null.")
    min: Bound | None = Field(default=None, description="A number, or an ISO date or time.")
    max: Bound | None = Field(default=None, description="A number, or an ISO date or time.")
    values: tuple[Value, ...] | None = Field(
        default=None, alias="in", min_length=1, description="The only values there may be."
    )
    regex: StrictStr | None = Field(
        default=None, description="Found anywhere in the text; anchor it with ^ and $."
    )
    min_length: Length | None = Field(default=None, description="Characters, at least.")
    max_length: Length | None = Field(default=None, description="Characters, at most.")
    unique: StrictBool = Field(default=False, description="true: no value occurs twice.")
    mean_between: tuple[Finite, Finite] | None = Field(
        default=None, description="[low, high] for the mean."
    )
    mostly: Share = Field(
        default=1.0, description="Share of rows that min, max, in, regex and lengths must hold for."
    )

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the rules taken together."""
        if self.nullable is False and self.max_null_share is not None:
            yield _problem(
                "max_null_share", "`nullable: false` allows no null; keep one of the two"
            )
        for key, fit in _FITS.items():
            if getattr(self, key) is not None and self.type is not None and self.type not in fit:
                words = ", ".join(sorted(fit))
                yield _problem(key, f"`{key}` says nothing of {self.type.value}; it is for {words}")
        for key in ("min", "max"):
            yield from self._date_problems(key)
        if self.regex is not None and not _compiles(self.regex):
            yield _problem("regex", "`regex` is not a regular expression")
        if self.mostly < 1 and not any(_of_values(self)):
            yield _problem("mostly", "`mostly` needs min, max, in, regex or a length to be about")
        if not any(_of_column(self)):
            yield _problem("required", "`required: false` alone expects nothing; give a rule")
        yield from _order_problems("max", self.min, self.max)
        yield from _order_problems("max_length", self.min_length, self.max_length)
        yield from _order_problems("mean_between", *(self.mean_between or (None, None)))

    def _date_problems(self, key: str) -> Iterator[Problem]:
        bound = getattr(self, key)
        if isinstance(bound, str):
            if instant(bound) is None:
                yield _problem(
                    key, f"`{key}` is neither a number nor an ISO date such as 2024-12-31"
                )
            elif self.type not in (ColumnType.DATETIME, None):
                yield _problem(key, f"`{key}` is a date; `type` says {self.type}")
        elif bound is not None and self.type is ColumnType.DATETIME:
            yield _problem(key, f"`{key}` of a datetime is an ISO date such as 2024-12-31")


def concise(columns: Mapping[str, ColumnRule]) -> Iterator[Expectation]:
    """Yield the expectations that the rules of each column stand for."""
    for name, rule in columns.items():
        for type_, key, arguments in _of_column(rule):
            yield Expectation(
                type=type_,
                kwargs={"column": name, **arguments},
                where=f"columns.{bounded(name)}.{key}",
                declared=key == "type",
                optional=not rule.required,
            )


def _of_column(rule: ColumnRule) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each rule that was given as (Great Expectations type, our key, arguments)."""
    yield from _of_presence(rule)
    yield from _of_values(rule)
    if rule.unique:
        yield "expect_column_values_to_be_unique", "unique", {}
    if rule.mean_between is not None:
        yield "expect_column_mean_to_be_between", "mean_between", between(*rule.mean_between)


def _of_presence(rule: ColumnRule) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if rule.required:
        yield "expect_column_to_exist", "required", {}
    if rule.type is not None:
        yield "expect_column_values_to_be_in_type_list", "type", {"type_list": types(rule.type)}
    if rule.nullable is False:
        yield "expect_column_values_to_not_be_null", "nullable", {}
    if rule.max_null_share is not None:
        kept = {"mostly": rest(rule.max_null_share)}
        yield "expect_column_values_to_not_be_null", "max_null_share", kept


def _of_values(rule: ColumnRule) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the rules that hold for each value, and so for `mostly` of them."""
    mostly = {"mostly": rule.mostly}
    if rule.min is not None or rule.max is not None:
        key = "max" if rule.min is None else "min"
        yield "expect_column_values_to_be_between", key, between(rule.min, rule.max) | mostly
    if rule.values is not None:
        yield "expect_column_values_to_be_in_set", "in", {"value_set": list(rule.values)} | mostly
    if rule.regex is not None:
        yield "expect_column_values_to_match_regex", "regex", {"regex": rule.regex} | mostly
    if rule.min_length is not None or rule.max_length is not None:
        key = "max_length" if rule.min_length is None else "min_length"
        arguments = between(rule.min_length, rule.max_length) | mostly
        yield "expect_column_value_lengths_to_be_between", key, arguments


def only(columns: Collection[str]) -> Expectation:
    """Return the expectation that a table has these columns and no other."""
    return Expectation(
        type="expect_table_columns_to_match_set",
        kwargs={"column_set": list(columns), "exact_match": True},
        where="only_columns",
    )


def row_count(rule: RowsRule) -> Expectation:
    """Return the expectation on the number of rows."""
    return Expectation(
        type="expect_table_row_count_to_be_between",
        kwargs=between(rule.min, rule.max),
        where="rows",
    )


def together(columns: Collection[str], where: str) -> Expectation:
    """Return the expectation that no combination of values of these columns occurs twice."""
    kwargs = {"column_list": list(columns)}
    return Expectation(type="expect_compound_columns_to_be_unique", kwargs=kwargs, where=where)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _problem(key: str, message: str) -> Problem:
    return Problem(path=(key,), message=message)


def _order_problems(key: str, low: Any, high: Any) -> Iterator[Problem]:
    start, end = (instant(side) if isinstance(side, str) else side for side in (low, high))
    if start is None or end is None:
        return
    if isinstance(low, str) is not isinstance(high, str):
        yield _problem(key, "one end is a number, the other a date")
    elif start > end:
        yield _problem(key, f"{low} to {high} is an empty range")
