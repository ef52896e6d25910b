"""What is kept of a rollout that came to its end: an in-toto statement about the candidate.

The predicate is `test-result/v0.1`, as of an evidence record, with the whole story beside it: the
plan, every verdict with its counts and limits, every share meant and seen, and who ended it. It is
bound to the journal by the hash of its last line.
"""

from __future__ import annotations

import json
from typing import Any, Final

from gates.attestation import PREDICATE, STATEMENT
from gates.canary.chain import Record
from gates.canary.state import Phase, State, fold
from gates.report import Verdict

FILE: Final = "rollout.json"
_RESULTS: Final = {
    Phase.PROMOTED: "PASSED",
    Phase.SHADOWED: "PASSED",
    Phase.HELD: "WARNED",
    Phase.RUNNING: "WARNED",
}


def statement(records: tuple[Record, ...]) -> dict[str, Any]:
    """Return the statement about a rollout; the journal must hold its plan."""
    state = fold(records)
    assert state.plan is not None  # noqa: S101  (a journal begins with it)
    plan = state.plan
    subject = [_resource(plan.candidate.image, plan.candidate.digest)]
    if plan.candidate.artifact is not None:
        subject.append(_resource(f"model/{plan.model}/artifact", plan.candidate.artifact))
    return {
        "_type": STATEMENT,
        "subject": subject,
        "predicateType": PREDICATE,
        "predicate": {
            "result": _RESULTS.get(state.phase, "FAILED"),
            "configuration": [
                _resource("plan", plan.digest),
                _resource("settings", plan.settings),
            ],
            **_tests(state),
            "modelGatesRollout": {
                "phase": state.phase,
                "why": state.why,
                "endedBy": state.by,
                "plan": plan.as_json(),
                "journal": records[-1].hash,
                "records": [json.loads(record.line()) for record in records],
            },
        },
    }


def _resource(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}


def _tests(state: State) -> dict[str, list[str]]:
    """Return every question by what came of it last, as `<act>/<id of the finding>`."""
    last: dict[str, Verdict] = {}
    for told in state.story:
        if told.what.startswith("judged "):
            act = told.what.removeprefix("judged ")
            for finding in told.body["judgement"]["findings"]:
                last[f"{act}/{finding['id']}"] = Verdict(finding["verdict"])
    kinds = {"passedTests": Verdict.PASS, "failedTests": Verdict.FAIL}
    found = {
        key: [name for name, verdict in last.items() if verdict is kind]
        for key, kind in kinds.items()
    }
    known = {name for names in found.values() for name in names}
    return found | {"warnedTests": [name for name in last if name not in known]}
