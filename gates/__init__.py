"""Model Gates: hold a candidate model against its registered baseline."""

__version__ = "0.1.0"
