"""Propose a first `model-gates.yml` from a predictions file: what `model-gates init` writes.

First the meaning of the columns is guessed, by name and by what they hold; then the rows are read
as a run would read them, and limits are proposed that so many rows can decide. Every guess carries
its reason as a comment, `TODO` marks what a person must say, and what is found nowhere is refused.
"""

from __future__ import annotations

from gates.starter.document import starter
from gates.starter.guess import MOST_CATEGORIES

__all__ = ["MOST_CATEGORIES", "starter"]
