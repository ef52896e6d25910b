"""The predictors there are, by the key that names them under `candidate`."""

from __future__ import annotations

from gates.predictors.files import Files

PREDICTORS: dict[str, type[Files]] = {"predictions": Files}
