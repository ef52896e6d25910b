"""`report --rejudge`: judge an untrusted run's report by the base commit's rules.

For a `workflow_run` job, which checks nothing out. Which pull request it is about, its head, its
base and the rules come from GitHub; of the report only numbers are taken. Whatever goes wrong is
published as a refusal: who sees nothing new could take an older word for the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gates.cli.template import decoded, tell_missing
from gates.errors import ConfigError, GatesError

if TYPE_CHECKING:
    from gates.github.context import FinishedRun
    from gates.github.repository import Pull, Repository
    from gates.report import Report, RunInfo


@dataclass(frozen=True)
class Untrusted:
    """What to judge anew: the report's file, and the configuration as the repository has it."""

    file: Path
    config: Path
    models: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    template: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Rejudged:
    """The report to publish and where; `error` is why it has no verdict. Or why there is none.

    `override` is the base branch's template of the page.
    """

    report: Report | None = None
    pull: int | None = None
    override: str | None = None
    error: GatesError | None = None
    skipped: str = ""


def rejudged(environ: Mapping[str, str], asked: Untrusted) -> Rejudged:
    """Return the report judged anew. Raises EnvironmentFault where GitHub can not be asked."""
    from gates.cli.publish import connect
    from gates.decide import refused
    from gates.github.context import finished_run, job
    from gates.github.service import GITHUB

    run = finished_run(environ)
    if run.event != "pull_request":
        return Rejudged(skipped=f"the run was not of a pull request, but on `{run.event}`")
    repository = connect(environ, job(environ), GITHUB)
    pulls = [p for p in repository.open_pulls(run.owner, run.branch) if p.head.sha == run.head]
    if len(pulls) != 1:
        found = f"{len(pulls)} open pull requests stand" if pulls else "no open pull request stands"
        return Rejudged(skipped=f"{found} at the commit of the run")
    base = repository.tip(pulls[0].base.ref)
    info = _run_info(environ, asked, run, base)
    try:
        override = _override(repository, asked.template, base)
        report = _judged(repository, asked, pulls[0], info)
    except GatesError as error:
        report = refused(error, info)
        return Rejudged(report=report, pull=pulls[0].number, error=error)
    return Rejudged(report=report, pull=pulls[0].number, override=override)


def _override(repository: Repository, template: Path | None, base: str) -> str | None:
    if template is None:
        return None
    raw = repository.file(str(_inside(template, "--template")), base)
    if raw is None:
        tell_missing(template)
        return None
    return decoded(raw, template)


def _judged(repository: Repository, asked: Untrusted, pull: Pull, info: RunInfo) -> Report:
    from gates.cli.reading import read
    from gates.config import select
    from gates.policy.about import about
    from gates.policy.rejudge import rejudge
    from gates.policy.remote import Question, rules_from

    today = datetime.now(UTC).date()
    question = Question(
        repository=repository,
        config=_inside(asked.config),
        base=info.git.base_sha or "",
        head=pull.head.sha,
    )
    with TemporaryDirectory(prefix="model-gates-") as folder:
        rules = rules_from(question, Path(folder), on=today)
        config = select(rules.config, asked.models, asked.gates)
        report = read(asked.file)
        # Only a run that says it has left models out is worth asking which it may.
        needed = about(repository, pull, config, question.config) if report.selection else None
        return rejudge(report, rules.with_config(config), info, on=today, needed=needed)


def _inside(config: Path, flag: str = "--config") -> PurePosixPath:
    path = PurePosixPath(config.as_posix())
    if path.is_absolute() or ".." in path.parts:
        raise ConfigError(
            "this is no path within the repository",
            where=flag,
            hint="Name it from the top folder, such as `models/model-gates.yml`.",
        )
    return path


def _run_info(environ: Mapping[str, str], asked: Untrusted, run: FinishedRun, base: str) -> RunInfo:
    from gates.fields import bounded
    from gates.github.context import ci_info
    from gates.report import GitInfo, RunInfo

    return RunInfo(
        started=bounded(run.started or datetime.now(UTC).isoformat(timespec="seconds")),
        config=bounded(asked.config, 2000),
        git=GitInfo(sha=run.head, base_sha=base),
        ci=ci_info({**environ, "GITHUB_RUN_ID": str(run.run)}),
    )
