"""Run expectations through Great Expectations: the only module that imports it.

What comes back is numbers this module picked by name. The library's own results, logs and errors
quote cells of the table, so none of them leaves this file, not even as the cause of an exception.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from gates.errors import ConfigError, EnvironmentFault
from gates.expectations.conditions import renamed
from gates.expectations.expectation import DTYPES, Expectation, instant
from gates.fields import bounded
from gates.yaml_source import suggestion

if TYPE_CHECKING:
    import pandas as pd

    from gates.tables import Table

# Counts without examples. SUMMARY is the least that counts; 0 keeps its lists of values empty.
_COUNTS = {"result_format": "SUMMARY", "partial_unexpected_count": 0}
_ABOUT_NULLS = frozenset(
    {
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_values_to_be_null",
        "expect_column_values_to_not_be_null",
    }
)
_RAISED = (
    "Great Expectations raised an error on these {n:,} rows; its text is withheld, as it may quote"
    " a value. Do the rule and the column's type fit?"
)
_NOTHING = "There is no value to judge: of {n:,} rows, none has one."
_ABSENT = "The table has no column {columns}."


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one expectation found.

    `value` is the share of the `n` judged rows that meet it, or 1 and 0 for one that holds as a
    whole or not; it holds when `value` is at least `limit`. `problem` says why there is no value.
    """

    n: int
    value: float | None = None
    limit: float = 1.0
    problem: str | None = None
    skip: bool = False


def run(expectations: Sequence[Expectation], table: Table) -> tuple[Outcome, ...]:
    """Judge a table; one outcome per expectation, in their order.

    Raises ConfigError for an expectation that does not exist or does not take these arguments,
    EnvironmentFault when Great Expectations is not installed.
    """
    with _contained():
        # All of them first: a mistake in the last one is found before a row is read.
        configured = [_configured(e, i, table) for i, e in enumerate(expectations)]
        absent = {i: _absent(e, table) for i, e in enumerate(expectations)}
        outcomes = {i: outcome for i, outcome in absent.items() if outcome is not None}
        there = [i for i in absent if i not in outcomes]
        of_shape = [i for i in there if expectations[i].of_shape]
        of_rows = [i for i in there if not expectations[i].of_shape]
        if of_shape:
            results = _results(_shape(table), [configured[i] for i in of_shape])
            outcomes |= {i: _outcome(results.get(i), 1.0, table.rows) for i in of_shape}
        if of_rows:
            rows = _rows([expectations[i] for i in of_rows], table)
            results = _results(rows, [configured[i] for i in of_rows])
            for i in of_rows:
                mostly = float(getattr(configured[i], "mostly", 1.0))
                found = _outcome(results.get(i), mostly, table.rows)
                outcomes[i] = _void(expectations[i], rows, table) or found
    return tuple(outcomes[i] for i in range(len(expectations)))


@contextmanager
def _contained() -> Iterator[None]:
    """Keep what the library warns of, logs and prints to itself: it may quote a value."""
    log = logging.getLogger("great_expectations")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _library() -> Any:
    try:
        import great_expectations
    except ImportError as error:
        raise EnvironmentFault(
            "the data-schema gate needs Great Expectations, which can not be imported",
            where="gates.data-schema",
            hint='Install it with `pip install "model-gates[data-schema]"`.',
        ) from error
    return great_expectations


def _configured(expectation: Expectation, index: int, table: Table) -> Any:
    """Return the library's own object for an expectation, which validates its arguments."""
    _library()
    from great_expectations.exceptions.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import (
        list_registered_expectation_implementations,
    )

    known = list_registered_expectation_implementations()
    if expectation.type not in known:
        raise ConfigError(
            f"`{bounded(expectation.type)}` is not an expectation of Great Expectations",
            where=expectation.where,
            hint=suggestion(expectation.type, known) or None,
        )
    try:
        # Results come back in another order than asked; `meta` is what survives the way.
        return ExpectationConfiguration(
            type=expectation.type, kwargs=_arguments(expectation, table), meta={"index": index}
        ).to_domain_obj()
    except (GreatExpectationsError, TypeError, ValueError) as error:
        raise ConfigError(
            f"`{expectation.type}` does not take these arguments",
            where=expectation.where,
            details=_complaints(error),
        ) from error


def _complaints(error: Exception) -> tuple[str, ...]:
    """Return what the library says of arguments: they are policy, so no row's value is in it."""
    places = (
        (".".join(str(step) for step in e["loc"]), e["msg"])
        for e in getattr(error, "errors", list)()
    )
    return tuple(dict.fromkeys(bounded(f"{place}: {text}") for place, text in places))


def _names(table: Table) -> dict[str, str]:
    """Return a harmless name for each column: conditions become text for `DataFrame.query`."""
    return {column: f"c{position}" for position, column in enumerate(table.columns)}


def _arguments(expectation: Expectation, table: Table) -> dict[str, Any]:
    """Return the arguments for a frame whose columns have harmless names."""
    given = dict(expectation.kwargs)
    if expectation.of_shape:
        return given
    names = {column: column for column in expectation.reads} | _names(table)
    for key in ("column", "column_A", "column_B"):
        if isinstance(given.get(key), str):
            given[key] = names[given[key]]
    if isinstance(given.get("column_list"), list):
        given["column_list"] = [names.get(column, column) for column in given["column_list"]]
    if "row_condition" in given:
        given["row_condition"] = renamed(given["row_condition"], names)
    if any(_kind(table, column) == "temporal" for column in expectation.about):
        for key in ("min_value", "max_value"):
            if isinstance(given.get(key), str):
                given[key] = instant(given[key]) or given[key]
    return given


def _kind(table: Table, column: str) -> str:
    return str(table.kinds[column].value) if column in table.kinds else "other"


def _shape(table: Table) -> pd.DataFrame:
    """Return a frame of no rows that has the table's columns and their declared types."""
    import pandas as pd

    # Not `object`, which Great Expectations judges value by value: no value, no fault.
    dtypes = [DTYPES.get(_kind(table, column), "category") for column in table.columns]
    empty = (pd.Series(dtype=dtype) for dtype in dtypes)
    return pd.DataFrame(dict(zip(table.columns, empty, strict=True)))


def _rows(expectations: Sequence[Expectation], table: Table) -> pd.DataFrame:
    """Return the rows of the columns that expectations name, and of no other."""
    import pandas as pd

    wanted = {column for expectation in expectations for column in expectation.reads}
    columns = [column for column in table.columns if column in wanted]
    if not columns:
        return pd.DataFrame(index=pd.RangeIndex(table.rows))
    frame = table.pandas(tuple(columns))
    names = _names(table)
    return pd.DataFrame(
        {names[column]: _plain(frame[column], _kind(table, column)) for column in columns}
    )


def _plain(column: pd.Series[Any], kind: str) -> pd.Series[Any]:
    """Return a column in the type that Great Expectations compares and names well."""
    import pandas as pd

    if kind == "text":
        # Its lists of types know Python's strings, and not yet pandas' own type for them.
        return column.astype(object)
    if kind == "temporal":
        try:
            return pd.to_datetime(column, utc=True).dt.tz_localize(None)
        except (TypeError, ValueError):
            return column  # a time of day
    return column


def _results(frame: pd.DataFrame, configured: Sequence[Any]) -> dict[int, Any]:
    """Return the library's result for each expectation, by index; one that broke has none."""
    gx = _library()
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # Stated before the context exists, since versions that send statistics do so as it is made.
    settings = DataContextConfig(
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
    )
    context = gx.get_context(project_config=settings, mode="ephemeral")
    asset = context.data_sources.add_pandas("table").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    results: dict[int, Any] = {}
    for result in _validated(gx, batch, configured):
        results.setdefault(result.expectation_config.meta["index"], result)
    return results


def _validated(gx: Any, batch: Any, configured: Sequence[Any]) -> list[Any]:
    """Run expectations in one pass; where one breaks the whole pass, run each by itself."""
    suite = gx.ExpectationSuite(name="model-gates", expectations=list(configured))
    try:
        return list(batch.validate(suite, result_format=dict(_COUNTS)).results)
    except Exception:  # noqa: BLE001  whatever it was, its text may quote a cell: drop it here
        if len(configured) == 1:
            return []
        return [result for one in configured for result in _validated(gx, batch, [one])]


def _absent(expectation: Expectation, table: Table) -> Outcome | None:
    """Return the outcome of an expectation whose columns are not all there."""
    missing = [column for column in expectation.reads if column not in table.columns]
    if not missing:
        return None
    names = ", ".join(repr(bounded(column, 80)) for column in dict.fromkeys(missing))
    return Outcome(
        n=0,
        problem=bounded(_ABSENT.format(columns=names), 1000),
        skip=expectation.optional,
    )


def _void(expectation: Expectation, rows: pd.DataFrame, table: Table) -> Outcome | None:
    """Return the outcome where there is nothing to judge, which the library calls a success."""
    if expectation.type.startswith("expect_table_row_count"):
        return None
    names = _names(table)
    judged = [rows[names[column]] for column in expectation.about]
    empty = any(bool(column.isna().all()) for column in judged)
    if table.rows and (expectation.type in _ABOUT_NULLS or not empty):
        return None
    return Outcome(n=0, problem=_NOTHING.format(n=table.rows))


def _outcome(result: Any, mostly: float, rows: int) -> Outcome:
    """Return the outcome of one result: of all that is in it, five numbers by name."""
    info = result.exception_info if result is not None else None
    # The library has two forms: flat with the flag, or one entry per metric that failed.
    if result is None or (info and info.get("raised_exception", True)):
        return Outcome(n=rows, problem=_RAISED.format(n=rows))
    held = bool(result.success)
    counts = _counts(result.result)
    if counts is None:
        return Outcome(n=rows, value=float(held))
    judged, unexpected = counts
    if judged <= 0:
        return Outcome(n=0, problem=_NOTHING.format(n=rows))
    share = (judged - unexpected) / judged
    if (share >= mostly) is not held:
        return Outcome(n=judged, value=float(held))
    return Outcome(n=judged, value=share, limit=mostly)


def _counts(result: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (rows judged, rows that fail) of an expectation on rows; None for any other."""
    total, unexpected = result.get("element_count"), result.get("unexpected_count")
    missing = result.get("missing_count") or 0
    if total is None or unexpected is None:
        return None
    return int(total) - int(missing), int(unexpected)
