"""Annotations on the configuration's lines, as commands to the runner: no token is needed."""

from __future__ import annotations

from gates.github.commands import command
from gates.report import Report
from reporters.publish.marked import Mark, marks
from reporters.publish.place import Outcome, Place


def publish(report: Report, place: Place) -> Outcome:
    """Annotate the lines of the configuration, by commands that the runner reads on stdout."""
    lines = [_line(mark) for mark in marks(report, place.find)]
    return Outcome(said=f"annotations: {len(lines)}", text="".join(f"{line}\n" for line in lines))


def _line(mark: Mark) -> str:
    path, line = (mark.spot.path, mark.spot.line) if mark.spot else (None, None)
    return command(mark.level.value, mark.text, file=path, line=line, title=mark.title)
