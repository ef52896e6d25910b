"""The formats of model files that can be inspected, by the name they have in a configuration."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """What a file can be by its content; `joblib` is a pickle with arrays in it, or compressed."""

    PICKLE = "pickle"
    JOBLIB = "joblib"
    TORCH = "torch"
    NUMPY = "numpy"
    SKOPS = "skops"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    JSON = "json"
    TEXT = "text"
