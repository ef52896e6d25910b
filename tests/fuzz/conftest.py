"""Run long what elsewhere runs short: each parser for as many seconds as `make fuzz` was given."""

import os
import time

import pytest

SECONDS = "MODEL_GATES_FUZZ_SECONDS"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Call a property test again and again, each time with new examples, until its time is up."""
    test = pyfuncitem.obj
    if SECONDS not in os.environ or not getattr(test, "is_hypothesis_test", False):
        return None
    given = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    until = time.monotonic() + float(os.environ[SECONDS])
    rounds = 0
    while not rounds or time.monotonic() < until:
        test(**given)
        rounds += 1
    pyfuncitem.user_properties.append(("rounds", rounds))
    return True
