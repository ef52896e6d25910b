"""The evidence record of a run: what a deploy asks for before it puts a model in place.

`evidence.json` is an in-toto Statement (v1) with the predicate `test-result/v0.1`, in canonical
JSON (RFC 8785) and with a seal over it, so that any changed byte is noticed. It is bound to the
bytes of `report.json`, of the policy and of the model's artifact. A seal is no signature: whoever
can write the record can write another one. `docs/security.md` says how to sign it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from gates.errors import InputError, Refused
from gates.fields import MAX_TEXT, Count, Digest, Model, Name, Text, bounded
from gates.report import BaselineInfo, Check, Effect, ErrorInfo, ModelReport, Report, Verdict

FILE = "evidence.json"
MAX_BYTES = 8 * 1024 * 1024
MAX_LISTED, MAX_PLACE = 500, 600
STATEMENT: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE: Literal["https://in-toto.io/attestation/test-result/v0.1"] = (
    "https://in-toto.io/attestation/test-result/v0.1"
)
REPORT, POLICY, ARTIFACT = "report.json", "policy", "artifact"
# Digests that are of no file's bytes, each as hex of a sha256: of a table's content, of what a
# registered baseline holds, and of the list of a folder's files.
TABLE, BASELINE, FOLDER = "modelGatesTableV1", "modelGatesBaselineV1", "modelGatesFolderV1"
_MAX_TEST = 400
# One changed byte can hide one of them from us, not both: such a file was a record.
_MARKS = (b'"modelGates":', b'"tool":"model-gates ')

Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40,128}$")]
Test = Annotated[str, StringConstraints(max_length=_MAX_TEST)]
Tests = Annotated[tuple[Test, ...], Field(max_length=MAX_LISTED)]
# What is told of a place stands on one line, whatever it holds.
Place = Annotated[str, StringConstraints(max_length=MAX_PLACE, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
Event = Annotated[str, StringConstraints(max_length=50, pattern=r"^[a-z_]+$")]

# The specification: what a reader does not know, it leaves aside.
_OPEN = ConfigDict(extra="ignore")


class Resource(Model):
    """in-toto's ResourceDescriptor: a name, and the digests of what it names."""

    model_config = _OPEN

    name: Text
    digest: dict[Name, Hex] = Field(min_length=1)
    annotations: dict[Name, int | Name] | None = None


class Origin(Model):
    """Where GitHub ran it; `target` is the branch that a merge queue merges into.

    `fork` tells whether the code that was judged may be another repository's.
    """

    model_config = _OPEN

    repository: Place | None = None
    ref: Place | None = None
    target: Place | None = None
    workflow: Place | None = None
    run: Count | None = None
    attempt: Count | None = None
    event: Event
    fork: bool

    @property
    def workflow_file(self) -> str | None:
        """Return the workflow's path in its repository, such as .github/workflows/gates.yml."""
        if self.workflow is None:
            return None
        return self.workflow.partition("@")[0].split("/", 2)[-1]


class Failure(Model):
    """Why there is no verdict: the kind of error, and the exit code of the run."""

    model_config = _OPEN

    kind: Literal["config", "input", "environment", "refused", "bug"]
    exit_code: Literal[2, 3, 4, 5, 70] = Field(alias="exitCode")


class Counts(Model):
    """How many tests there were of each kind; the lists beside them are cut, these are not.

    What is waived is among the warned, too.
    """

    model_config = _OPEN

    passed: Count
    warned: Count
    waived: Count
    failed: Count
    skipped: Count


class Facts(Model):
    """What a deploy asks beyond a test's result: the extension field of the predicate.

    `gates` are those that alone were run, where somebody chose. `seal` is the sha256 of the
    canonical JSON of the whole statement without it.
    """

    model_config = _OPEN

    schema_version: Literal[1] = Field(default=1, alias="schema")
    tool: Name
    started: Name
    verdict: Verdict | None = None
    blocked: bool
    error: Failure | None = None
    counts: Counts
    gates: tuple[Name, ...] = ()
    waivers: Annotated[tuple[Text, ...], Field(max_length=MAX_LISTED)] = ()
    commit: Name | None = None
    base_commit: Name | None = Field(default=None, alias="baseCommit")
    origin: Origin | None = None
    seal: Digest | None = None


class Predicate(Model):
    """in-toto's test-result: one test for each check, called `<model>/<rule id>`."""

    model_config = _OPEN

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: tuple[Resource, ...]
    url: Text | None = None
    passed_tests: Tests = Field(default=(), alias="passedTests")
    warned_tests: Tests = Field(default=(), alias="warnedTests")
    failed_tests: Tests = Field(default=(), alias="failedTests")
    facts: Facts = Field(alias="modelGates")


class Statement(Model):
    """The whole record; its subjects are the report, and each model's predictions and artifact."""

    model_config = _OPEN

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(default=STATEMENT, alias="_type")
    subject: tuple[Resource, ...] = Field(min_length=1)
    predicate_type: Literal["https://in-toto.io/attestation/test-result/v0.1"] = Field(
        default=PREDICATE, alias="predicateType"
    )
    predicate: Predicate

    @property
    def artifacts(self) -> dict[str, str]:
        """Return the digest of every artifact that was judged, as `algorithm:hex`, by its model."""
        end = f"/{ARTIFACT}"
        return {
            one.name.removeprefix("model/").removesuffix(
                end
            ): f"{algorithm}:{one.digest[algorithm]}"
            for one in self.subject
            for algorithm in ("sha256", FOLDER)
            if one.name.startswith("model/") and one.name.endswith(end) and algorithm in one.digest
        }

    @property
    def report(self) -> str | None:
        """Return the digest of the bytes of report.json."""
        return next((_sha256(one) for one in self.subject if one.name == REPORT), None)

    @property
    def policy(self) -> Resource | None:
        """Return the configuration that the run held its candidates to."""
        return next((one for one in self.predicate.configuration if one.name == POLICY), None)


def record(
    report: Report, raw: bytes, *, origin: Origin | None, gates: tuple[str, ...] = ()
) -> bytes:
    """Return the evidence record of a run as it stands in `evidence.json`.

    `raw` are the bytes of report.json; `gates` those that were chosen, none for all of them.
    """
    tests, waivers = _tests(report), list(_waivers(report))
    counts = Counts(waived=len(waivers), **{kind: len(named) for kind, named in tests.items()})
    facts = Facts(
        tool=f"{report.tool.name} {report.tool.version}",
        started=report.run.started,
        verdict=report.verdict,
        blocked=report.blocked,
        error=_failure(report),
        counts=counts,
        gates=tuple(bounded(gate) for gate in gates[:MAX_LISTED]),
        waivers=_capped(waivers),
        commit=report.run.git.sha,
        base_commit=report.run.git.base_sha,
        origin=origin,
    )
    predicate = Predicate(
        result=_result(report, counts),
        configuration=tuple(_configuration(report)),
        url=report.run.ci.url if report.run.ci else None,
        passed_tests=_capped(tests["passed"]),
        warned_tests=_capped(tests["warned"]),
        failed_tests=_capped(tests["failed"]),
        facts=facts,
    )
    return _sealed(Statement(subject=tuple(_subjects(report, raw)), predicate=predicate))


def read(raw: bytes) -> Statement:
    """Return the record in `raw`. Refused when a byte was changed, InputError when it is none."""
    try:
        data = json.loads(raw)
        facts = data["predicate"]["modelGates"]
        seal = facts.pop("seal")
        sealed = seal == _digest(_canonical(data))
        facts["seal"] = seal
        sealed = sealed and raw == _canonical(data) + b"\n"
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        sealed = False
    if not sealed:
        raise _edited() if any(mark in raw for mark in _MARKS) else _no_record("")
    try:
        return Statement.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise _no_record(f" of schema 1: {error.error_count()} problem(s)") from error


def bare_predicate(statement: Statement) -> bytes:
    """Return the predicate alone, for a signer that makes a statement of its own."""
    return _canonical(_dump(statement)["predicate"]) + b"\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `evidence.json`."""
    schema = Statement.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _subjects(report: Report, raw: bytes) -> Iterator[Resource]:
    yield Resource(name=REPORT, digest={"sha256": hashlib.sha256(raw).hexdigest()})
    for model in report.models:
        if model.candidate is None:
            continue
        yield _resource(model, "predictions", TABLE, model.candidate.digest)
        if model.candidate.artifact is not None:
            algorithm = FOLDER if model.candidate.artifact_is_folder else "sha256"
            yield _resource(model, ARTIFACT, algorithm, model.candidate.artifact)


def _configuration(report: Report) -> Iterator[Resource]:
    """Yield what the candidates were held to: the policy, the references and the data."""
    if report.policy is not None:
        file = PurePath(report.run.config or "").name
        notes: dict[str, int | str] = {"source": report.policy.source}
        notes |= {"file": bounded(file)} if file else {}
        digest = {"sha256": _hex(report.policy.digest)}
        yield Resource(name=POLICY, digest=digest, annotations=notes)
    for model in report.models:
        for what, found in (("baseline", model.baseline), ("anchor", model.anchor)):
            if found is not None:
                yield _reference(model, what, found)
        for what, data in model.data.items():
            yield _resource(model, f"data/{what}", TABLE, data.digest)


def _reference(model: ModelReport, what: str, found: BaselineInfo) -> Resource:
    plain = _resource(model, what, BASELINE, found.digest)
    return plain.model_copy(update={"annotations": {"version": found.version}})


def _resource(model: ModelReport, what: str, algorithm: str, digest: str) -> Resource:
    return Resource(name=f"model/{model.model}/{what}", digest={algorithm: _hex(digest)})


def _tests(report: Report) -> dict[str, list[str]]:
    """Return the tests by what became of them. What is not a pass is never among the passed."""
    tests: dict[str, list[str]] = {"passed": [], "warned": [], "failed": [], "skipped": []}
    for model, check in _checks(report):
        tests[_outcome(check)].append(_test(model, check.id))
    for model in report.models:
        if model.error or not model.gates:
            tests["failed"].append(_test(model))
        silent = (gate for gate in model.gates if gate.error or not gate.checks)
        tests["failed"] += [_test(model, gate.gate) for gate in silent]
    if report.error and not report.models:
        tests["failed"].append("run")
    return tests


def _outcome(check: Check) -> str:
    if check.effect is Effect.BLOCK:
        return "failed"
    if check.verdict is Verdict.SKIPPED:
        return "skipped"
    return "passed" if check.verdict is Verdict.PASS else "warned"


def _result(report: Report, counts: Counts) -> Literal["PASSED", "WARNED", "FAILED"]:
    if report.blocked or report.verdict is None or counts.failed:
        return "FAILED"
    # A run in which nothing had changed has passed nothing, either.
    whole = counts.passed and not (counts.warned or counts.skipped)
    return "PASSED" if whole else "WARNED"


def _failure(report: Report) -> Failure | None:
    """Return the error that the run's exit code tells of, if any."""
    errors: list[ErrorInfo | None] = [report.error]
    errors += [model.error for model in report.models]
    errors += [gate.error for model in report.models for gate in model.gates]
    found = (one for one in errors if one is not None and one.exit_code == report.exit_code)
    return next((Failure(kind=one.kind, exit_code=one.exit_code) for one in found), None)


def _waivers(report: Report) -> Iterator[str]:
    """Yield the waivers that change the effect of a check, with the check."""
    for model, check in _checks(report):
        if check.waiver:
            yield bounded(f"{_test(model, check.id)} {check.waiver}", MAX_TEXT)


def _checks(report: Report) -> Iterator[tuple[ModelReport, Check]]:
    for model in report.models:
        for gate in model.gates:
            for check in gate.checks:
                yield model, check


def _test(model: ModelReport, rule: str | None = None) -> str:
    return bounded(model.model if rule is None else f"{model.model}/{rule}", _MAX_TEST)


def _capped(tests: list[str]) -> tuple[str, ...]:
    return tuple(tests[:MAX_LISTED])


def _sealed(statement: Statement) -> bytes:
    data = _dump(statement)
    data["predicate"]["modelGates"]["seal"] = _digest(_canonical(data))
    return _canonical(data) + b"\n"


def _dump(statement: Statement) -> dict[str, Any]:
    return statement.model_dump(mode="json", by_alias=True, exclude_none=True)


def _canonical(data: Any) -> bytes:
    """Return JSON as RFC 8785 writes it; there are no fractions and no keys beyond ASCII here."""
    text = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def _digest(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _sha256(resource: Resource) -> str | None:
    found = resource.digest.get("sha256")
    return found and f"sha256:{found}"


def _edited() -> Refused:
    return Refused(
        "the record was edited after it was written",
        hint="Take it again, byte for byte, from the run that wrote it.",
    )


def _no_record(why: str) -> InputError:
    return InputError(
        f"not an evidence record{why}",
        hint="`model-gates run --out DIR` writes DIR/evidence.json; verify it with that version.",
    )
