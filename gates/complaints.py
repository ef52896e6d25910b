"""Say what is wrong with a configuration in words, and where in the file it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from gates.errors import ConfigError
from gates.yaml_source import KeyPath, Source, key_path, suggestion

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Parsed = TypeVar("Parsed", bound=BaseModel)
_MOST_SHOWN = 20
_MOST_DIGITS = 15
_KINDS = {
    "string_type": "text",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "tuple_type": "a list",
    "list_type": "a list",
}
_SENTENCES = {
    "missing": "this key is required",
    "too_short": "this is empty; give it at least 1",
    "string_pattern_mismatch": "this name has a character that is not allowed, such as / or \\",
}
_NAMES = {str: "text", bool: "true/false", int: "a number", float: "a number", list: "a list"}


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """One thing that is wrong, and the path of the key it is about."""

    path: KeyPath
    message: str
    of_key: bool = False


def complaints(schema: type[Parsed], data: Any) -> tuple[Parsed | None, list[Complaint]]:
    """Return the parsed data, or what is wrong with it."""
    try:
        return schema.model_validate(data), []
    except ValidationError as error:
        found = [_complaint(schema, data, detail) for detail in error.errors(include_url=False)]
    return None, _merged(found)


def emptied(data: Any, path: KeyPath = ()) -> Iterator[Complaint]:
    """Yield every key that was begun and given no value: it would be read as its default."""
    below = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in below:
        here = (*path, key)
        if isinstance(value, dict | list):
            yield from emptied(value, here)
        elif value is None and isinstance(data, dict):
            yield Complaint(path=here, message="expected a value, got nothing; or leave it out")


def refuse(source: Source, found: list[Complaint]) -> ConfigError:
    """Return the error that names every complaint with its line, column and key path."""
    lines = [
        (
            source.place(c.path, of="key" if c.of_key else "value"),
            f"{key_path(c.path)}: {c.message}" if c.path else c.message,
        )
        for c in found
    ]
    hint = "`model-gates schema` prints everything that may stand here."
    if len(lines) == 1:
        return ConfigError(lines[0][1], where=lines[0][0], hint=hint)
    details = tuple(f"{place}: {text}" for place, text in lines[:_MOST_SHOWN])
    return ConfigError(
        f"{len(lines)} problems in the configuration", where=source.path, hint=hint, details=details
    )


def _complaint(schema: type[BaseModel], data: Any, detail: ErrorDetails) -> Complaint:
    path = _written_path(data, detail["loc"], missing=detail["type"] == "missing")
    if detail["type"] == "extra_forbidden":
        return Complaint(path=path, message=_stranger(schema, path), of_key=True)
    return Complaint(path=path, message=_words(detail), of_key=detail["loc"][-1] == "[key]")


def _written_path(data: Any, loc: tuple[str | int, ...], *, missing: bool) -> KeyPath:
    """Return the path as the file has it: without the union members that pydantic puts in."""
    path: list[str | int] = []
    for step in loc:
        mapped = isinstance(data, dict) and step in data
        listed = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if mapped or listed:
            data = data[step]
        elif not (missing and step == loc[-1]):
            continue
        path.append(step)
    return tuple(path)


def _words(detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in ("enum", "literal_error"):
        return f"expected {context['expected']}"
    if kind in _KINDS:
        return f"expected {_KINDS[kind]}, got {_name(value)}{_as_number(kind, value)}"
    if kind == "value_error":
        return str(context["error"])
    return detail["msg"][0].lower() + detail["msg"][1:]


def _name(value: Any) -> str:
    return "nothing" if value is None else _NAMES.get(type(value), "keys and values")


def _as_number(kind: str, value: Any) -> str:
    """Return how to write text that was meant as a number: YAML reads `1e3` as text."""
    if kind not in ("float_type", "int_type") or not isinstance(value, str):
        return ""
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        return ""
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return ""
    return f"; write {number:f} without quotes or an exponent"


def _stranger(schema: type[BaseModel], path: KeyPath) -> str:
    known = _keys_at(schema.model_json_schema(by_alias=True), path[:-1])
    close = suggestion(str(path[-1]), known)
    return "unknown key; " + (close or f"known here: {', '.join(sorted(known))}")


def _keys_at(schema: dict[str, Any], path: KeyPath) -> set[str]:
    """Return the keys that a JSON Schema knows at a path."""
    nodes = [schema]
    for step in path:
        nodes = [below for node in nodes for below in _below(_open(node, schema), step)]
    return {
        key for node in nodes for one in _open(node, schema) for key in one.get("properties", {})
    }


def _open(node: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the plain schemas a node stands for: references followed, alternatives opened."""
    if "$ref" in node:
        return _open(root["$defs"][node["$ref"].rpartition("/")[2]], root)
    options = node.get("anyOf") or node.get("oneOf") or []
    return [node, *(plain for option in options for plain in _open(option, root))]


def _below(nodes: list[dict[str, Any]], step: str | int) -> list[dict[str, Any]]:
    below = []
    for node in nodes:
        if isinstance(step, int):
            below.append(node.get("items", {}))
        elif step in node.get("properties", {}):
            below.append(node["properties"][step])
        else:
            # A mapping by free names: pydantic writes a name's pattern as `patternProperties`.
            free = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
            below += [one for one in free if isinstance(one, dict)]
    return below


def _merged(found: list[Complaint]) -> list[Complaint]:
    """Return one complaint a place: a union complains once for each of its members."""
    merged: dict[KeyPath, Complaint] = {}
    for one in found:
        first = merged.get(one.path)
        if first is None:
            merged[one.path] = one
        elif first.message.startswith("expected "):
            wanted, got, rest = first.message.partition(", got ")
            more = one.message.partition(", got ")[0].removeprefix("expected ")
            if more not in wanted:
                message = f"{wanted} or {more}{got}{rest}"
                merged[one.path] = Complaint(path=one.path, message=message)
    # A member that fits but for one key complains below; what the others said adds nothing.
    return [c for path, c in merged.items() if not any(_below_path(path, p) for p in merged)]


def _below_path(path: KeyPath, other: KeyPath) -> bool:
    return len(other) > len(path) and other[: len(path)] == path
