"""How long anything may take that somebody else has written."""

import time
from contextlib import contextmanager


@contextmanager
def soon(seconds=1.0):
    """Hold what is done within to seconds of this thread's own time: a busy machine is no defect."""
    began = time.thread_time()
    yield
    took = time.thread_time() - began
    assert took < seconds, f"took {took:.1f} s of {seconds:g}"
