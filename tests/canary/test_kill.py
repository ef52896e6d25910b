"""Killed at any line of its journal: what users meet ends whole on one healthy digest, in any case.

HAProxy's own counters and the users' own answers are the witnesses.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from gates.canary import chain
from tests.canary import doomed
from tests.canary.bench import wait_until

pytestmark = [pytest.mark.requires_real("dockerd", "haproxy"), pytest.mark.slow]
# So that a step is decided as soon as somebody has asked.
SETTINGS = {
    "steps": [50],
    "bake": 0.2,
    "max_bake": 30.0,
    "looks": 1,
    "min_requests": 5,
    # Longer than a person takes here, who is there at once.
    "lease": 15.0,
    "analysis": {
        "error_rate": {"max_rise": 0.5, "critical": 0.9},
        "refusal_rate": {"max_rise": 0.5, "critical": 0.9},
        "latency": {"max_ratio": 50.0, "mode": "report"},
    },
}


# What a guard may say that it has left, and which model serves then.
LEFT = {
    "rolled-back": ["good"],
    "promoted": ["good-v2"],
    "unconfirmed": ["good", "good-v2"],
}


@pytest.fixture
def rollouts(deploy):
    return deploy(**SETTINGS)


def words(rollouts, *given):
    return [given[0], rollouts.bench.name, f"--config={rollouts.file}", *given[1:]]


def begun(rollouts, at, do):
    """Roll `good-v2` out from `good`, with something done at a line; return the exit code."""
    # The file's folder is where a command looks for the rest.
    out = f"--out={rollouts.folder / 'out'}"
    log = rollouts.folder / "begun.log"
    return doomed.command(words(rollouts, *rollouts.starting("good-v2", out)), at, do, log)


def again(rollouts, how):
    out = f"--out={rollouts.folder / 'out'}"
    policy = [] if how == "abort" else [f"--policy={rollouts.project.policy}"]
    log = rollouts.folder / "again.log"
    return doomed.command(words(rollouts, how, out, *policy), 0, doomed.kill_self, log)


def said(rollouts):
    """Return the end of what both commands said."""
    return [path.read_text()[-1500:] for path in sorted(rollouts.folder.glob("*.log*"))]


def anew(rollouts):
    """Have `good` serve again, and nothing else there."""
    rollouts.swap("good")


def lines(rollouts):
    """Return how many lines a whole rollout has, and the numbers of those that mean something."""
    assert begun(rollouts, 0, doomed.kill_self) == 0
    journal = rollouts.journal()
    meant = [number for number, line in enumerate(journal) if line["kind"] == "intent"]
    anew(rollouts)
    return len(journal) - 1, meant


def sound(rollouts, *models):
    """Assert that one of these models has all of the traffic, healthy, and that users see it."""
    bench = rollouts.bench
    digests = {bench.pin(model).digest for model in models}
    sight = bench.wait(lambda found: found.whole, "everything is on the stable side")
    assert sight.stable.digest in digests
    before = bench.site.counters()
    answers = bench.load(30)
    after = bench.site.counters()
    assert (answers.of("stable"), answers.bad) == (30, 0)
    assert after.stable.requests - before.stable.requests >= 30
    assert after.canary.requests == before.canary.requests
    raw = (bench.state / "journal.jsonl").read_bytes()
    assert chain.read(raw, "journal").records, "the chain holds"


def test_the_runner_is_killed_and_a_person_resumes(rollouts):
    with rollouts.users(pause=0.01):
        count, _ = lines(rollouts)
        for at in range(1, count + 1):
            assert begun(rollouts, at, doomed.kill_self) == -9, at
            if rollouts.status()["phase"] != "promoted":
                assert again(rollouts, "resume") == 0, (at, said(rollouts))
            sound(rollouts, "good-v2")
            anew(rollouts)


def test_the_runner_is_killed_and_a_person_aborts(rollouts):
    with rollouts.users(pause=0.01):
        count, meant = lines(rollouts)
        for at in sorted({*meant, count}):
            assert begun(rollouts, at, doomed.kill_self) == -9, at
            late = rollouts.status()["phase"] == "promoted"
            assert again(rollouts, "abort") == (0 if late else 20), (at, said(rollouts))
            sound(rollouts, "good-v2" if late else "good")
            anew(rollouts)


def test_the_guard_is_killed_at_every_line_and_the_rollout_does_not_mind(rollouts):
    bench = rollouts.bench
    with rollouts.users(pause=0.01):
        killer = doomed.KillGuard(bench.options.engine, bench.name)
        assert begun(rollouts, None, killer) == 0
        sound(rollouts, "good-v2")


def test_runner_and_guard_are_killed_and_nobody_comes(rollouts):
    """The engine starts the guard again, and it closes the valve when the lease has run out."""
    bench = rollouts.bench
    rollouts.write(lease=5.0)
    with rollouts.users(pause=0.01):
        _, meant = lines(rollouts)
        killer = doomed.KillGuard(bench.options.engine, bench.name, ourselves=True)
        for at in meant[1:]:
            assert begun(rollouts, at, killer) == -9, (at, said(rollouts))
            sound(rollouts, "good", "good-v2")
            wait_until(lambda: rollouts.status()["phase"] in LEFT, "the guard has said so")
            phase = rollouts.status()["phase"]
            sound(rollouts, *LEFT[phase])
            if phase == "unconfirmed":
                # In the middle of being replaced, no router knows what it is: a person looks.
                assert again(rollouts, "abort") == 20, (at, said(rollouts))
                sound(rollouts, "good")
            anew(rollouts)


def test_twenty_start_at_once_and_one_of_them_rolls_out(rollouts):
    with rollouts.users(pause=0.01), ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda _: begun(rollouts, 0, doomed.kill_self), range(20)))
    # Who came when it had ended found the candidate in service.
    assert set(codes) <= {0, 11}, said(rollouts)
    sound(rollouts, "good-v2")
    journals = [rollouts.bench.state / "journal.jsonl"]
    journals += (rollouts.bench.state / "earlier").glob("*.jsonl")
    assert len(journals) == 1, "one rollout was begun"
    tokens = {record.token for record in chain.read(journals[0].read_bytes(), "j").records}
    assert len(tokens) == 1


@pytest.mark.requires_real("faketime")
def test_clocks_that_are_hours_apart_change_nothing(rollouts, real):
    """Wall clocks are for people: neither a lease nor a window is measured by one."""
    rollouts.write(max_bake=5.0)
    ahead, behind = (
        {"LD_PRELOAD": _preloaded(real("faketime")), "FAKETIME": by} for by in ("+1h", "-3h")
    )
    held = rollouts.start("good-v2", env=ahead)
    assert held.code == 10, held.stderr
    with rollouts.users(pause=0.01):
        done = rollouts.run("resume", f"--policy={rollouts.project.policy}", env=behind)
    assert done.code == 0, done.stderr
    sound(rollouts, "good-v2")
    at = [line["at"] for line in rollouts.journal()]
    assert at != sorted(at), "the clocks were apart"


def _preloaded(program):
    """Return the library that `faketime` puts in front of a program, which has to be exec'd as is."""
    told = subprocess.run(
        [program, "-f", "+1h", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
    )
    return told.stdout.strip()
