"""Told to stop, once, at any moment of a rollout: what served before serves, or what was promoted.

The signal's handler raises wherever the process is. So the rollout is told between any two things it
does, on a site on paper; that real signals arrive like this is tested in `test_cancel.py`.
"""

import itertools
from dataclasses import dataclass, replace

import pytest

from gates.canary.journal import records
from gates.canary.rollout import Cause
from gates.canary.state import Phase, fold
from gates.canary.stores.files import FileStore
from tests.canary.paper import NEW, OLD, PLAN, PaperSite, Scene


class Told(BaseException):
    """Stands in for what a signal raises."""


@dataclass(frozen=True, kw_only=True)
class Watched(FileStore):
    """A store that calls `step` when a line has been added, or the lease has been let go."""

    step: object

    def append(self, line, token):
        found = super().append(line, token)
        self.step()
        return found

    def release(self, lease):
        super().release(lease)
        self.step()


def scenes(folder, verdicts):
    """Yield a scene for every moment there is, until a rollout comes to its end untold."""
    for moment in range(300):
        told = []
        step = _telling(moment, told)
        site = PaperSite(store=Watched(folder=folder / str(moment), step=step), before=step)
        plan = replace(PLAN, steps=(25,), hold=60.0)
        yield Scene(site=site, plan=plan, verdicts=list(verdicts))
        if not told:
            return
    raise AssertionError("it never came to its end")


def _telling(moment, told):
    """Return what is called at every step, and raises at one; `told` is filled then."""
    calls = itertools.count()

    def step(*_):
        if next(calls) == moment:
            told.append(moment)
            raise Told

    return step


@pytest.mark.parametrize(
    ("verdicts", "ends"),
    [
        (["pass"], {(Phase.PROMOTED, 0), (Phase.ROLLED_BACK, 20)}),
        # A verdict stays what it is, whoever is told to stop while it is acted upon.
        (["fail"], {(Phase.ROLLED_BACK, 1), (Phase.ROLLED_BACK, 20)}),
        (["inconclusive"], {(Phase.HELD, 10), (Phase.ROLLED_BACK, 20)}),
    ],
)
def test_a_rollout_that_is_told_to_stop_comes_to_an_end_that_is_true(tmp_path, verdicts, ends):
    seen = set()
    for scene in scenes(tmp_path, verdicts):
        ending = scene.start()
        state, sight = fold(records(scene.site.store)), scene.site.sight
        assert state.phase is ending.phase
        seen.add((ending.phase, ending.code))
        if ending.phase is not Phase.HELD:
            assert sight.whole
            expected = NEW if ending.phase is Phase.PROMOTED else OLD
            assert sight.stable.digest == expected.digest
            assert scene.site.store.lease() is None
    assert seen == ends


def test_an_abort_that_is_told_to_stop_goes_back_all_the_same(tmp_path):
    for scene in scenes(tmp_path, ["inconclusive"]):
        watched, step = scene.site.store, scene.site.before
        scene.site.store, scene.site.before = FileStore(folder=watched.folder), lambda _: None
        assert scene.start().phase is Phase.HELD
        lease = scene.site.store.acquire("bob", 60.0, over=scene.site.store.lease().token)
        scene.site.store, scene.site.before = watched, step
        ending = scene.play(lease, lambda rollout: rollout.back(Cause.REQUEST, "by hand"))
        assert (ending.phase, ending.code) == (Phase.ROLLED_BACK, 20)
        assert fold(records(watched)).phase is Phase.ROLLED_BACK
        assert scene.site.sight.whole
        assert scene.site.sight.stable.digest == OLD.digest
        assert watched.lease() is None
