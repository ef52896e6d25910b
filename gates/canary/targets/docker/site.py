"""A Docker host as a site: two containers, two addresses, one HAProxy.

Every step is one call to the engine or to HAProxy, and what is to be done next is always read off
what is there: after a kill between any two of them, the same call brings it to the same end.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from gates.canary.counters import Counters
from gates.canary.haproxy.router import Admin, Lanes, Router
from gates.canary.sight import Endpoints, Health, Pinned, Seen, Side, Sight
from gates.canary.stores.files import FileStore
from gates.canary.targets.docker import artifact as docker_artifact
from gates.canary.targets.docker import run as docker_run
from gates.canary.targets.docker.crew import Crew, Names, Role, crew
from gates.canary.targets.docker.engine import Container, Engine
from gates.canary.targets.docker.guard import GuardHouse
from gates.canary.targets.docker.health import Asked, answers, health
from gates.canary.targets.docker.options import Docker, split
from gates.errors import EnvironmentFault, InputError


@dataclass(frozen=True, kw_only=True)
class DockerSite:
    """One deployment on one Docker host; implements gates.canary.site.Site."""

    name: str
    options: Docker

    @property
    def store(self) -> FileStore:
        """Return the journal's place: a folder of this machine."""
        return FileStore(folder=self._state)

    def pin(self, image: str) -> Pinned:
        """Return an image's Id, and the digest of the model in it; it is not run for that."""
        digest = str(self._engine.image(image)["Id"])
        pinned = Pinned(image=image, digest=digest)
        return Pinned(image=image, digest=digest, artifact=self._artifact(pinned))

    def stable(self) -> Pinned:
        """Return what serves now, with the model's digest as it is in that very container."""
        one = self._crew().stable
        if one is None or not one.running:
            raise InputError(
                f"no container serves the stable side of `{self.name}`",
                where=self.options.engine,
                hint="`stable_container` names the one that you started; after the first rollout "
                "it is found by its label.",
            )
        path = self.options.artifact
        digest = docker_artifact.digest(self._engine.archive(one, path), path) if path else None
        called = one.labels.get("image", one.called)
        return Pinned(image=called, digest=one.image, artifact=digest)

    @property
    def shifts_itself(self) -> bool:
        """Return that it does not: HAProxy does as it is told."""
        return False

    @property
    def patience(self) -> float:
        """Return how long both sides' containers may take to start and to stop, in seconds."""
        return 2 * (self.options.health.start + self.options.container.stop)

    def look(self) -> Sight:
        """Return both sides: the engine's word, the router's, and their own answer."""
        found, lanes, now = self._crew(), self._router.lanes(), self._engine.now()
        stable = self._seen(found.stable, Side.STABLE, lanes, now)
        return Sight(stable=stable, canary=self._seen(found.canary, Side.CANARY, lanes, now))

    def counters(self) -> Counters:
        """Return HAProxy's counts."""
        return self._router.counters()

    def endpoints(self) -> Endpoints:
        """Return the addresses of both sides, past HAProxy."""
        return Endpoints(
            stable=f"http://{self.options.stable}", canary=f"http://{self.options.canary}"
        )

    def ensure_canary(self, pinned: Pinned) -> None:
        """Have the candidate run beside the stable side; what ran there before is taken away."""
        found = self._crew()
        wanted = [one for one in found.canaries if self._is(one, pinned, Side.CANARY)]
        if [one for one in wanted if one.running] and len(found.canaries) == 1:
            return
        self._router.ensure_out()
        for one in found.canaries:
            if one not in wanted or one.status != "created":
                self._engine.remove(one)
        self._engine.start(self._create(Role.CANARY, pinned))

    def ensure_share(self, percent: int) -> None:
        """Send this part of the traffic to the canary, if it is the canary that runs there."""
        canary = self._crew().canary
        if percent > 0 and (canary is None or not canary.running):
            raise EnvironmentFault(
                "the canary's container does not run, so it gets no traffic",
                where=self.name,
                hint="See why with `model-gates canary status`.",
            )
        self._router.ensure_share(percent)

    def ensure_out(self) -> None:
        """Send everything to the stable side; the engine is not needed for it."""
        self._router.ensure_out()

    def ensure_stable(self, pinned: Pinned) -> None:
        """Have exactly this run as the stable side, the one before being kept, or taken back.

        The one before gets its new name while it still runs, and is stopped then: at no time is
        there nothing left that the way back could start.
        """
        found = self._crew()
        fresh = self._fresh(found, pinned)
        back = fresh is not None and fresh.name.startswith(self._names.kept)
        if fresh is None:
            fresh = self._create(Role.STABLE, pinned)
        others = [one for one in found.stables if one.id != fresh.id]
        if found.stable in others:
            self._set_aside(found.stable, back=back)
        for one in others:
            self._put_away(one, back=back)
        if not fresh.running:
            self._engine.start(fresh)
        self._router.bring_back()
        if back:
            # Its name comes last: until then, doing this again is the way back again.
            for one in others:
                self._dismiss(one)
            self._engine.rename(fresh, self._names.original(fresh.name))

    def ensure_removed(self) -> None:
        """Take the canary away, and with it what was kept, if the stable side can do without."""
        if self._router.lanes().canary.admin is not Admin.MAINT:
            raise EnvironmentFault(
                "users may still reach the canary, so it is not taken away",
                where=f"{self.options.router.backend}/{self.options.router.canary}",
                hint="Send everything to the stable side first: model-gates canary abort",
            )
        found = self._crew()
        for one in (*found.canaries, *found.readers):
            self._engine.remove(one)
        if found.stable is not None and self.look().stable.health is Health.READY:
            for one in (*found.kept, *found.spare):
                if one.id != found.stable.id:
                    self._engine.remove(one)
            if "role" in found.stable.labels:
                self._engine.unless_stopped(found.stable)

    def ensure_guard(self, *, on: bool) -> None:
        """Have the guard's container run, and see a sign of life; or have it gone."""
        house = GuardHouse(
            engine=self._engine, names=self._names, state=self._state, router=self._router
        )
        present = self._crew().guard
        if on:
            house.ensure(present, self._guard_image)
        else:
            house.remove(present)

    def by_hand(self) -> tuple[str, ...]:
        """Return the commands for a person; with HAProxy's socket alone, no engine is needed."""
        router = self.options.router
        stable, canary = (f"{router.backend}/{name}" for name in (router.stable, router.canary))
        orders = (
            f"set server {stable} state ready; set server {stable} weight 100; "
            f"set server {canary} weight 0; set server {canary} state maint"
        )
        socket = shlex.quote(f"UNIX-CONNECT:{router.socket}")
        label = shlex.quote(f"label=model-gates.deployment={self.name}")
        return (
            f"docker --host {shlex.quote(self.options.engine)} ps --all --filter {label}",
            f"echo {shlex.quote(orders)} | socat - {socket}",
        )

    @cached_property
    def _engine(self) -> Engine:
        return Engine(address=self.options.engine)

    @cached_property
    def _asked(self) -> dict[Side, Asked]:
        return {side: Asked() for side in Side}

    @property
    def _router(self) -> Router:
        router = self.options.router
        return Router(
            socket=router.socket,
            backend=router.backend,
            stable=router.stable,
            canary=router.canary,
            timeout=router.timeout,
        )

    @property
    def _names(self) -> Names:
        return Names(deployment=self.name)

    @property
    def _state(self) -> Path:
        return self.options.folder(self.name)

    def _crew(self) -> Crew:
        name, adopted = self.options.stable_container, None
        if name is not None:
            adopted = self._engine.container(name)
            adopted = adopted or self._engine.container(self._names.kept + name)
        return crew(self._engine.containers(self.name), adopted, self._names)

    def _address(self, side: Side) -> str:
        return self.options.stable if side is Side.STABLE else self.options.canary

    def _is(self, one: Container, pinned: Pinned, side: Side) -> bool:
        fingerprint = docker_run.fingerprint(self.options.container, self._address(side))
        return docker_run.matches(one, pinned, fingerprint)

    def _create(self, role: Role, pinned: Pinned) -> Container:
        address = split(self._address(Side(role.value)))
        options = self.options.container
        return docker_run.create(self._engine, self._names, role, pinned, address, options)

    def _fresh(self, found: Crew, pinned: Pinned) -> Container | None:
        """Return the container of the stable side that these bytes are to run in, if it is there.

        What has served before does so with the options of then; what never ran needs those of now.
        """
        for one in found.stables:
            same = one.image == pinned.digest
            if same and (one.status != "created" or self._is(one, pinned, Side.STABLE)):
                return one
            if same:
                self._engine.remove(one)
        return None

    def _set_aside(self, one: Container, *, back: bool) -> None:
        """Have no user on the stable side while it is changed; refused if that cannot be.

        On the way back there is no choice; and what does not answer has no users to lose.
        """
        if not one.running or not self._answers(Side.STABLE):
            return
        try:
            self._router.set_aside()
        except EnvironmentFault:
            if not back:
                raise

    def _put_away(self, one: Container, *, back: bool) -> None:
        if one.status == "created":
            self._engine.remove(one)
            return
        if not back and not one.name.startswith(self._names.kept):
            self._engine.rename(one, self._names.kept + one.name)
        if one.policy == "always":
            # Else it would wake when the engine is started again, and take the address.
            self._engine.unless_stopped(one)
        if one.running:
            self._engine.stop(one, self.options.container.stop)

    def _dismiss(self, one: Container) -> None:
        """Remove a container of the stable side, but none that a person made."""
        if "role" in one.labels:
            self._engine.remove(one)

    def _answers(self, side: Side) -> bool:
        host, port = split(self._address(side))
        check = self.options.health
        return answers(host, port, check.path, check.timeout)

    def _seen(self, one: Container | None, side: Side, lanes: Lanes, now: datetime) -> Seen:
        lane = lanes.stable if side is Side.STABLE else lanes.canary
        asked = self._asked[side]
        own = (
            one is not None
            and one.status == "running"
            and asked.ask(one.id, lambda: self._answers(side))
        )
        routed = lane.up or lane.admin is Admin.MAINT
        state, reason = health(
            one,
            now=now,
            answers=own and routed,
            patience=self.options.health.start,
            # HAProxy takes a side down after two checks that failed.
            sure=not routed or asked.in_vain,
        )
        return Seen(
            digest=None if one is None or not one.running else one.image,
            health=state,
            share=lanes.share(side),
            reachable=lane.admin is not Admin.MAINT,
            restarts=one.restarts if one else 0,
            reason=reason and "HAProxy's checks of it fail" if own and not routed else reason,
        )

    def _artifact(self, pinned: Pinned) -> str | None:
        """Return the digest of the model in an image, read from a container that never runs."""
        path = self.options.artifact
        if path is None:
            return None
        labels = docker_run.labels(self.name, Role.READER, pinned)
        name = self._names.of(Role.READER, pinned.digest)
        host = {"network_mode": "none"}
        reader = self._engine.create(name, pinned.digest, host, labels=labels, command=["-"])
        try:
            return docker_artifact.digest(self._engine.archive(reader, path), path)
        finally:
            self._engine.remove(reader)

    def _guard_image(self) -> Pinned:
        image = self.options.guard_image
        if image is None:
            image = self.stable_image()
        return Pinned(image=image, digest=str(self._engine.image(image)["Id"]))

    def stable_image(self) -> str:
        """Return the Id of what serves now."""
        one = self._crew().stable
        if one is None:
            raise InputError(f"nothing serves the stable side of `{self.name}`")
        return one.image
