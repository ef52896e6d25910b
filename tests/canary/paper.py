"""A site on paper: it does what it is told, at once, and fails where a test says so.

It stands in for a target where what is tested is what a rollout makes of it. That the real targets
do what this one does is tested on them.
"""

from dataclasses import dataclass, field, replace

from gates.canary.acts import Hand
from gates.canary.bake import Tally
from gates.canary.counters import Arm, Counters
from gates.canary.journal import Journal
from gates.canary.judgement import Judgement
from gates.canary.plan import Finish, OnInconclusive, Plan
from gates.canary.pulse import Pulse
from gates.canary.rollout import Rollout
from gates.canary.sight import Endpoints, Health, Pinned, Seen, Sight
from gates.canary.stores.files import FileStore
from gates.errors import EnvironmentFault
from gates.report import Verdict

OLD = Pinned(image="credit:1", digest="sha256:" + "a" * 64)
NEW = Pinned(image="credit:2", digest="sha256:" + "b" * 64)
ABSENT = Seen(digest=None, health=Health.ABSENT, share=0.0, reachable=False)
SERVING = Seen(digest=OLD.digest, health=Health.READY, share=1.0, reachable=True)


@dataclass
class PaperSite:
    """Keeps both sides in memory. `does` is every call that changed something, in order.

    `broken` names calls that raise; `deaf` those that return and change nothing; `before` is called
    ahead of every call, with its name.
    """

    store: FileStore
    sight: Sight = field(default_factory=lambda: Sight(stable=SERVING, canary=ABSENT))
    does: list = field(default_factory=list)
    broken: set = field(default_factory=set)
    deaf: set = field(default_factory=set)
    before: object = lambda _name: None
    looks: int = 0
    shifts_itself = False
    patience = 0.0

    def look(self):
        self.looks += 1
        self._called("look")
        return self.sight

    def counters(self):
        self._called("counters")
        number = 100 * self.looks
        return Counters(epoch="1", stable=Arm(requests=number), canary=Arm(requests=number))

    def endpoints(self):
        return Endpoints(stable="http://127.0.0.1:1", canary="http://127.0.0.1:2")

    def pin(self, image):
        return {one.image: one for one in (OLD, NEW)}[image]

    def stable(self):
        return OLD

    def by_hand(self):
        return ("turn the valve by hand",)

    def ensure_guard(self, *, on):
        self._do("guard on" if on else "guard off")

    def ensure_canary(self, pinned):
        if self._do("canary"):
            ready = replace(ABSENT, digest=pinned.digest, health=Health.READY)
            self.sight = replace(self.sight, canary=ready)

    def ensure_share(self, percent):
        if self._do(f"share {percent}"):
            self._split(percent / 100, reachable=True)

    def ensure_out(self):
        if self._do("out"):
            self._split(0.0, reachable=False)

    def ensure_stable(self, pinned):
        if self._do(f"stable {pinned.image}"):
            stable = replace(self.sight.stable, digest=pinned.digest, health=Health.READY)
            self.sight = replace(self.sight, stable=stable)

    def ensure_removed(self):
        if self._do("removed"):
            self.sight = replace(self.sight, canary=ABSENT)

    def _split(self, share, *, reachable):
        self.sight = Sight(
            stable=replace(self.sight.stable, share=1.0 - share, reachable=True),
            canary=replace(self.sight.canary, share=share, reachable=reachable),
        )

    def _do(self, name):
        self._called(name)
        self.does.append(name)
        return name not in self.deaf

    def _called(self, name):
        self.before(name)
        if name in self.broken:
            raise EnvironmentFault(f"`{name}` does not work")


class Time:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


PLAN = Plan(
    rollout="credit-1",
    deployment="credit",
    model="credit-default",
    candidate=NEW,
    stable=OLD,
    steps=(5, 25),
    bake=10.0,
    max_bake=30.0,
    looks=2,
    min_requests=100,
    on_inconclusive=OnInconclusive.HOLD,
    finish=Finish.PROMOTE,
    lease=60.0,
    hold=3600.0,
    guarded=True,
    replayed=True,
    settings="sha256:" + "c" * 64,
)


def judgement(verdict, reason="because", code=""):
    return Judgement(verdict=Verdict(verdict), reason=reason, findings=(), code=code)


@dataclass
class Scene:
    """A rollout on a site on paper; `verdicts` are what its judge says, the last one for ever."""

    site: PaperSite
    plan: Plan = PLAN
    verdicts: list = field(default_factory=lambda: ["pass"])
    replayed: str = "pass"
    code: str = ""
    hurried: bool = False
    time: Time = field(default_factory=Time)
    said: list = field(default_factory=list)

    def start(self):
        lease = self.site.store.acquire("ann", self.plan.lease)
        Journal(store=self.site.store, lease=lease, by="ann").begin(self.plan)
        return self.play(lease, lambda rollout: rollout.forward())

    def play(self, lease, does):
        from gates.canary.journal import records

        with Pulse(store=self.site.store, lease=lease) as pulse:
            journal = Journal(
                store=self.site.store, lease=pulse.lease, by="ann", records=records(self.site.store)
            )
            hand = Hand(
                site=self.site, plan=self.plan, journal=journal, pulse=pulse, clock=self.time
            )
            return does(
                Rollout(
                    hand=hand,
                    tally=Tally(read=self.site.counters),
                    judge=self._judge,
                    replay=lambda: judgement(self.replayed),
                    hurried=lambda: self.hurried,
                )
            )

    def _judge(self, baked, share, sight, plan):
        self.said.append((share, baked))
        found = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        return judgement(found, code=self.code)
