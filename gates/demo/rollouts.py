"""The story goes on: the candidate that passed is rolled out, and evaluations are not everything.

Two rollouts, by the commands that a release manager types, on this machine's Docker engine behind
an HAProxy of the demo's own. Whether a rollout is stopped, and how many users were in trouble, is
what comes out of it; none of it stands here.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from gates.canary.settings import load
from gates.demo.means import means
from gates.demo.stage import Elsewhere, Stage, haproxy, stage
from gates.demo.story import PASSED, PROJECT, PROMOTED, ROLLED_BACK, WIDTH, Say, argv, environment
from gates.demo.users import Users, people, record
from gates.errors import EXIT_BLOCKED, EXIT_BUG, EXIT_OK, ConfigError, EnvironmentFault
from gates.process import passed_on, run

FILE, PROXY, RECORDED = "model-gates.canary.yml", "haproxy.cfg", "data/requests.jsonl"
# Where the part of the file begins that the team adds after the first rollout.
LESSON = "    # Before any user meets a candidate"
_SECONDS = 300.0
_RECORDED = 300
_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One command of the chapter, and the exit code it must end with.

    `image` is the candidate that it rolls out, with users who ask meanwhile; `lesson` says that
    the team has added to the file before.
    """

    before: str
    command: str
    expected: int = EXIT_OK
    image: str | None = None
    lesson: bool = False


_START = (
    "model-gates canary start {name} --image {image} --record "
    f"{PASSED}/evidence.json --out {{out}}"
)
SCENES = (
    Scene(
        before="The second candidate passed, and its server has something new, too: each answer "
        "names the person's age group, by a table from the employment office. Users go on asking "
        "while it is rolled out.",
        command=_START.replace("{out}", ROLLED_BACK),
        expected=EXIT_BLOCKED,
        image="candidate-1",
    ),
    Scene(
        before="The model is the same, to the byte; what is wrong is around it. The office's table "
        "ends at 64, and whoever is older was answered with an error. The team takes a table of "
        "everyone. It also adds `replay` to its file: from now on both sides are asked what users "
        "had asked before, ahead of any user who meets a candidate.",
        command=_START.replace("{out}", PROMOTED),
        image="candidate-2",
        lesson=True,
    ),
    Scene(
        before="Whoever asks later what was rolled out, and what became of it:",
        command="model-gates canary history {name}",
    ),
    Scene(before="And what serves now:", command="model-gates canary status {name}"),
)


def chapter(environ: Mapping[str, str]) -> Callable[[Path, Say], int]:
    """Return what plays the rollouts in a folder in which the story was played."""
    return lambda out, say: play(out, say, environ)


def play(out: Path, say: Say, environ: Mapping[str, str]) -> int:
    """Play the rollouts; return 0 when they went as told or cannot be played here, else 70.

    Raises EnvironmentFault where the engine or HAProxy fail. Nothing is left running, whatever
    happens; what a person may want to read is left in `out`.
    """
    say("\n── And from here to its users ──")
    found = means(environ)
    if isinstance(found, str):
        say(_filled(f"The candidate would now be rolled out, step by step. {found}"))
        return EXIT_OK
    try:
        with stage(found, out.resolve()) as here:
            try:
                code = _played(here, say)
            finally:
                say(f"\nRemoving every container and image that is called …-{here.mark} …")
    except Elsewhere:
        say(
            "The engine's containers cannot be reached from here: to see the candidate rolled out, "
            "run this where the engine runs."
        )
        return EXIT_OK
    return code


def _played(here: Stage, say: Say) -> int:
    _make(here, say)
    _write_file(here, lesson=False)
    config = here.out / PROXY
    config.write_text(_printed(here, f"model-gates canary haproxy-config {here.deployment}"))
    with haproxy(here, config):
        for number, scene in enumerate(SCENES, 1):
            code = _scene(here, say, scene, f"rollout, {number} of {len(SCENES)}")
            if code != scene.expected:
                say(
                    f"\nThe rollout did not go as told: exit code {code}, where {scene.expected} "
                    "was expected."
                )
                return EXIT_BUG
    say(
        f"\nThe records are {ROLLED_BACK}/rollout.json and {PROMOTED}/rollout.json.\n"
        f"How it was deployed stands in {FILE} and {PROXY}."
    )
    return EXIT_OK


def _make(here: Stage, say: Say) -> None:
    say(
        _filled(
            "The team's own server (serve.py) goes into containers with either model. HAProxy "
            "stands before them and shares the users out. All of it is on this machine, is called "
            f"…-{here.mark}, and is gone at the end."
        )
    )
    begun = time.monotonic()
    say("\nMaking an image of this Python and scikit-learn …")
    size = here.make_base()
    here.make_image("baseline", "baseline")
    here.make_image("candidate-1", "candidate", "working")
    here.make_image("candidate-2", "candidate", "everyone")
    say(
        f"… and three with a server on it: {size / _MB:,.0f} MB in {time.monotonic() - begun:.0f} s"
    )
    here.serve("baseline")
    say("The linear model serves, as it has for months.")


def _write_file(here: Stage, *, lesson: bool) -> None:
    """Write the deployment as it is on this machine, without or with what was learned."""
    text = (PROJECT / FILE).read_text(encoding="utf-8")
    if not lesson:
        text = text[: text.index(LESSON)].rstrip() + "\n"
    ours = {
        "  income:\n": f"  {here.deployment}:\n",
        "unix:///var/run/docker.sock": here.means.engine,
        "/run/haproxy/model-gates.sock": str(here.folder / "haproxy.sock"),
        "127.0.0.1:8080": f"127.0.0.1:{here.users}",
        "127.0.0.1:8081": f"127.0.0.1:{here.stable}",
        "127.0.0.1:8082": f"127.0.0.1:{here.canary}",
        "stable_container: income ": f"stable_container: {here.container} ",
        "/var/lib/model-gates/income": str(here.folder / "state"),
    }
    for theirs, own in ours.items():
        before, found, after = text.partition(theirs)
        if not found:
            raise ConfigError(f"`{theirs.strip()}` is not there any more", where=FILE)
        text = before + own + after
    (here.out / FILE).write_text(text, encoding="utf-8")


def _scene(here: Stage, say: Say, scene: Scene, title: str) -> int:
    users = _users(here)
    if scene.lesson:
        record(users.people[:_RECORDED], here.out / RECORDED)
        _write_file(here, lesson=True)
    image = "" if scene.image is None else here.image(scene.image)
    command = scene.command.format(name=here.deployment, image=image)
    say(f"\n── {title} ──\n{_filled(scene.before)}\n\n$ {command}")
    with users.asking() if scene.image else nullcontext():
        code = _streamed(here, command, say)
    if scene.image:
        say(f"{_told(users)}\n\nexit code {code}")
    return code


def _users(here: Stage) -> Users:
    """Return users who send what the team's replay sends: the columns that the models see."""
    found, _ = load(PROJECT / FILE)
    replay = found.deployments["income"].replay
    features = () if replay is None else replay.features or ()
    return Users(port=here.users, people=people(here.out / "data" / "holdout.parquet", features))


def _filled(text: str) -> str:
    """Return text as lines, with paths and commands in one piece."""
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _told(users: Users) -> str:
    if not users.errors:
        return f"\n{users.asked:,} users asked meanwhile, and each got an answer."
    share = users.errors / users.asked
    return (
        f"\n{users.asked:,} users asked meanwhile; {users.errors:,} of them got an error "
        f"({share:.1%})."
    )


def _printed(here: Stage, command: str) -> str:
    """Return what a command prints that has to succeed."""
    finished = run(argv(command), cwd=here.out, timeout=_SECONDS, env=environment())
    if finished.returncode != EXIT_OK:
        raise EnvironmentFault(f"`{command}` failed", details=(finished.output.strip(),))
    return finished.output


def _streamed(here: Stage, command: str, say: Say) -> int:
    """Run a command, say each line when it comes, and return its exit code."""
    process = subprocess.Popen(
        argv(command),
        cwd=here.out,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=passed_on() | environment(),
        start_new_session=True,
    )
    late = threading.Timer(_SECONDS, process.kill)
    late.start()
    try:
        with process.stdout or nullcontext(()) as lines:
            for line in lines:
                say(line.rstrip())
        return process.wait()
    finally:
        late.cancel()
        # Whatever it had done, the place where it did it is cleared away by its names.
        process.kill()
        process.wait()
