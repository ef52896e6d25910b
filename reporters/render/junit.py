"""A report as JUnit XML: one suite for each model and gate, one case for each check."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from gates.report import Report
from reporters.render.entries import Entry, entries, facts, sentence, started
from reporters.render.escape import plain
from reporters.render.words import Tone

_SUITE = "model-gates"


def render(report: Report) -> str:
    """Return the report as JUnit XML, for the test pages of Jenkins, GitLab and others.

    Those know four results and turn red for two of them, so the effect decides. What blocks is a
    `failure`, or an `error` where nothing could be measured. What does not block and is no pass
    (undecided, only a warning, waived) is `skipped` with the reason: it is counted and shown apart
    from the passes, and stops nobody; a passing case with a remark would be counted as a pass. A
    gate or a run that did not finish is an `error` of its own. What was measured stands in each
    case's `system-out`; no published schema has a place for it in properties of a case.
    """
    found = entries(report)
    suites: dict[tuple[str, str], list[Entry]] = {}
    for entry in found:
        suites.setdefault((entry.model, entry.gate), []).append(entry)
    root = ET.Element("testsuites", {"name": _SUITE, **_totals(found, skipped=False)})
    began = started(report)
    for (model, gate), held in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": _place(model, gate), **_totals(held)})
        if began:
            suite.set("timestamp", f"{began:%Y-%m-%dT%H:%M:%S}")
        _properties(suite, report, model, gate)
        for entry in held:
            _case(suite, entry)
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, "unicode")}\n'


def result(entry: Entry) -> str | None:
    """Return the element that says how a case ended; None for a pass."""
    if entry.tone is Tone.PASS:
        return None
    if not entry.blocks:
        return "skipped"
    return "error" if entry.tone is Tone.ERROR else "failure"


def _case(suite: ET.Element, entry: Entry) -> None:
    case = ET.SubElement(suite, "testcase", classname=suite.get("name", ""), name=entry.rule)
    ended = result(entry)
    if ended:
        element = ET.SubElement(case, ended)
        if ended == "skipped":  # in the published schema it has no attributes
            element.text = entry.said
        else:
            element.set("type", entry.kind)
            element.set("message", sentence(entry))
            to_do = [f"to do: {entry.hint}"] if entry.hint else []
            element.text = "\n".join([entry.said, *entry.details, *to_do])
    if entry.check:
        measured = facts(entry.check).items()
        out = ET.SubElement(case, "system-out")
        out.text = "\n".join(f"{key}: {_value(value)}" for key, value in measured)


def _properties(suite: ET.Element, report: Report, model: str, gate: str) -> None:
    """Add where the numbers come from; a suite of the run itself names the tool alone."""
    parts = {"tool": f"{report.tool.name} {report.tool.version}", "model": model, "gate": gate}
    if report.run.git.sha:
        parts["commit"] = report.run.git.sha
    parent = ET.SubElement(suite, "properties")
    for key, value in parts.items():
        if value:
            ET.SubElement(parent, "property", name=key, value=plain(value))


def _totals(held: list[Entry], *, skipped: bool = True) -> dict[str, str]:
    ends = [result(entry) for entry in held]
    found = {"tests": len(ends), "failures": ends.count("failure"), "errors": ends.count("error")}
    if skipped:
        found["skipped"] = ends.count("skipped")
    return {key: str(count) for key, count in found.items()}


def _place(model: str, gate: str) -> str:
    return ".".join(part for part in (model, gate) if part) or _SUITE


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
