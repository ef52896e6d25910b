"""The gates that ship with Model Gates: one file each, listed in `registry.py`."""
