"""Tables on an engine: everything that knows DuckDB, narwhals or Arrow stands in this package."""

from __future__ import annotations

from gates.tables.budget import Budget
from gates.tables.canonical import Column, Kind
from gates.tables.engine import Engine, Table

__all__ = ["Budget", "Column", "Engine", "Kind", "Table"]
