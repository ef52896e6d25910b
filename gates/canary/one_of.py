"""Exactly one of several blocks of options, named by its key."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, create_model, model_validator

from gates.fields import Model


class OneOf(Model):
    """Options of which exactly one is given; each field is one of them, or None."""

    model_config = ConfigDict(populate_by_name=False)

    @model_validator(mode="after")
    def _one(self) -> Self:
        names = type(self).model_fields
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"name exactly one of: {', '.join(names)}")
        return self

    @property
    def key(self) -> str:
        """Return the name of the one that was given."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    def chosen(self) -> Any:
        """Return the options that were given."""
        return getattr(self, self.key)


def one_of(name: str, registry: dict[str, Any]) -> type[OneOf]:
    """Return the class of a block whose fields come from a registry."""
    fields: dict[str, Any] = {key: (unit | None, None) for key, unit in registry.items()}
    return create_model(name, __base__=OneOf, **fields)
