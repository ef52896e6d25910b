"""What is expected of a table, as Great Expectations names it, and where it was asked for.

Pure, and light enough for `validate`. A baseline's profile becomes expectations here, the short
form in `column_rules`, a suite file in `suite_file`; only `gx_runner` knows the library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gates.expectations.conditions import columns_of
from gates.fields import MAX_NAME, bounded
from gates.report import Mode

if TYPE_CHECKING:
    from gates.record import ColumnProfile

MAX_SET = 50

_ONE = ("column", "column_A", "column_B")
_SHAPE = frozenset(
    {
        "expect_column_to_exist",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_columns_to_match_ordered_list",
        "expect_table_columns_to_match_set",
    }
)


# What a baseline's profile may say of a column (`inferred`).
INFERRED = frozenset(
    {
        "expect_column_to_exist",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_in_type_list",
        "expect_column_values_to_not_be_null",
    }
)


class ColumnType(StrEnum):
    """What a column may hold; an integer is a number."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATETIME = "datetime"


NUMERIC = frozenset({ColumnType.INTEGER, ColumnType.NUMBER})

# What a table's own type of column is called, to Great Expectations, in a frame of no rows.
DTYPES = {
    "integer": "int64",
    "number": "float64",
    "text": "string",
    "boolean": "bool",
    "temporal": "datetime64[us]",
}
_TYPE_LISTS = {
    ColumnType.INTEGER: ["int64"],
    ColumnType.NUMBER: ["int64", "float64"],
    ColumnType.TEXT: ["StringDtype"],
    ColumnType.BOOLEAN: ["bool"],
    ColumnType.DATETIME: ["datetime64[us]"],
}
_TYPE_OF_KIND = {
    "integer": ColumnType.INTEGER,
    "number": ColumnType.NUMBER,
    "text": ColumnType.TEXT,
    "boolean": ColumnType.BOOLEAN,
    "temporal": ColumnType.DATETIME,
}


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One expectation: its Great Expectations type and arguments, and where it was asked for.

    `declared` is judged on the table's types rather than on its rows; `optional` is skipped when
    its column is not there; `mode` is the most that a fail may do.
    """

    type: str
    kwargs: Mapping[str, Any]
    where: str
    mode: Mode = Mode.ENFORCE
    declared: bool = False
    optional: bool = False

    @property
    def of_shape(self) -> bool:
        """Return whether the table's columns decide it, and none of its rows."""
        return self.declared or self.type in _SHAPE

    @property
    def about(self) -> tuple[str, ...]:
        """Return the columns it is about, as a person would name them."""
        listed = self.kwargs.get("column_list")
        named = [self.kwargs.get(key) for key in _ONE]
        named += listed if isinstance(listed, list | tuple) else []
        return tuple(name for name in named if isinstance(name, str))

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns that must be there: those it is about, and those of its condition."""
        if self.type in _SHAPE:
            return ()
        return (*self.about, *columns_of(self.kwargs.get("row_condition")))


def instant(text: str) -> datetime | None:
    """Return an ISO date or time as a naive instant in UTC, or None for any other text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def inferred(
    profile: Mapping[str, ColumnProfile], rows: int, slack: float
) -> Iterator[Expectation]:
    """Yield what a baseline's profile says of each column.

    It is there, of the same type; at most the baseline's share of nulls plus `slack`; numbers
    within the baseline's range widened on both sides by `slack` of its width; and, where the
    profile lists them, only values that the baseline had.
    """
    for name, column in profile.items():
        for type_, arguments in _of_profile(column, rows, slack):
            yield Expectation(
                type=type_,
                kwargs={"column": name, **arguments},
                where=f"infer: baseline, column {bounded(name)!r}",
                declared=type_ == "expect_column_values_to_be_in_type_list",
            )


def _of_profile(
    column: ColumnProfile, rows: int, slack: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = _TYPE_OF_KIND.get(column.kind)
    share = column.nulls / rows if rows else 1.0
    yield "expect_column_to_exist", {}
    if kind is not None:
        yield "expect_column_values_to_be_in_type_list", {"type_list": types(kind)}
    if share + slack < 1:
        yield "expect_column_values_to_not_be_null", {"mostly": rest(share + slack)}
    if kind in NUMERIC and column.low is not None and column.high is not None:
        # A record keeps 12 digits: an end that was rounded inwards must not refuse its own row.
        width = (column.high - column.low) * slack + max(-column.low, column.high, 0.0) * 1e-11
        yield "expect_column_values_to_be_between", between(column.low - width, column.high + width)
    if kind is ColumnType.TEXT and column.values and _whole(column.values):
        yield "expect_column_values_to_be_in_set", {"value_set": list(column.values)}


def _whole(values: tuple[str, ...]) -> bool:
    """Return whether the values are few, and none was cut to fit: two that were may be alike."""
    return len(values) <= MAX_SET and all(len(value) < MAX_NAME for value in values)


def between(low: Any, high: Any) -> dict[str, Any]:
    """Return the arguments of a range, leaving out an end that is open."""
    ends = {"min_value": low, "max_value": high}
    return {key: end for key, end in ends.items() if end is not None}


def rest(share: float) -> float:
    """Return 1 − share without the noise of binary fractions, which could refuse an exact share."""
    return round(1.0 - share, 12)


def types(type_: ColumnType) -> list[str]:
    """Return what Great Expectations calls a type, in the frame that holds declared types."""
    return list(_TYPE_LISTS[type_])
