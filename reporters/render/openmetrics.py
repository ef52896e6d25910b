"""A report as OpenMetrics text: what a Prometheus scrapes, reads from a file or has pushed to it.

Gauges only, with the verdict one-hot in a label: so the older Prometheus text format, which knows
neither `stateset` nor `info` and is what the Pushgateway and the node exporter's textfile collector
read, understands the same lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gates.report import Effect, Report, Verdict
from reporters.render.entries import Entry, entries, started
from reporters.render.escape import name

_PREFIX = "model_gates_"
Labels = dict[str, str]


class Family(NamedTuple):
    """A gauge: its name, what it says, its unit if it has one, and its samples."""

    name: str
    help: str
    samples: list[tuple[Labels, float]]
    unit: str = ""


def render(report: Report) -> str:
    """Return the report as OpenMetrics text: gauges for a Prometheus to scrape, or to be pushed.

    A number that was not measured has no sample: alert on `model_gates_check_verdict` and
    `model_gates_run_blocked`, never on the absence of a value.
    """
    found = entries(report)
    families = [*_run(report), *_problems(found), *_checks([e for e in found if e.check])]
    lines = [line for family in families if family.samples for line in _lines(family)]
    return "\n".join([*lines, "# EOF", ""])


def _run(report: Report) -> Iterator[Family]:
    verdict = report.verdict or (Verdict.ERROR if report.blocked else Verdict.SKIPPED)
    commit = name(report.run.git.sha) if report.run.git.sha else ""
    tool = {"version": name(report.tool.version), "commit": commit}
    began = started(report)
    yield Family("run", "Always 1; which version judged which commit.", [(tool, 1)])
    yield Family("run_blocked", "Whether the run blocks the candidate.", [({}, report.blocked)])
    yield Family("run_exit_code", "What the run exited with.", [({}, report.exit_code)])
    yield Family(
        "run_verdict", "The verdict of the whole run: one of these is 1.", _hot({}, verdict)
    )
    when: list[tuple[Labels, float]] = [({}, began.timestamp())] if began else []
    help_ = "When the run began; a number that stops moving is a gate that no longer runs."
    yield Family("run_started_timestamp_seconds", help_, when, "seconds")


def _problems(found: list[Entry]) -> Iterator[Family]:
    """Yield what did not get to its checks; an empty label stands for every gate or model."""
    broken = [(_labels(entry), 1.0) for entry in found if entry.check is None and entry.amiss]
    yield Family("not_run", "A run, a model or a gate that did not get to its checks.", broken)


def _checks(found: list[Entry]) -> Iterator[Family]:
    """Yield one family for each number of a check, each with a sample for every check with it."""
    each = [(_labels(entry), entry.check) for entry in found if entry.check]
    values = [
        ({**labels, "metric": name(check.metric), "side": side}, value)
        for labels, check in each
        for side, value in (("baseline", check.baseline), ("candidate", check.candidate))
        if value is not None
    ]
    deltas = [(labels, check.delta) for labels, check in each if check.delta is not None]
    ends = [
        ({**labels, "of": check.interval_of, "bound": bound}, end)
        for labels, check in each
        for bound, end in zip(("low", "high"), check.interval or (), strict=False)
    ]
    limits = [({**labels, "verb": check.verb.value}, check.bound) for labels, check in each]
    rows = [(labels, float(check.n)) for labels, check in each]
    blocks = [(labels, float(check.effect is Effect.BLOCK)) for labels, check in each]
    verdicts = [one for labels, check in each for one in _hot(labels, check.verdict)]
    yield Family("check_verdict", "The verdict of a check: one of these is 1.", verdicts)
    yield Family("check_blocks", "Whether a check blocks, by policy and waivers.", blocks)
    yield Family("check_value", "A metric of the baseline and of the candidate.", values)
    yield Family("check_delta", "Candidate minus baseline.", deltas)
    yield Family("check_interval", "The ends of the interval that decides.", ends)
    yield Family("check_limit", "The limit, by its verb.", limits)
    yield Family("check_rows", "On how many rows a check was measured.", rows, "rows")


def _hot(labels: Labels, verdict: Verdict) -> list[tuple[Labels, float]]:
    return [({**labels, "verdict": one.value}, float(one is verdict)) for one in Verdict]


def _labels(entry: Entry) -> Labels:
    found = {"model": entry.model, "gate": entry.gate}
    return {**found, "check": entry.rule} if entry.check else found


def _lines(family: Family) -> Iterator[str]:
    title = f"{_PREFIX}{family.name}"
    yield f"# HELP {title} {family.help}"
    yield f"# TYPE {title} gauge"
    if family.unit:
        yield f"# UNIT {title} {family.unit}"
    for labels, value in family.samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{title}{{{inside}}} {_number(value)}" if inside else f"{title} {_number(value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return f"{value:.12g}"
