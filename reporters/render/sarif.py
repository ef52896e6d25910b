"""A report as SARIF 2.1.0: what GitHub code scanning and other viewers of findings read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gates.report import Check, Effect, Report, Verb
from reporters.render import words
from reporters.render.entries import Entry, config_path, entries, facts, line_of, sentence, started
from reporters.render.escape import plain, slug
from reporters.render.words import Tone

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {Effect.BLOCK: "error", Effect.WARN: "warning", Effect.NONE: "note"}
_ASKS = {
    Verb.MIN: "must be at least the limit",
    Verb.MAX: "must be at most the limit",
    Verb.MAX_DROP: "may fall by at most the limit from the baseline's",
    Verb.MAX_RISE: "may rise by at most the limit from the baseline's",
    Verb.MAX_RATIO: "may grow to at most the limit times the baseline's",
    Verb.MAX_DROP_ANY_GROUP: "may fall by at most the limit in every group",
    Verb.MAX_RISE_ANY_GROUP: "may rise by at most the limit in every group",
    Verb.MAX_DROP_FROM_ANCHOR: "may fall by at most the limit from the anchor's",
    Verb.MAX_RISE_FROM_ANCHOR: "may rise by at most the limit from the anchor's",
}
_HELP = "The limit stands in the configuration file; `report.json` has every number."
_NOT_RUN = "Something that was configured came to no verdict"
# In a message these are a link and a place to fill in.
_LINK = re.compile(r"\](?=\()")
_HOLE = re.compile(r"\{(?=\d+\})")


def render(report: Report, *, lines: Mapping[tuple[str, str], int] | None = None) -> str:
    """Return the report as SARIF, one result for each check that is not a pass.

    Passes are left out: code scanning reads no `kind` and opens an alert for every result. The
    effect decides the level (blocks: error, warns: warning, else note). SARIF allows a level only
    with `kind: fail`, so an undecided check that blocks or warns is one, with its verdict in the
    properties; one that is reported only is `open`. A waiver is a suppression. What did not run is
    both a notification and a result: an upload without results would close every alert.
    `lines` gives the line of a model's rule, by model and rule id; without it, it is the first.
    """
    found = entries(report)
    rules = _rules(found)
    places = {rule["id"]: i for i, rule in enumerate(rules)}
    run = {
        "tool": {"driver": {**_driver(report), "rules": rules}},
        "automationDetails": {"id": f"model-gates/{slug(config_path(report))}/"},
        "invocations": [_invocation(report, found)],
        "results": [_result(report, e, places, lines) for e in found if e.amiss],
        "columnKind": "unicodeCodePoints",
        "properties": {"models": _verdicts(report, found), "blocked": report.blocked},
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _driver(report: Report) -> dict[str, str]:
    return {"name": plain(report.tool.name), "version": plain(report.tool.version)}


def _rules(found: list[Entry]) -> list[dict[str, Any]]:
    """Return one rule for each kind of check, passes included: what was looked at."""
    rules: dict[str, dict[str, Any]] = {}
    for entry in found:
        rules.setdefault(entry.kind, _rule(entry))
    return list(rules.values())


def _rule(entry: Entry) -> dict[str, Any]:
    title = _title(entry.check) if entry.check else _NOT_RUN
    told = " ".join(part for part in (entry.hint, _HELP) if part)
    return {
        "id": entry.kind,
        "shortDescription": {"text": _text(title)},
        "fullDescription": {"text": _text(f"{title}.")},
        "help": {"text": _text(told)},
        "properties": {"tags": ["model-gates"]},
    }


def _title(check: Check) -> str:
    metric = plain((words.metric(check.metric),))
    return f"{metric[:1].upper()}{metric[1:]} {_ASKS[check.verb]}"


def _result(
    report: Report,
    entry: Entry,
    places: dict[str, int],
    lines: Mapping[tuple[str, str], int] | None,
) -> dict[str, Any]:
    level = _LEVELS[entry.effect]
    unsure = entry.tone is Tone.UNDECIDED and entry.effect is Effect.NONE
    check = entry.check
    result = {
        "ruleId": entry.kind,
        "ruleIndex": places[entry.kind],
        "kind": "open" if unsure else "fail",
        "level": "none" if unsure else level,
        "message": {"text": _text(sentence(entry))},
        "locations": [_location(report, entry, line_of(entry, lines))],
        # GitHub knows an alert again by the first; the second says whose reckoning it is.
        "partialFingerprints": {
            "primaryLocationLineHash": f"{entry.fingerprint[:16]}:1",
            "modelGates/v1": entry.fingerprint,
        },
    }
    if check and check.waiver and entry.tone is Tone.WAIVED:
        why = {"kind": "external", "status": "accepted", "justification": plain(check.waiver)}
        result["suppressions"] = [why]
    named = {"model": entry.model, "gate": entry.gate, "rule": entry.rule}
    return result | {"properties": named | (facts(check) if check else {})}


def _location(report: Report, entry: Entry, line: int) -> dict[str, Any]:
    where: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(config_path(report), safe="/")},
            "region": {"startLine": line},
        }
    }
    if entry.model:
        full = " / ".join(part for part in (entry.model, entry.gate) if part)
        where["logicalLocations"] = [{"name": entry.rule, "fullyQualifiedName": full}]
    return where


def _invocation(report: Report, found: list[Entry]) -> dict[str, Any]:
    """Return how the run went; one that reached its verdicts was successful, blocked or not."""
    broken = [entry for entry in found if entry.check is None and entry.amiss]
    notes = [
        {
            "descriptor": {"id": entry.kind},
            "level": "error",
            "message": {"text": _text("\n".join([sentence(entry), *entry.details, entry.hint]))},
        }
        for entry in broken
    ]
    began = started(report)
    when = {"startTimeUtc": f"{began:%Y-%m-%dT%H:%M:%SZ}"} if began else {}
    return {
        "executionSuccessful": not broken,
        "exitCode": report.exit_code,
        **when,
        "toolExecutionNotifications": notes,
    }


def _verdicts(report: Report, found: list[Entry]) -> list[dict[str, str]]:
    names = dict.fromkeys(entry.model for entry in found if entry.model)
    judged = zip(names, report.models, strict=True)
    return [{"model": shown, "verdict": model.verdict.value} for shown, model in judged]


def _text(text: str) -> str:
    """Return a message in which no text of theirs is a link, or a place to fill in."""
    return _HOLE.sub("{ ", _LINK.sub("] ", text.strip()))
