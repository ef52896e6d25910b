"""Read a Great Expectations suite file: the JSON of version 1, and that of 0.18.

Nothing of the library is needed to read one, so a mistake in it is found before anything heavy is
imported. What only says how to show results (and would show rows) is left behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from gates.errors import ConfigError
from gates.expectations.conditions import condition
from gates.expectations.expectation import Expectation
from gates.report import Mode

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024
MAX_EXPECTATIONS = 2000

_HINT = "Save the suite as JSON with `json.dump(suite.to_json_dict(), file)`."
# How results are shown is ours to say: these would put rows in them, or hide an error.
_NOT_OURS = frozenset({"result_format", "catch_exceptions", "include_config", "batch_id", "meta"})
_MODES = {"critical": Mode.ENFORCE, "warning": Mode.WARN, "info": Mode.REPORT}


def read_suite(path: Path, shown: str) -> tuple[Expectation, ...]:
    """Return the expectations of a suite file; `shown` is its name in messages.

    Raises ConfigError when it is missing, not JSON, not a suite, or empty.
    """
    suite = read_document(path, shown)
    listed = suite.get("expectations")
    if not isinstance(listed, list):
        _refuse("the suite has no list of `expectations`", shown, _HINT)
    if not listed:
        _refuse("the suite has no expectations: nothing would be checked", shown)
    if len(listed) > MAX_EXPECTATIONS:
        _refuse(f"the suite has more than {MAX_EXPECTATIONS:,} expectations", shown)
    parameters = suite.get("suite_parameters") or suite.get("evaluation_parameters") or {}
    if not isinstance(parameters, Mapping):
        _refuse("`suite_parameters` must be a mapping of names to values", shown)
    return tuple(
        _expectation(entry, parameters, f"{shown}: expectations[{index}]")
        for index, entry in enumerate(listed)
    )


def read_document(path: Path, shown: str) -> dict[str, Any]:
    """Return the JSON object in a suite file. Raises ConfigError when there is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "it can not be read"
        raise ConfigError(
            f"cannot read the suite file: {reason}",
            where=shown,
            hint="`suite` is a path from the"
            " folder of the configuration to the JSON of a Great Expectations suite.",
        ) from error
    if len(raw) > MAX_BYTES:
        _refuse(f"the suite file is larger than {MAX_BYTES >> 20} MiB", shown)
    try:
        document = json.loads(raw, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except json.JSONDecodeError as error:
        place = f"{shown}:{error.lineno}:{error.colno}"
        raise ConfigError("the suite file is not JSON", where=place, hint=_HINT) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError("the suite file is not JSON", where=shown, hint=_HINT) from error
    if not isinstance(document, dict):
        _refuse("the suite file must hold one JSON object", shown, _HINT)
    return document


def _expectation(entry: Any, parameters: Mapping[str, Any], where: str) -> Expectation:
    if not isinstance(entry, dict):
        _refuse("an expectation must be a JSON object", where)
    type_ = entry.get("type", entry.get("expectation_type"))
    if not isinstance(type_, str):
        _refuse("an expectation needs a `type` (0.18: `expectation_type`)", where)
    kwargs = entry.get("kwargs", {})
    if not isinstance(kwargs, dict):
        _refuse("`kwargs` must be a JSON object", where)
    severity = entry.get("severity", "critical")
    if not isinstance(severity, str) or severity not in _MODES:
        _refuse(f"`severity` must be one of {', '.join(_MODES)}", where)
    return Expectation(
        type=type_, kwargs=_arguments(kwargs, parameters, where), where=where, mode=_MODES[severity]
    )


def _arguments(kwargs: dict[str, Any], parameters: Mapping[str, Any], where: str) -> dict[str, Any]:
    given = {
        key: _value(value, parameters, where)
        for key, value in kwargs.items()
        if key not in _NOT_OURS and value is not None
    }
    given.pop("condition_parser", None)
    if "row_condition" in given:
        given["row_condition"] = condition(given["row_condition"], where)
    return given


def _value(value: Any, parameters: Mapping[str, Any], where: str) -> Any:
    """Return an argument, or the suite parameter it refers to."""
    if not isinstance(value, dict) or "$PARAMETER" not in value:
        return value
    name = value["$PARAMETER"]
    if not isinstance(name, str) or name not in parameters:
        # An expression such as now() would make the same input give different reports.
        _refuse(
            "a `$PARAMETER` is not among the suite's `suite_parameters`",
            where,
            "Only the plain name of a parameter is looked up; write the value in the suite.",
        )
    return parameters[name]


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is there twice: the last would win, and a reviewer reads the first."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _refuse(message: str, where: str, hint: str | None = None) -> NoReturn:
    raise ConfigError(message, where=where, hint=hint)
