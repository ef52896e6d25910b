"""The `artifact` gate: is the model's own file what it says, and is it safe to load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, StrictStr

from gates.artifacts.formats import Format
from gates.builtin.declared import Declared
from gates.builtin.samples import Asked
from gates.builtin.scanners import Scanner, opinion
from gates.errors import InputError, Refused
from gates.fields import Model, bounded
from gates.limits import Limit, Positive, Problem
from gates.report import Check, Decide, Family, GateResult, Mode, OnInconclusive, Task, Verb

if TYPE_CHECKING:
    from pathlib import Path

    from gates.artifacts.budget import Budget
    from gates.artifacts.dtypes import Global
    from gates.artifacts.manifest import File, Manifest
    from gates.artifacts.sniff import Content
    from gates.builtin.stored import Compared
    from gates.evidence import Evidence, Policy

_MIB = 1 << 20
_MOST_NAMES = 12
_MOST_NOTES = 30
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
# No list of what is dangerous is whole; these are what somebody might allow by mistake.
_NEVER = re.compile(
    r"(os|posix|nt|subprocess|sys|importlib|runpy|pty|socket|operator|code|ctypes)\..*"
    r"|builtins\.(eval|exec|compile|getattr|setattr|open|__import__|breakpoint|globals|vars)"
)
_HINT = (
    "Export the model to a format without code (skops, safetensors, ONNX). A global that you have "
    "looked at is let in by its whole name under `gates.artifact.allow`."
)


class Artifact(Model):
    """Hold the model's own files: known by content, safe to load, no larger than allowed.

    What it measures: every file of `candidate.artifact` is read and nothing is loaded. What it is
    by its content must be a format that can be inspected; a pickle (joblib's, PyTorch's and NumPy's
    too) or a skops file may name only globals that are on the built-in list or in `allow`.
    A file that names another, or that can not be read to its end, is refused: exit code 5, which no
    `mode` and no waiver softens. Size and `formats` are limits like any other.

    When it lies: it says that loading runs no code but that of the listed classes, and nothing of
    what the model predicts. The listed classes are taken to be those of the libraries, so whoever
    can change what is installed where the model is loaded can change what they do. Hostile numbers
    in an honest class can crash a process. That the predictions came from these files, it can not
    know. A scanner's opinion is shown and decides nothing.

    How to fix a fail: export the model to skops, safetensors or ONNX, or leave out of the folder
    what does not belong to it. If a name is yours, look at what its constructor does, and add it to
    `allow` on the default branch.
    """

    gate: ClassVar[str] = "artifact"

    allow: tuple[StrictStr, ...] = Field(
        default=(),
        description="Further globals that a file may name, each by its whole name.",
    )
    formats: tuple[Format, ...] = Field(
        default=tuple(Format), min_length=1, description="The formats that files may have."
    )
    max_size_mib: Positive = Field(default=2048, description="All files together, in MiB.")
    scanners: tuple[Scanner, ...] = Field(
        default=(), description="Scanners whose opinion is shown, where they are installed."
    )
    mode: Mode | None = Field(default=None, description="enforce, warn or report.")
    on_inconclusive: OnInconclusive | None = Field(
        default=None, description="What an undecided check counts as: warn or fail."
    )

    @property
    def needs_baseline(self) -> bool:
        """Return whether the registered baseline is asked for: the files speak for themselves."""
        return False

    @property
    def pairs(self) -> bool:
        """Return whether rows of the baseline's model are looked at: never."""
        return False

    @property
    def needs_truth(self) -> bool:
        """Return whether rows must have a label."""
        return False

    @property
    def remembers(self) -> Asked:
        """Return of what a baseline is to remember how it was distributed: of nothing."""
        return Asked()

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns read of the joined rows: none."""
        return ()

    def problems(self, task: Task) -> Iterator[Problem]:  # noqa: ARG002  every gate is asked alike
        """Yield what is wrong with these options."""
        for index, name in enumerate(self.allow):
            if not _NAME.fullmatch(name):
                yield Problem(
                    path=("allow", index),
                    message="expected the whole name of one global, such as package.module.Class; "
                    "a package lets in all that it holds",
                )
            elif _NEVER.fullmatch(name):
                yield Problem(
                    path=("allow", index),
                    message=f"`{bounded(name)}` runs whatever it is given: it can not be allowed",
                )

    def limits(self) -> Iterator[Limit]:
        """Yield no limit on a change: nothing is held against a baseline."""
        return iter(())

    def compared(self, evidence: Evidence) -> Iterator[Compared]:  # noqa: ARG002  as `problems`
        """Yield nothing: no model's output is looked at."""
        return iter(())

    def declared(self, policy: Policy, root: Path) -> Iterator[Declared]:  # noqa: ARG002  asked alike
        """Yield the three questions, which no file changes."""
        asked = {"untrusted_globals": 0.0, "unlisted_formats": 0.0, "size_mib": self.max_size_mib}
        for metric, bound in asked.items():
            yield Declared(
                gate=self.gate,
                metric=metric,
                verb=Verb.MAX,
                bound=bound,
                family=Family.OVERALL,
                decide=Decide.POINT,
                mode=self.mode or policy.mode,
                on_inconclusive=self.on_inconclusive or policy.on_inconclusive,
                of_rows=False,
            )

    def judge(self, evidence: Evidence) -> GateResult:
        """Read every file of the artifact.

        Raises Refused for what is not safe to load or can not be inspected, InputError for what is
        too large to read, EnvironmentFault for a scanner that is not installed.
        """
        from gates.artifacts.manifest import manifest_of

        manifest = evidence.artifact
        if manifest is None:
            raise InputError(
                "there is no artifact to judge", hint="Name it: `candidate: {artifact: …}`."
            )
        found = inspected(manifest)
        where = bounded(manifest.path.relative_to(evidence.root))
        self._hold(found, where)
        # What was judged is what the report's digest says, also if somebody wrote in between.
        if manifest_of(manifest.path).digest != manifest.digest:
            raise Refused("the artifact changed while it was judged", where=where, hint=_HINT)
        named = {one for content in found.contents.values() for one in content.named}
        opinions = (opinion(scanner, manifest.path) for scanner in self.scanners)
        return GateResult(
            gate=self.gate,
            summary=f"{_count(len(manifest.files), 'file')}, {manifest.size / _MIB:,.1f} MiB; "
            f"{_count(len(named), 'global')} named, each of them on the list",
            hint=_HINT,
            checks=tuple(self._checks(evidence, manifest, found, len(named))),
            notes=(*_told(found), *opinions),
        )

    def _hold(self, found: Inspected, where: str) -> None:
        """Raise what was found against the files, all of it at once."""
        from gates.artifacts.trusted import untrusted

        against = dict(found.against)
        for name, content in found.contents.items():
            strangers = untrusted(content.named, self.allow)
            if strangers:
                against[name] = _naming(strangers)
        if against:
            raise Refused(
                f"not safe to load: {_count(len(against), 'file')} of the artifact",
                where=where,
                hint=_HINT,
                details=tuple(
                    f"{bounded(name)}: {why}" for name in sorted(against) for why in against[name]
                ),
            )
        if found.too_large:
            name, error = next(iter(found.too_large.items()))
            raise InputError(error.message, where=f"{where}: {bounded(name)}", hint=error.hint)

    def _checks(
        self, evidence: Evidence, manifest: Manifest, found: Inspected, named: int
    ) -> Iterator[Check]:
        # What is none of its own is a model's data, or it would have been refused.
        formats = [content.format or Format.ONNX for content in found.contents.values()]
        unlisted = sum(one not in self.formats for one in formats)
        files = len(manifest.files)
        yield self._check(evidence, "untrusted_globals", 0, 0, named)
        yield self._check(evidence, "unlisted_formats", unlisted, 0, files)
        yield self._check(evidence, "size_mib", manifest.size / _MIB, self.max_size_mib, files)

    def _check(
        self, evidence: Evidence, metric: str, value: float, bound: float, count: int
    ) -> Check:
        policy = evidence.policy
        return Check(
            id=f"{self.gate}/{metric}:{Verb.MAX.value}",
            metric=metric,
            candidate=value,
            interval_of="candidate",
            confidence=policy.confidence,
            method="content",
            n=count,
            limit={Verb.MAX: bound},
            decide=Decide.POINT,
            mode=self.mode or policy.mode,
            on_inconclusive=self.on_inconclusive or policy.on_inconclusive,
        )


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What each file holds, by name, and what was found against the others."""

    contents: dict[str, Content] = field(default_factory=dict)
    against: dict[str, tuple[str, ...]] = field(default_factory=dict)
    too_large: dict[str, InputError] = field(default_factory=dict)


def inspected(manifest: Manifest) -> Inspected:
    """Read every file of an artifact, and hold it together with those that it names."""
    from gates.artifacts.budget import Budget

    found, budget = Inspected(), Budget()
    for file in manifest.files:
        _inspect(file, budget, found)
    beside = {_beside(name, path) for name, one in found.contents.items() for path in one.beside}
    for name, content in tuple(found.contents.items()):
        if content.format is None and name not in beside:
            found.against[name] = ("not in a format that can be inspected",)
        missing = [p for p in content.beside if _beside(name, p) not in found.contents]
        if missing:
            why = f"its data are in no file of the artifact: {bounded(missing[0])}"
            found.against[name] = (why,)
    return found


def _inspect(file: File, budget: Budget, found: Inspected) -> None:
    from gates.artifacts.manifest import opened
    from gates.artifacts.sniff import content_of

    try:
        with opened(file.path) as stream:
            found.contents[file.name] = content_of(stream, file.name, budget)
    except Refused as error:
        found.against[file.name] = (error.message, *error.details)
    except InputError as error:
        found.too_large[file.name] = error


def _beside(name: str, path: str) -> str:
    """Return the name of a file that another names, from the artifact's folder."""
    folder, slash, _ = name.rpartition("/")
    return folder + slash + path.removeprefix("./")


def _naming(strangers: tuple[Global, ...]) -> tuple[str, ...]:
    names = [f"names {bounded(one)}" for one in strangers[:_MOST_NAMES]]
    more = len(strangers) - len(names)
    return (*names, *([f"names {more:,} more"] if more else []))


def _told(found: Inspected) -> Iterator[str]:
    """Yield a line for each file, of the first ones: what it is, and how much it names."""
    for name, content in tuple(found.contents.items())[:_MOST_NOTES]:
        kind = "data of an ONNX model" if content.format is None else content.format.value
        names = f", names {_count(len(content.named), 'global')}" if content.named else ""
        yield f"{bounded(name)}: {kind}{names}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")
