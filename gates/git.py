"""What git knows of a folder, asked by its plumbing: nothing is checked out, and no code is run.

No hook, filter, text conversion or attribute has a say in what is read here, no replacement takes
an object's place, and nothing is fetched: a blob is its bytes, as they were committed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gates.errors import EnvironmentFault
from gates.fields import bounded
from gates.process import Finished, run

_PATIENCE = 10.0
_BLOB_PATIENCE = 300.0
_GIT = (
    "git",
    "--no-replace-objects",
    "--literal-pathspecs",
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "protocol.allow=never"),
)
_QUIET = {"GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ENTRY = re.compile(
    r"(?P<mode>\d{6}) (?P<kind>[a-z]+) (?P<oid>[0-9a-f]{40,64}) +(?P<size>\d+|-)\t(?P<path>.+)",
    re.DOTALL,
)
# What git's own configuration could add: a program to compare with, a file left out.
_DIFF = (
    *("diff", "--name-only", "-z", "--merge-base", "--no-renames"),
    *("--no-ext-diff", "--no-textconv", "--ignore-submodules=none"),
)
_CUT = "[the first "  # how `gates.process` begins an output that is not whole
_FILE_MODES = ("100644", "100755")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One path of a commit; what is neither a plain file nor a folder is a link or a submodule."""

    path: PurePosixPath
    oid: str
    size: int
    plain: bool
    folder: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """The repository that a folder is in: its top folder, and where git keeps its objects."""

    top: Path
    objects: Path

    def commit(self, revision: str) -> str | None:
        """Return the full sha of a commit that is here, or None."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return _sha(_git(self.top, *words))

    def parents(self, sha: str) -> tuple[str, ...]:
        """Return a commit's parents as it names them, whether they are here or not."""
        finished = _git(self.top, "cat-file", "commit", sha)
        header = finished.output.partition("\n\n")[0] if finished.returncode == 0 else ""
        return tuple(re.findall(r"^parent ([0-9a-f]+)$", header, re.MULTILINE))

    def entries(
        self, sha: str, paths: Sequence[PurePosixPath], *, deep: bool = True
    ) -> tuple[Entry, ...]:
        """Return what a commit has at these paths; `deep`, what is below those that are folders."""
        if not paths:
            return ()
        below = ("-r",) if deep else ()
        words = ("ls-tree", *below, "-z", "-l", "--full-tree", sha, "--", *map(str, paths))
        finished = _git(self.top, *words)
        if finished.returncode != 0 or finished.output.startswith(_CUT):
            raise EnvironmentFault(
                f"git cannot list the files of commit {sha[:12]}",
                where=str(self.top),
                hint=_said(finished) if finished.returncode else "There are too many of them.",
            )
        found = (_ENTRY.search(line) for line in finished.output.split("\0"))
        return tuple(_entry(match) for match in found if match)

    def unpack(self, entry: Entry, path: Path) -> None:
        """Write the bytes of a file in a commit to a new path, to be read and not written to."""
        path.parent.mkdir(parents=True, exist_ok=True)
        words = (f"--git-dir={self.objects}", "unpack-file", entry.oid)
        finished = _git(path.parent, *words, timeout=_BLOB_PATIENCE)
        made = path.parent / (finished.output.split() or [""])[-1]
        if finished.returncode != 0 or not made.is_file():
            raise EnvironmentFault(
                f"git cannot read `{bounded(entry.path)}`: {_said(finished)}",
                where=str(self.top),
                hint="Is the clone whole? One that was made with `--filter` lacks files.",
            )
        made.chmod(0o444)
        made.rename(path)


def head(folder: Path) -> str | None:
    """Return the full sha of the checked-out commit, or None where git knows of none."""
    try:
        return _sha(_git(folder, "rev-parse", "HEAD"))
    except EnvironmentFault:
        # No git, or no such folder: what is judged does not depend on it.
        return None


def repository(folder: Path) -> Repository:
    """Return the repository that a folder is in. Raises EnvironmentFault where there is none."""
    words = ("rev-parse", "--show-toplevel", "--absolute-git-dir")
    finished = _git(folder, *words)
    lines = finished.output.splitlines()
    if finished.returncode != 0 or len(lines) != 2:
        raise EnvironmentFault(
            f"git knows of no work tree here: {_said(finished)}",
            where=str(folder),
            hint="Check the repository out with `actions/checkout`, as the user that runs this.",
        )
    return Repository(top=Path(lines[0]), objects=Path(lines[1]))


def changed_since(
    folder: Path, revision: str, head: str | None = None
) -> tuple[str, tuple[str, ...] | None]:
    """Return the full sha of a revision, and the files that changed since history parted from it.

    The files are relative to `folder`, with slashes, those outside of it included, and what is
    changed and not committed too; with `head`, also what changed up to that commit, where it is
    here. None when they are too many to be told. Raises EnvironmentFault where git cannot tell.
    """
    top = repository(folder)
    sha = top.commit(revision)
    tip = top.commit(head) if head else None
    ends = [[], [tip]] if tip else [[]]
    told = [_git(top.top, *_DIFF, sha, *end, timeout=_BLOB_PATIENCE) for end in ends if sha]
    found = next((one for one in told if one.returncode != 0), told[0] if told else None)
    if sha is None or found is None or found.returncode != 0:
        said = f"it cannot compare: {_said(found)}" if found else "there is no such commit here"
        raise EnvironmentFault(
            f"git cannot tell what changed since `{bounded(revision)}`: {said}",
            where="--changed-since",
            hint="Check out the whole history: `actions/checkout` with `fetch-depth: 0`.",
        )
    if any(one.output.startswith(_CUT) for one in told):
        return sha, None
    start = folder.resolve().relative_to(top.top.resolve()).as_posix()
    names = dict.fromkeys(name for one in told for name in one.output.split("\0") if name)
    return sha, tuple(posixpath.relpath(name, start) for name in names)


def _git(folder: Path, *words: str, timeout: float = _PATIENCE) -> Finished:
    return run([*_GIT, *words], cwd=folder, timeout=timeout, env=_QUIET)


def _sha(finished: Finished) -> str | None:
    found = finished.output.strip()
    return found if finished.returncode == 0 and _SHA.fullmatch(found) else None


def _entry(match: re.Match[str]) -> Entry:
    return Entry(
        path=PurePosixPath(match["path"]),
        oid=match["oid"],
        size=int(match["size"]) if match["size"] != "-" else 0,
        plain=match["mode"] in _FILE_MODES and ".." not in match["path"].split("/"),
        folder=match["kind"] == "tree",
    )


def _said(finished: Finished) -> str:
    """Return git's own last words, in one line."""
    return bounded(" ".join(finished.output.split()[-40:]) or "it said nothing")
