"""Tables of options, from the models that a configuration is read into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from gates.canary.meters.registry import METERS
from gates.canary.settings import Deployment
from gates.canary.targets.registry import TARGETS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

# Each of these is one of several, with a table of its own.
_CHOICES = ("target", "metrics")


def deployment() -> Iterator[str]:
    """Yield the table of a deployment's own options."""
    yield from _table(Deployment, but=_CHOICES)


def target(name: str) -> Iterator[str]:
    """Yield the table of a target's options."""
    yield from _table(TARGETS[name])


def prometheus() -> Iterator[str]:
    """Yield the table of what is asked of a Prometheus."""
    yield from _table(METERS["prometheus"])


def _table(model: type[BaseModel], but: tuple[str, ...] = ()) -> Iterator[str]:
    yield "| key | default | |"
    yield "|---|---|---|"
    for key, field in _fields(model, ""):
        if key not in but:
            said = " ".join((field.description or "").split()).replace("|", "\\|")
            yield f"| `{key}` | {_default(field)} | {said} |"


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    """Yield every option with its path; of what has options of its own, those."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        below = _model_of(field.annotation)
        if below is None or name in _CHOICES:
            yield key, field
        else:
            yield from _fields(below, f"{key}.")


def _model_of(annotation: Any) -> type[BaseModel] | None:
    kinds = (annotation, *get_args(annotation))
    return next(
        (one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return ""
    return f"`{json.dumps(_plain(value))}`".replace('"', "")


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if hasattr(value, "keys") else value
