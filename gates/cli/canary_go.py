"""Carry a rollout out for whoever typed the command: watch it, tell of it, exit by it."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import typer

from gates.cli.durations import seconds
from gates.cli.judge import Format
from gates.cli.publish import add_summary, tell
from gates.errors import ConfigError, EnvironmentFault, GatesError

if TYPE_CHECKING:
    from gates.canary.chain import Record
    from gates.canary.journal import Journal
    from gates.canary.onward import How
    from gates.canary.plan import Plan
    from gates.canary.rollout import Ending, Rollout
    from gates.canary.sight import Sight
    from gates.canary.site import Lease
    from gates.canary.state import State
    from gates.cli.canary_hand import Opened


def state_of(place: Opened) -> State:
    """Return how far the latest rollout came. Raises Refused where its journal was changed."""
    from gates.canary.journal import records
    from gates.canary.state import fold

    return fold(records(place.site.store))


def sight_of(place: Opened) -> Sight | None:
    """Return what really stands there, None where that cannot be told."""
    with suppress(EnvironmentFault):
        return place.site.look()
    return None


def show(state: State, sight: Sight | None, to: Format) -> str:
    """Return where a rollout is, as text."""
    from gates.canary import console, markdown

    if to is Format.MARKDOWN:
        return markdown.render(state, sight)
    if to is Format.JSON:
        return json.dumps(_as_json(state, sight), indent=1) + "\n"
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    return console.render(state, sight, width=width, color=sys.stdout.isatty())


@contextmanager
def letting_go(place: Opened, lease: Lease) -> Iterator[None]:
    """Let a deployment go again when nothing came of taking it, and nothing was done to it."""
    try:
        yield
    except BaseException:
        with suppress(EnvironmentFault):
            place.site.store.release(lease)
        raise


def until(budget: str | None) -> float | None:
    """Return when the time of this run is up, by the monotonic clock. Raises ConfigError."""
    if budget is None:
        return None
    return time.monotonic() + seconds(budget, "smh", "--budget")


def go_on(place: Opened, how: How, reason: str, ends: float | None) -> NoReturn:
    """Go on with a rollout that waits for a person, or whose runner died."""
    from gates.canary import onward, take
    from gates.canary.rollout import Cause
    from gates.canary.state import Phase

    state = state_of(place)
    onward.place(how, state)
    plan = state.plan
    assert plan is not None  # noqa: S101  (else there is no place to go on from)
    if plan.settings != place.digest:
        raise ConfigError(
            "this file is not the one that the rollout was begun with",
            where=str(place.file),
            hint="Put it back as it was, or `abort` and start anew with what it says now.",
        )
    place.world.stop.once = True
    lease = take.go_on(place.site.store, place.holder, plan.lease, time)

    # As it is now that nobody else has it.
    state = state_of(place)
    done = onward.place(how, state)

    def onwards(found: Rollout) -> Ending:
        if state.phase in (Phase.ABORTING, Phase.UNCONFIRMED):
            return found.back(Cause.REQUEST, state.why)
        found.hand.journal.write("going", done=done, how=how, reason=reason)
        return found.forward()

    go(place, lease, plan, ends, onwards)


def go(
    place: Opened,
    lease: Lease,
    plan: Plan,
    ends: float | None,
    does: Callable[[Rollout], Ending],
) -> NoReturn:
    """Do something with a rollout while its lease is kept alive, tell of it, and exit by it."""
    from gates.canary.pulse import Pulse
    from gates.cli.canary_hand import rollout

    try:
        with Pulse(store=place.site.store, lease=lease) as pulse:
            found = rollout(place, pulse, plan)
            found.until = ends
            with watching(place, found.hand.journal):
                code = _done(found, does).code
    finally:
        # What became of it has an exit code of its own, whoever told us to stop.
        place.world.stop.rest()
        leave(place)
    raise typer.Exit(code)


def _done(found: Rollout, does: Callable[[Rollout], Ending]) -> Ending:
    """Do something with a rollout; told to stop before it is under way, go back."""
    from gates.canary.rollout import Cause
    from gates.cli.stop import Stopped

    try:
        return does(found)
    except Stopped:
        return found.back(Cause.REQUEST, "the run was cancelled")


def leave(place: Opened) -> None:
    """Leave what a person reads afterwards: the table, the job's summary, and the record.

    What cannot be left is told, and changes nothing: the rollout has come to its end.
    """
    from gates.canary.journal import records
    from gates.canary.state import fold

    try:
        found = records(place.site.store)
        state, sight = fold(found), sight_of(place)
    except GatesError as error:
        tell(place.world.environ, f"the journal cannot be read any more: {error}")
        return
    for leaves in (_summary, _outputs, _record, _table):
        try:
            leaves(place, found, state, sight)
        except (GatesError, OSError) as error:
            with suppress(OSError):
                tell(place.world.environ, f"not everything could be left to read: {error}")


def _summary(place: Opened, _found: tuple[Record, ...], state: State, sight: Sight | None) -> None:
    if place.github:
        add_summary(place.world.environ, show(state, sight, Format.MARKDOWN))
        for level, said in _annotations(place, state):
            tell(place.world.environ, said, level)


def _outputs(place: Opened, _found: tuple[Record, ...], state: State, _sight: Sight | None) -> None:
    from gates.github.commands import write_outputs

    if place.github:
        told = {"phase": state.phase, "share": str(state.share)}
        write_outputs(place.world.environ, told)


def _record(place: Opened, found: tuple[Record, ...], state: State, _sight: Sight | None) -> None:
    from gates.atomic import write_atomic
    from gates.canary.audit import FILE, statement

    if state.plan is not None:
        path = place.out / FILE
        write_atomic(path, json.dumps(statement(found), indent=1).encode() + b"\n")
        typer.echo(f"record: {path}", err=True)


def _table(_place: Opened, _found: tuple[Record, ...], state: State, sight: Sight | None) -> None:
    typer.echo(show(state, sight, Format.CONSOLE), nl=False)


def _annotations(place: Opened, state: State) -> Iterator[tuple[str, str]]:
    """Yield what stands on the run's page: a person is needed, or the candidate was sent back."""
    from gates.canary.state import Phase

    if state.phase is Phase.HELD:
        yield "warning", f"{place.name} is held at {state.share} %: {state.why}"
    if state.phase is Phase.ROLLED_BACK:
        yield "error", f"{place.name} was rolled back: {state.why}"
    if state.phase in (Phase.ABORTING, Phase.UNCONFIRMED):
        by_hand = "\n".join(("By hand it takes:", *place.site.by_hand()))
        yield "error", f"{place.name}: the way back is not confirmed: {state.why}\n{by_hand}"


@contextmanager
def watching(place: Opened, journal: Journal) -> Iterator[None]:
    """Tell of every line of the journal: as a table that lives, or line by line in a log."""
    tellers: list[Callable[[tuple[Record, ...]], None]] = []

    def hear(found: tuple[Record, ...]) -> None:
        for teller in tuple(tellers):
            try:
                teller(found)
            except Exception:  # noqa: BLE001  (who is told changes nothing: nobody may read any more)
                tellers.remove(teller)

    journal.told = hear
    if place.github:
        from gates.cli.canary_mirror import mirror

        stop = place.world.stop
        tellers.append(
            mirror(place.world.environ, place.name, journal, lambda: stop.signal is not None)
        )
    if place.github or not sys.stdout.isatty():
        tellers.insert(0, _line)
        yield
        return
    from rich.live import Live
    from rich.text import Text

    from gates.canary.state import fold

    # What it leaves is printed when all is over, with what really serves then.
    live = Live(transient=True, refresh_per_second=4)
    tellers.insert(
        0, lambda found: live.update(Text.from_ansi(show(fold(found), None, Format.CONSOLE)))
    )
    live.start()
    try:
        yield
    finally:
        with suppress(OSError):
            live.stop()


def _line(found: tuple[Record, ...]) -> None:
    """Say on stderr what the last line of the journal says."""
    from gates.canary.state import fold
    from reporters.render.escape import plain

    last, state = found[-1], fold(found)
    why = last.body.get("why") or last.body.get("judgement", {}).get("reason", "")
    line = f"{last.at}  {state.share:>3} %  {last.kind} {last.act}"
    typer.echo(plain(f"{line}  {why}".rstrip()), err=True)


def _as_json(state: State, sight: Sight | None) -> dict[str, object]:
    from gates.canary.acts import told

    plan = state.plan
    return {
        "phase": state.phase,
        "rollout": None if plan is None else plan.rollout,
        "share": state.share,
        "why": state.why,
        "next": None if state.following is None else str(state.following),
        "plan": None if plan is None else plan.as_json(),
        "sight": None if sight is None else told(sight),
        "story": [
            {"at": one.at, "by": one.by, "what": one.what, "share": one.share}
            for one in state.story
        ],
    }
