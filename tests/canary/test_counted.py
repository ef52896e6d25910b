"""From a real HAProxy's counters to a verdict: a canary that refuses, one that is the same."""

import pytest

from gates.canary.analysis.analysis import Analysis, judge
from gates.canary.analysis.look import Look
from gates.canary.bake import Tally
from gates.canary.counters import between
from gates.canary.sight import Health, Seen, Sight
from gates.report import Verdict

pytestmark = pytest.mark.requires_real("haproxy")
DIGEST = "sha256:" + "a" * 64
STABLE = Seen(digest="sha256:" + "b" * 64, health=Health.READY, share=0.5, reachable=True)
CANARY = Seen(digest=DIGEST, health=Health.READY, share=0.5, reachable=True)


def judged(baked, share):
    return judge(
        Look(
            step=baked.step,
            share=share / 100,
            sight=Sight(stable=STABLE, canary=CANARY),
            digest=DIGEST,
            min_requests=50,
            earlier=baked.earlier,
            timed=baked.timed,
        ),
        Analysis(),
    )


def test_a_canary_that_refuses_every_request_fails(make_valve):
    valve = make_valve()
    valve.serve("stable")
    valve.serve("canary", errors=1000, status=422)
    valve.router.ensure_share(50)
    tally = opened(read=valve.router.counters)
    tally.begin()
    answers = valve.users.load(200)
    baked = tally.count()
    assert answers.status(422) == baked.step.canary.refused == baked.step.canary.requests == 100
    assert (baked.step.canary.errors, baked.step.stable.refused) == (0, 0)
    found = judged(baked, 50)
    assert (found.verdict, found.code) == (Verdict.FAIL, "refusal_rate")


@pytest.mark.parametrize(
    ("model", "code"), [({"errors": 300}, "error_rate"), ({"delay": 0.1}, "latency")]
)
def test_all_at_once_it_is_held_against_what_the_stable_side_answered_before(
    make_valve, model, code
):
    valve = make_valve()
    valve.serve("stable")
    valve.serve("canary", **model)
    tally = opened(read=valve.router.counters)
    before = valve.router.counters()
    valve.users.load(400)
    valve.router.ensure_share(100)
    tally.begin()
    for _ in range(6):
        valve.users.load(100)
        tally.count()
    (alone,) = tally.baked.earlier
    assert alone.stable == between(before, valve.router.counters()).stable
    assert (alone.stable.requests, alone.canary.requests) == (400, 0)
    found = judged(tally.baked, 100)
    assert (found.verdict, found.code) == (Verdict.FAIL, code)


def opened(**given):
    """Return a tally that was opened, as a rollout does it at its beginning."""
    tally = Tally(**given)
    tally.open()
    return tally
