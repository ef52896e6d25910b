"""Forward while everything passes, back as soon as anything does not, and held in between."""

from contextlib import suppress
from dataclasses import replace

import pytest

from gates.canary import chain, take
from gates.canary.bake import steps
from gates.canary.chain import Record
from gates.canary.confirmed import drift, unlike
from gates.canary.faults import Fenced, Locked, TakenBack, Unconfirmed
from gates.canary.guard import Guard
from gates.canary.journal import records
from gates.canary.onward import How, place
from gates.canary.plan import Finish, OnInconclusive, from_json
from gates.canary.program import Act, Name, act, forward
from gates.canary.rollout import Cause
from gates.canary.sight import Health
from gates.canary.state import Phase, fold
from gates.canary.stores.files import FileStore
from gates.errors import ConfigError, EnvironmentFault
from tests.canary.paper import ABSENT, NEW, OLD, PLAN, SERVING, PaperSite, Scene


@pytest.fixture
def scene(tmp_path):
    return Scene(site=PaperSite(store=FileStore(folder=tmp_path / "credit")))


def state(scene):
    return fold(records(scene.site.store))


def kinds(scene):
    return [f"{one.kind} {one.act}".strip() for one in records(scene.site.store)]


def over(scene):
    """Take the deployment over from whoever has it."""
    held = scene.site.store.lease()
    return scene.site.store.acquire("bob", 60.0, over=held.token if held else None)


def going(scene, how):
    done = place(how, state(scene))

    def onwards(rollout):
        rollout.hand.journal.write("going", done=done, how=how, reason="")
        return rollout.forward()

    return scene.play(over(scene), onwards)


# The whole way


def test_a_good_canary_is_promoted_step_by_step(scene):
    ending = scene.start()
    assert (ending.phase, ending.code) == (Phase.PROMOTED, 0)
    assert scene.site.does == [
        "guard on", "canary", "share 5", "share 25", "share 100", "share 100", "stable credit:2",
        "out", "removed", "guard off",
    ]  # fmt: skip
    assert scene.site.sight.stable.digest == NEW.digest
    assert scene.site.sight.whole
    assert scene.site.store.lease() is None


def test_everything_is_written_down_before_and_after(scene):
    scene.start()
    told = kinds(scene)
    for name in ("start", "shift:5", "shift:25", "shift:100", "replace", "return", "remove"):
        assert told.index(f"intent {name}") + 1 == told.index(f"done {name}")
    assert told[0] == "plan"
    assert told[-1].startswith("ended")


def test_every_step_is_counted_by_itself_beside_the_ones_before(scene):
    scene.start()
    of = dict(scene.said)
    (alone,) = of[5].earlier
    assert of[100].earlier == (alone, of[5].step, of[25].step)
    assert all(baked.step.requests > 0 for baked in of.values())


def test_what_the_stable_side_answers_before_users_meet_the_canary_is_counted(scene):
    scene.plan = replace(PLAN, steps=(0, 100))
    scene.start()
    (alone,) = dict(scene.said)[100].earlier
    assert (alone.stable.requests > 0, alone.canary.requests) == (True, 0)


def test_who_takes_a_rollout_over_knows_what_users_met_before(scene):
    scene.verdicts = ["pass", "pass", "inconclusive"]
    scene.start()
    of = dict(scene.said)
    assert steps(records(scene.site.store)) == (of[5].step, of[25].step)


@pytest.mark.parametrize("steps", [(0,), (0, 100), (50,), (1, 2, 3)])
def test_every_kind_of_plan_has_its_program(scene, steps):
    scene.plan = replace(PLAN, steps=steps)
    ending = scene.start()
    shared = [one for one in scene.site.does if one.startswith("share")]
    if steps == (0,):
        assert ending.phase is Phase.SHADOWED
        assert shared == []
        assert scene.site.sight.stable.digest == OLD.digest
    else:
        assert ending.phase is Phase.PROMOTED
        assert shared == [f"share {one}" for one in steps if 0 < one < 100] + ["share 100"] * 2


def test_a_platform_that_shifts_by_itself_is_told_once(scene):
    scene.plan = replace(PLAN, shifts_itself=True)
    assert scene.start().phase is Phase.PROMOTED
    assert scene.said == []
    assert scene.site.does[2:] == ["stable credit:2", "out", "removed", "guard off"]


def test_what_a_platform_took_back_by_itself_has_failed(scene):
    def before(name):
        if name == "stable credit:2":
            raise TakenBack("an alarm went off")

    scene.plan, scene.site.before = replace(PLAN, shifts_itself=True), before
    ending = scene.start()
    assert (ending.code, ending.why) == (1, "an alarm went off")
    assert scene.site.sight.whole


# Back


def test_a_step_that_fails_is_rolled_back_and_exits_as_blocked(scene):
    scene.verdicts = ["pass", "pass", "fail"]
    ending = scene.start()
    assert (ending.phase, ending.code, ending.why) == (Phase.ROLLED_BACK, 1, "because")
    assert scene.site.sight.whole
    assert scene.site.sight.stable.digest == OLD.digest
    assert "share 100" not in scene.site.does
    assert scene.site.sight.canary is ABSENT


def test_a_failed_replay_is_stopped_before_any_user_meets_it(scene):
    scene.replayed = "fail"
    ending = scene.start()
    assert ending.code == 1
    assert not any(one.startswith("share") for one in scene.site.does)


def test_a_candidate_that_does_not_come_up_has_failed(scene):
    scene.site.deaf.add("canary")
    ending = scene.start()
    assert ending.code == 1
    assert "nothing" in ending.why
    assert not any(one.startswith("share") for one in scene.site.does)


def test_a_failure_at_the_whole_traffic_still_goes_back(scene):
    scene.plan = replace(PLAN, steps=(50,))
    scene.verdicts = ["pass", "pass", "fail"]
    assert scene.start().code == 1
    assert scene.site.sight.stable.digest == OLD.digest
    assert scene.site.sight.whole


def test_a_fault_after_the_stable_side_was_replaced_brings_back_what_served_before(scene):
    def before(name):
        if name == "stable credit:2":
            stable = replace(scene.site.sight.stable, digest=NEW.digest, health=Health.FAILING)
            scene.site.sight = replace(scene.site.sight, stable=stable)
            raise EnvironmentFault("the engine went away")

    scene.site.before = before
    with pytest.raises(EnvironmentFault, match="went away"):
        scene.start()
    assert "stable credit:1" in scene.site.does
    assert scene.site.sight.whole
    assert scene.site.sight.stable.digest == OLD.digest
    assert state(scene).phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("at", ["out", "removed"])
def test_after_it_was_replaced_the_candidate_serves_until_what_was_is_back(scene, at):
    """Nobody is without an answer meanwhile: the stable side is changed while the canary serves."""

    hung = []

    def before(name):
        if name == at:
            hung.append(name)
            if len(hung) == 3:
                scene.site.before = watched
            raise EnvironmentFault("the engine hangs")

    def watched(name):
        if name == "stable credit:1":
            assert scene.site.sight.canary.share == 1.0

    scene.site.before = before
    with pytest.raises(EnvironmentFault, match="hangs"):
        scene.start()
    assert scene.site.does[-4:] == ["stable credit:1", "out", "removed", "guard off"]
    assert scene.site.sight.whole
    assert scene.site.sight.stable.digest == OLD.digest


def test_being_told_to_stop_rolls_back_at_once_and_exits_as_aborted(scene):
    def before(name):
        if name == "share 25":
            scene.hurried = True
            raise KeyboardInterrupt

    scene.site.before = before
    ending = scene.start()
    assert (ending.phase, ending.code) == (Phase.ROLLED_BACK, 20)
    assert scene.site.sight.whole
    # Whoever cancels waits ten seconds: what takes a while is left, and said.
    assert "removed" not in scene.site.does
    assert any("left for `abort`" in one.body.get("why", "") for one in records(scene.site.store))


def test_a_crash_of_ours_rolls_back_and_stays_a_crash(scene):
    scene.verdicts = ["nonsense"]
    with pytest.raises(ValueError, match="nonsense"):
        scene.start()
    assert scene.site.sight.whole
    assert "ValueError" in state(scene).why


def test_an_abort_that_is_asked_for_is_heard_while_it_bakes(scene):
    scene.site.before = lambda name: (
        scene.site.store.ask_abort("too hot") if name == "share 5" else None
    )
    ending = scene.start()
    assert (ending.code, ending.why) == (20, "too hot")
    assert scene.site.sight.whole


@pytest.mark.parametrize("fault", ["out", "look"])
def test_a_way_back_that_cannot_be_confirmed_is_a_persons(scene, fault):
    def before(name):
        if name == "share 25":
            scene.site.broken.add(fault)
            raise EnvironmentFault("no")

    scene.site.before = before
    with pytest.raises(Unconfirmed) as caught:
        scene.start()
    assert caught.value.exit_code == 30
    assert "turn the valve by hand" in str(caught.value)
    # Whatever could not be seen, the valve was closed, or tried to be.
    assert "out" in scene.site.does or fault == "out"
    # The lease is not given back: the guard goes on trying when it has run out.
    assert scene.site.store.lease() is not None
    assert state(scene).phase is Phase.UNCONFIRMED


def test_a_router_that_only_says_yes_is_not_believed(scene):
    scene.verdicts = ["fail"]
    scene.site.deaf.add("out")
    with pytest.raises(Unconfirmed, match="not everything goes to the stable side"):
        scene.start()


def test_a_share_that_does_not_come_about_is_rolled_back(scene):
    scene.site.deaf.add("share 25")
    ending = scene.start()
    assert ending.code == 1
    assert "5.0%" in ending.why
    assert scene.site.sight.whole


def test_a_full_disk_stops_the_way_forward_and_not_the_way_back(scene):
    scene.site.store = _Full(folder=scene.site.store.folder)
    with pytest.raises(EnvironmentFault, match="No space"):
        scene.start()
    assert "share 25" not in scene.site.does, "nothing is done that was not written down before"
    assert scene.site.sight.whole


class _Full(FileStore):
    """Has no room any more from the second step on."""

    def append(self, line, token):
        if any(one in line for one in (b'"shift:25"', b'"return"', b'"aborting"')):
            raise EnvironmentFault("No space left on device")
        return super().append(line, token)


def test_the_valve_is_closed_before_anything_is_looked_at(scene):
    """An engine that is away is no reason to leave users on the canary: the router is enough."""

    def before(name):
        if name == "share 25":
            scene.site.broken.add("look")
            raise EnvironmentFault("the engine went away")

    scene.site.before = before
    with pytest.raises(Unconfirmed):
        scene.start()
    assert scene.site.sight.whole


def test_a_bug_on_the_way_back_is_a_persons_too(scene):
    def before(name):
        if name == "share 25":
            raise EnvironmentFault("no")
        if name == "out" and scene.site.does:
            raise KeyError("a bug")

    scene.site.before = before
    with pytest.raises(Unconfirmed, match="KeyError") as caught:
        scene.start()
    assert caught.value.exit_code == 30


def test_what_cannot_be_held_is_not_left_with_users_on_it(scene):
    scene.site.store = _Unheld(folder=scene.site.store.folder)
    scene.verdicts = ["inconclusive"]
    with pytest.raises(EnvironmentFault, match="No space"):
        scene.start()
    assert scene.site.sight.whole


class _Unheld(FileStore):
    """Has no room for the line that says that it is held."""

    def append(self, line, token):
        if b'"kind":"held"' in line:
            raise EnvironmentFault("No space left on device")
        return super().append(line, token)


def test_an_act_that_hangs_once_is_done_again(scene):
    hung = []

    def before(name):
        if name == "share 25" and not hung:
            hung.append(name)
            raise EnvironmentFault("no answer in time")

    scene.site.before = before
    assert scene.start().phase is Phase.PROMOTED


def test_a_proxy_that_forgets_while_the_stable_side_is_made_anew_is_told_again(scene):
    """The stable side is down, and the proxy came back with the canary shut: nobody would serve."""
    served = []

    def before(name):
        if name == "stable credit:2":
            stable = replace(scene.site.sight.stable, health=Health.STARTING)
            scene.site.sight = replace(scene.site.sight, stable=stable)
            scene.site._split(0.0, reachable=False)
            scene.site.deaf.add("stable credit:2")
        if name == "look" and "stable credit:2" in scene.site.does:
            served.append(scene.site.sight.canary.share)
            if served[-1] == 1.0:
                ready = replace(scene.site.sight.stable, health=Health.READY, digest=NEW.digest)
                scene.site.sight = replace(scene.site.sight, stable=ready)

    scene.site.before = before
    assert scene.start().phase is Phase.PROMOTED
    assert served[:2] == [0.0, 1.0]


# Held


def test_what_cannot_be_decided_is_held_with_its_share_and_a_longer_lease(scene):
    scene.verdicts = ["inconclusive"]
    ending = scene.start()
    assert (ending.phase, ending.code) == (Phase.HELD, 10)
    assert scene.site.sight.canary.share == 0.05
    assert scene.site.store.lease().ttl == PLAN.hold


def test_what_cannot_be_measured_is_held_and_never_passes(scene):
    scene.verdicts = ["error"]
    assert scene.start().code == 10


def test_a_team_may_want_the_undecided_to_be_rolled_back(scene):
    scene.plan = replace(PLAN, on_inconclusive=OnInconclusive.ABORT)
    scene.verdicts = ["inconclusive"]
    ending = scene.start()
    assert (ending.code, ending.why) == (1, "undecided: because")


def test_what_is_not_the_canarys_fault_rolls_nothing_back(scene):
    scene.plan = replace(PLAN, on_inconclusive=OnInconclusive.ABORT)
    scene.verdicts, scene.code = ["inconclusive"], "stable_failing"
    assert scene.start().code == 10


def test_a_step_that_is_undecided_gets_more_time(scene):
    scene.verdicts = ["inconclusive", "inconclusive", "inconclusive", "pass"]
    assert scene.start().phase is Phase.PROMOTED


def test_a_person_advances_a_held_step(scene):
    scene.verdicts = ["inconclusive"]
    scene.start()
    scene.verdicts = ["pass"]
    assert going(scene, How.ADVANCE).phase is Phase.PROMOTED
    assert scene.site.does.count("share 5") == 1


def test_a_person_resumes_a_held_step_which_begins_anew(scene):
    scene.verdicts = ["inconclusive"]
    scene.start()
    scene.verdicts = ["pass"]
    assert going(scene, How.RESUME).phase is Phase.PROMOTED
    assert scene.site.does.count("share 5") == 2


def test_a_person_promotes_and_the_whole_traffic_is_judged_all_the_same(scene):
    scene.verdicts = ["inconclusive"]
    scene.start()
    scene.verdicts = ["fail"]
    assert going(scene, How.PROMOTE).code == 1
    assert scene.site.sight.stable.digest == OLD.digest


def test_holding_at_a_share_is_a_way_to_finish(scene):
    scene.plan = replace(PLAN, finish=Finish.HOLD, steps=(25,))
    ending = scene.start()
    assert (ending.code, scene.site.sight.canary.share) == (10, 0.25)
    assert going(scene, How.PROMOTE).phase is Phase.PROMOTED


def test_only_what_waits_can_be_advanced(scene):
    scene.start()
    with pytest.raises(ConfigError, match="held"):
        place(How.ADVANCE, state(scene))


def test_a_shadow_is_never_promoted(scene):
    scene.plan, scene.replayed = replace(PLAN, steps=(0,)), "inconclusive"
    scene.start()
    with pytest.raises(ConfigError, match="shadow"):
        place(How.PROMOTE, state(scene))


# Drift


def test_a_weight_that_a_person_changed_is_held_and_not_changed_back(scene):
    def before(name):
        if name == "counters" and scene.site.looks > 6:
            scene.site._split(0.8, reachable=True)

    scene.site.before = before
    ending = scene.start()
    assert ending.code == 10
    assert "80.0%" in ending.why
    assert scene.site.sight.canary.share == 0.8
    assert "drift" in kinds(scene)


def test_a_drifted_rollout_can_still_be_aborted(scene):
    test_a_weight_that_a_person_changed_is_held_and_not_changed_back(scene)
    ending = scene.play(over(scene), lambda rollout: rollout.back(Cause.REQUEST, "enough"))
    assert ending.code == 20
    assert scene.site.sight.whole


def test_a_canary_that_died_is_for_the_judge_and_no_drift(scene):
    def before(name):
        if name == "counters" and scene.site.looks > 6:
            dead = replace(scene.site.sight.canary, health=Health.FAILING, share=0.0)
            scene.site.sight = replace(scene.site.sight, canary=dead)
            scene.verdicts = ["fail"]

    scene.site.before = before
    assert scene.start().code == 1


# Whoever else


def test_who_lost_the_lease_touches_nothing_any_more(scene):
    def before(name):
        if name == "look" and "share 5" in scene.site.does and len(scene.site.does) == 3:
            scene.site.before = lambda _: None
            over(scene)

    scene.site.before = before
    with pytest.raises(Fenced):
        scene.start()
    assert scene.site.does == ["guard on", "canary", "share 5"]


@pytest.mark.parametrize("after", range(1, 40))
def test_killed_after_any_line_it_can_be_resumed_or_aborted(tmp_path, after):
    """Whatever line of the journal was the last, both ways on end whole on one healthy digest."""
    for way in ("resume", "abort"):
        scene = Scene(site=PaperSite(store=FileStore(folder=tmp_path / way)))
        store = scene.site.store
        scene.site.store = _Killed(folder=store.folder, after=after)
        with suppress(SystemExit):
            scene.start()
        scene.site.store = store
        if state(scene).phase.ended:
            continue
        if way == "resume":
            assert going(scene, How.RESUME).phase is Phase.PROMOTED
            assert scene.site.sight.stable.digest == NEW.digest
        else:
            done = scene.play(over(scene), lambda rollout: rollout.back(Cause.REQUEST, "x"))
            assert done.code == 20
            assert scene.site.sight.stable.digest == OLD.digest
        assert scene.site.sight.whole
        assert scene.site.sight.canary is ABSENT


class _Killed(FileStore):
    """Stops the process right after a line, and lets nothing more be done."""

    def __init__(self, folder, after):
        super().__init__(folder=folder)
        object.__setattr__(self, "left", [after])

    def append(self, line, token):
        self.left[0] -= 1
        if self.left[0] < 0:
            raise _Kill
        return super().append(line, token)

    def renew(self, lease):
        return lease


class _Kill(SystemExit):
    """So that nothing on the way back is done either: every further line raises again."""


# Taking it


def test_one_of_two_starts(scene):
    scene.verdicts = ["inconclusive"]
    scene.start()
    with pytest.raises(Locked, match="held"):
        take.begin(scene.site.store, "bob", 60, scene.time)


def test_what_has_ended_makes_room_for_the_next(scene):
    scene.start()
    assert take.begin(scene.site.store, "bob", 60, scene.time).holder == "bob"


def test_a_holder_that_is_alive_is_not_pushed_aside_by_a_resume(scene):
    scene.verdicts = ["inconclusive"]
    scene.start()
    lease = over(scene)

    class Alive(type(scene.time)):
        def sleep(self, seconds):
            super().sleep(seconds)
            scene.site.store.renew(lease)

    with pytest.raises(Locked, match="alive"):
        take.go_on(scene.site.store, "eve", 60, Alive())


def test_a_holder_that_died_is_replaced_when_its_lease_is_over(scene):
    scene.verdicts = ["inconclusive"]
    scene.start()
    over(scene)
    before = scene.time.now
    assert take.go_on(scene.site.store, "eve", 60, scene.time).holder == "eve"
    # Before the guard, which waits for all of it.
    assert 30 <= scene.time.now - before < 60


def test_an_abort_does_not_wait_for_who_does_not_answer(scene):
    scene.verdicts = ["inconclusive"]
    scene.start()
    over(scene)
    before = scene.time.now
    assert take.end(scene.site.store, "eve", 60, scene.time, "now").holder == "eve"
    assert scene.time.now - before < 10


def test_an_abort_of_what_is_held_takes_it_at_once(scene):
    scene.verdicts = ["inconclusive"]
    scene.start()
    before = scene.time.now
    take.end(scene.site.store, "eve", 60, scene.time, "now")
    assert scene.time.now == before


def test_who_resumes_after_the_guard_came_is_told_that_it_is_over(scene):
    """The lease's last moment: the guard rolls back while somebody waits to go on."""
    scene.verdicts = ["inconclusive"]
    scene.start()
    lease = over(scene)

    class Slow(type(scene.time)):
        def sleep(self, seconds):
            super().sleep(seconds)
            if self.now > 1010 and scene.site.store.lease() == lease:
                guard = Guard(
                    store=scene.site.store, valve=scene.site, clock=iter([0, 0, 1e6] * 9).__next__
                )
                guard.watch()
                guard.watch()

    with pytest.raises(ConfigError, match="no rollout to go on with"):
        take.go_on(scene.site.store, "eve", 60, Slow())
    assert scene.site.store.lease() is None
    assert scene.site.sight.whole


@pytest.mark.parametrize(
    ("last", "phase"),
    [
        ("done shift:100", Phase.ROLLED_BACK),
        ("intent replace", Phase.UNCONFIRMED),
        ("done replace", Phase.PROMOTED),
    ],
)
def test_what_a_guard_left_is_told_by_the_journal(scene, last, phase):
    """A router knows no digests: what serves then stands in what was written before."""
    scene.start()
    lines = records(scene.site.store)
    upto = next(n for n, one in enumerate(lines, 1) if f"{one.kind} {one.act}" == last)
    note = replace(lines[upto - 1], seq=upto + 1, kind="guard", body={"stable": None})
    assert fold([*lines[:upto], note]).phase is phase


def test_an_abort_after_the_end_does_not_undo_what_a_person_did_since(scene):
    scene.verdicts = ["fail"]
    scene.start()
    since = replace(scene.site.sight.stable, digest="sha256:" + "d" * 64)
    scene.site.sight = replace(scene.site.sight, stable=since)
    done = scene.play(over(scene), lambda r: r.back(Cause.REQUEST, "again", over=True))
    assert done.code == 20
    assert scene.site.sight.stable.digest == since.digest


def test_a_journal_always_has_room_for_the_end():
    def line(kind):
        return Record(seq=1, rollout="r", kind=kind, act="", by="ann", at="now", token=1).line()

    assert chain.room(line("judged"), 1 << 20) < chain.room(line("ended"), 1 << 20) == 1 << 20


# Small things


def test_an_act_reads_as_it_is_written():
    for one in forward(PLAN):
        assert act(str(one)) == replace(one, share=one.share if ":" in str(one) else 0)


def test_a_plan_reads_as_it_is_written():
    assert from_json(PLAN.as_json()) == PLAN
    assert from_json(PLAN.as_json()).digest == PLAN.digest


@pytest.mark.parametrize("name", [Name.START, Name.SHIFT, Name.REPLACE, Name.RETURN, Name.REMOVE])
def test_what_is_not_so_is_seen(name):
    sight = replace(PaperSite(store=None).sight, stable=replace(SERVING, health=Health.FAILING))
    sight = replace(sight, canary=replace(ABSENT, health=Health.FAILING, digest="sha256:x"))
    assert unlike(Act(name=name, share=5), PLAN, sight)


def test_another_digest_on_either_side_is_drift():
    sight = PaperSite(store=None).sight
    assert drift(0, PLAN, sight) == ""
    assert "runs" in drift(0, PLAN, replace(sight, stable=replace(SERVING, digest="sha256:x")))
    assert "runs" in drift(0, PLAN, replace(sight, canary=replace(ABSENT, digest="sha256:x")))
