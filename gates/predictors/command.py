"""The predictor that runs the model: a command of the user's, shut in, which writes a file."""

from __future__ import annotations

import re
import shlex
import signal
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
)

from gates.cage.caged import Cage, Ended, Limits, caged
from gates.errors import EnvironmentFault, InputError
from gates.evidence import ArtifactPath, Columns, Source
from gates.fields import Model, bounded
from gates.predictors.files import Threshold

_WHERE = "candidate.command"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What the runner's own steps talk to the runner with; tokens are among it.
_RESERVED = ("ACTIONS_", "GITHUB_", "RUNNER_")
_GAPS = {
    "network": "it could reach the network",
    "processes": "what it started may outlive it, and could look at the machine's other processes",
    "files": "it could write to any file that we can",
    "memory": "its memory was not limited",
}
_STOPPED = {
    "time": ("did not end within {timeout:g} s", "Give it more time with `timeout`."),
    "memory": ("used more than {memory_mib:,} MiB", "Give it more with `memory_mib`."),
    "processes": (f"started more than {Limits().processes} processes", "Let it start fewer."),
}


def _listed(command: object) -> object:
    if not isinstance(command, str):
        return command
    try:
        words = shlex.split(command)
    except ValueError:
        words = ["python", "predict.py"]
    written = bounded(", ".join(map(_scalar, words)))
    raise ValueError(f"expected a list of words, because no shell reads it: [{written}]")


def _scalar(word: str) -> str:
    return word if re.fullmatch(r"[\w./=-]*[A-Za-z./=][\w./=-]*", word) else f'"{word}"'


def _inside(predictions: str) -> str:
    path = PurePosixPath(predictions)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        raise ValueError(
            "expected a file in a folder of its own below the configuration, such as "
            "out/predictions.parquet: the command may change what is in that folder"
        )
    return predictions


def _passable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("expected the name of a variable, without its value")
    if name.upper().startswith(_RESERVED):
        raise ValueError(f"{', '.join(_RESERVED)}…: these are the runner's own, and not passed on")
    return name


class Command(Model):
    """Run a command that makes the candidate's predictions, once for each model.

    The command is started in the folder of the configuration, without a shell, and is shut in: it
    sees no secret, has no network, may write into the folder of `predictions` and `$TMPDIR` only,
    and nothing of it outlives it. What the machine can not hold it to, the report says. A file of
    an earlier run is removed first. A command that fails, or writes no file, is an error of the
    input; the last lines it printed are on standard error.
    """

    kind: ClassVar[str] = "command"

    command: Annotated[
        tuple[Annotated[StrictStr, Field(min_length=1)], ...],
        BeforeValidator(_listed),
    ] = Field(min_length=1, description="Program and arguments, as a list; no shell reads them.")
    predictions: Annotated[StrictStr, AfterValidator(_inside)] = Field(
        description="The file that it writes, in a folder of its own."
    )
    timeout: Annotated[float, Strict(), Field(gt=0, le=86_400, allow_inf_nan=False)] = Field(
        default=600.0, description="Seconds after which it is stopped."
    )
    memory_mib: StrictInt = Field(
        default=4096, ge=64, description="Memory of it and of all that it starts."
    )
    network: StrictBool = Field(default=False, description="true: it may use the network.")
    env: tuple[Annotated[StrictStr, AfterValidator(_passable)], ...] = Field(
        default=(), description="Names of variables that it sees beside the harmless ones."
    )
    columns: Columns = Field(default=Columns(), description="What the file's columns are called.")
    threshold: Threshold = Field(
        default=0.5, description="Score from which a binary prediction is positive."
    )
    artifact: ArtifactPath | None = None

    def there(self, root: Path) -> Source:
        """Return the predictions file as an earlier run may have left it; run nothing."""
        return Source(path=root / self.predictions, columns=self.columns, threshold=self.threshold)

    def fetch(self, root: Path) -> Source:
        """Run the command and return the file that it wrote.

        Raises InputError where it failed or wrote none, EnvironmentFault where it was not started.
        """
        there = self.there(root)
        _cleared(there.path, root)
        limits = Limits(seconds=self.timeout, memory_mib=self.memory_mib, network=self.network)
        folder = there.path.parent
        ended = caged(self.command, cwd=root, writes=(folder,), limits=limits, keep=self.env)
        self._require_success(ended)
        _require_file(there.path, root, ended)
        return replace(there, notes=tuple(_gaps(ended.cage, limits)))

    def _require_success(self, ended: Ended) -> None:
        if ended.stopped:
            what, hint = _STOPPED[ended.stopped]
            what = f"{what} and was stopped".format_map(dict(self))
        elif ended.returncode:
            what, hint = _how(ended.returncode), "Mend the command; what it printed is on stderr."
        else:
            return
        shown = bounded(shlex.join(self.command))
        raise InputError(
            f"the command `{shown}` {what}", where=_WHERE, hint=hint, output=ended.output
        )


def _how(returncode: int) -> str:
    if returncode > 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


def _gaps(cage: Cage, limits: Limits) -> Iterator[str]:
    """Yield one sentence about what was not in force, if anything was not."""
    gaps = [
        told
        for name, told in _GAPS.items()
        if not getattr(cage, name) and not (name == "network" and limits.network)
    ]
    if gaps:
        yield (
            f"This machine could not wholly shut the command in: {'; '.join(gaps)}. "
            "`docs/security.md` of Model Gates says what helps."
        )


def _cleared(path: Path, root: Path) -> None:
    """Make the folder, and remove the file of an earlier run: it must not be taken for this one."""
    _require_inside(path.parent, root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot clear the way for the command's file: {error.strerror}",
            where=bounded(path),
            hint="Give the file a folder that can be written to, and a name of its own.",
        ) from None


def _require_inside(folder: Path, root: Path) -> None:
    if not folder.resolve().is_relative_to(root.resolve()):
        raise InputError(
            "this folder is a link that leads out of the configuration's folder",
            where=bounded(folder),
            hint="Let the command write into a folder below the configuration.",
        )


def _require_file(path: Path, root: Path, ended: Ended) -> None:
    """Refuse what is no plain file of the command's own: it may lead, or lie in wait, anywhere."""
    _require_inside(path.parent, root)
    try:
        mode = path.lstat().st_mode
    except OSError:
        raise InputError(
            "the command ended without an error and did not write this file",
            where=bounded(path),
            hint="Let it write to the path that `predictions` names.",
            output=ended.output,
        ) from None
    if not stat.S_ISREG(mode):
        what = "a link" if stat.S_ISLNK(mode) else "no regular file"
        raise InputError(
            f"what the command left here is {what}",
            where=bounded(path),
            hint="Let it write the file itself.",
        )
