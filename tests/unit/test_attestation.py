"""The evidence record: what it says of a run, that it is what in-toto reads, and that a byte counts."""

import hashlib
import json
import re
from datetime import date

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates import attestation
from gates.attestation import MAX_LISTED, Origin, bare_predicate, read, record
from gates.errors import ConfigError, InputError, Refused
from gates.report import CandidateInfo, GateResult, dump
from gates.waivers import Waiver, applied
from tests import reports

ORIGIN = Origin(
    repository="acme/credit",
    ref="refs/heads/main",
    workflow="acme/credit/.github/workflows/push-main.yml@refs/heads/main",
    run=42,
    attempt=1,
    event="push",
    fork=False,
)
CANDIDATE = CandidateInfo(
    ref="out/candidate.parquet", digest=reports.DIGEST, rows=16281, artifact="sha256:" + "d" * 64
)


def bytes_of(report, **fields):
    return record(report, dump(report), **{"origin": ORIGIN} | fields)


def statement(report, **fields):
    return json.loads(bytes_of(report, **fields))


def green():
    model = reports.make_model(reports.good_performance(), candidate=CANDIDATE)
    return reports.make_report(model)


RECORD = bytes_of(green())


# --- the specification ---------------------------------------------------------------------------

# Of in-toto's Statement v1, test-result v0.1, ResourceDescriptor and DigestSet, as they stand in
# its specification: what is required, what is allowed, and of which type.
DESCRIPTOR = {
    "type": "object",
    "required": ["digest"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "annotations": {"type": "object"},
        "digest": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]+$"},
            "properties": {"sha256": {"pattern": "^[0-9a-f]{64}$"}},
        },
    },
}
TESTS = {"type": "array", "items": {"type": "string"}}
SPECIFICATION = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {"type": "array", "minItems": 1, "items": DESCRIPTOR},
        "predicateType": {"const": "https://in-toto.io/attestation/test-result/v0.1"},
        "predicate": {
            "type": "object",
            "required": ["result", "configuration"],
            "additionalProperties": False,
            "properties": {
                "result": {"enum": ["PASSED", "WARNED", "FAILED"]},
                "configuration": {"type": "array", "items": DESCRIPTOR},
                "url": {"type": "string", "format": "uri"},
                **dict.fromkeys(("passedTests", "warnedTests", "failedTests"), TESTS),
                # An extension field, as the parsing rules allow one; its name is ours.
                "modelGates": {"type": "object"},
            },
        },
    },
}


@pytest.mark.parametrize("story", reports.STORIES)
def test_every_run_leaves_a_statement_of_in_totos_kind(story):
    found = statement(reports.STORIES[story]())
    jsonschema.Draft202012Validator(SPECIFICATION).validate(found)
    jsonschema.Draft202012Validator(attestation.json_schema()).validate(found)
    names = [subject["name"] for subject in found["subject"]]
    assert len(set(names)) == len(names)
    # Keys of extensions that some databases could not be asked for.
    assert not re.search(r'"[^"]*[.$][^"]*":', json.dumps(found["predicate"]["modelGates"]))


@pytest.mark.parametrize("story", reports.STORIES)
def test_a_record_is_what_is_read_back(story):
    raw = bytes_of(reports.STORIES[story]())
    assert json.loads(raw)["predicate"] == json.loads(bare_predicate(read(raw)))


def test_the_bytes_are_those_of_rfc_8785():
    """Without fractions and with keys of ASCII, its rules are: sorted, no space, no needless escape."""
    report = reports.make_report(reports.make_model(reports.good_performance(), model='é "\t\x7f'))
    raw = bytes_of(report)
    assert 'é \\"\\t\x7f'.encode() in raw
    assert raw.endswith(b"}\n")
    numbers = re.findall(rb'(?:":|[,\[])(-?\d[\d.eE+-]*)', raw)
    assert [number for number in numbers if not number.isdigit()] == []

    def keys(node):
        if isinstance(node, dict):
            yield list(node)
        for child in node.values() if isinstance(node, dict) else node:
            if isinstance(child, dict | list):
                yield from keys(child)

    assert all(
        found == sorted(found) and "".join(found).isascii() for found in keys(json.loads(raw))
    )


# --- what it says --------------------------------------------------------------------------------


def test_the_subjects_are_the_report_the_predictions_and_the_artifact():
    report = green()
    assert statement(report)["subject"] == [
        {"name": "report.json", "digest": {"sha256": hashlib.sha256(dump(report)).hexdigest()}},
        # Of the content of a table, not of a file: it must not be taken for a file's.
        {
            "name": "model/income/predictions",
            "digest": {"modelGatesTableV1": reports.DIGEST.removeprefix("sha256:")},
        },
        {"name": "model/income/artifact", "digest": {"sha256": "d" * 64}},
    ]
    assert read(bytes_of(report)).artifacts == {"income": "sha256:" + "d" * 64}


def test_a_folder_is_no_file():
    """Its digest is of a list: a file that holds just that list would have it, too."""
    candidate = CANDIDATE.model_copy(update={"artifact_is_folder": True})
    model = green().models[0].model_copy(update={"candidate": candidate})
    report = green().model_copy(update={"models": (model,)})
    subject = statement(report)["subject"][2]
    assert subject == {
        "name": "model/income/artifact",
        "digest": {"modelGatesFolderV1": "d" * 64},
    }
    assert read(bytes_of(report)).artifacts == {"income": "modelGatesFolderV1:" + "d" * 64}


def test_the_configuration_is_the_policy_the_baseline_and_the_data():
    assert statement(green())["predicate"]["configuration"] == [
        {
            "name": "policy",
            "digest": {"sha256": "7e" * 32},
            "annotations": {"source": "base", "file": "model-gates.yml"},
        },
        {
            "name": "model/income/baseline",
            "digest": {"modelGatesBaselineV1": "c" * 64},
            "annotations": {"version": 17},
        },
        {"name": "model/income/data/evaluation", "digest": {"modelGatesTableV1": "a1b2c3d4" * 8}},
    ]


def test_where_it_was_run_is_told():
    facts = statement(green(), gates=("performance",))["predicate"]["modelGates"]
    assert facts["origin"] == json.loads(ORIGIN.model_dump_json(exclude_none=True))
    assert facts["commit"] == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"
    assert facts["started"] == "2026-11-21T08:00:00Z"
    assert facts["gates"] == ["performance"]
    assert "origin" not in statement(green(), origin=None)["predicate"]["modelGates"]
    assert ORIGIN.workflow_file == ".github/workflows/push-main.yml"


RESULTS = {
    "all_green": "PASSED",
    "no_baseline": "WARNED",
    "inconclusive": "WARNED",
    "waived": "WARNED",
    "one_red": "FAILED",
    "bad_input": "FAILED",
    "mixed": "FAILED",
}


@pytest.mark.parametrize(("story", "result"), RESULTS.items())
def test_the_result_is_that_of_the_run(story, result):
    report = reports.STORIES[story]()
    predicate = statement(report)["predicate"]
    assert predicate["result"] == result
    assert predicate["modelGates"]["blocked"] is report.blocked is (result == "FAILED")


def test_a_check_is_in_the_list_of_what_became_of_it():
    predicate = statement(reports.mixed())["predicate"]
    assert {name: predicate[name] for name in ("passedTests", "warnedTests", "failedTests")} == {
        "passedTests": [],
        "warnedTests": [
            "income/performance/log_loss:max_ratio",
            "income/performance/precision:min",
            "income/performance/f1:min",
        ],
        "failedTests": [
            "income/data-schema/age_in_range:min",
            "income/data-schema/columns_exist:min",
            "income/performance/recall:max_drop",
            "income/performance/mcc:min",
            "income/fairness",
        ],
    }
    assert predicate["modelGates"]["counts"] == {
        "passed": 0,
        "warned": 3,
        "waived": 1,
        "failed": 5,
        "skipped": 1,
    }
    assert predicate["modelGates"]["error"] == {"kind": "bug", "exitCode": 70}


def test_what_was_left_out_by_policy_is_no_plain_pass():
    skipped = reports.make_check(
        "performance/brier", {"max_rise": 0.01}, skip=True, problem="No score column."
    )
    gate = reports.make_gate("performance", *reports.good_performance().checks, skipped)
    predicate = statement(reports.make_report(reports.make_model(gate)))["predicate"]
    assert predicate["result"] == "WARNED"
    assert "income/performance/brier:max_rise" not in json.dumps(predicate)
    assert predicate["modelGates"]["counts"]["skipped"] == 1


def test_a_run_that_could_not_start_is_failed_with_its_kind():
    report = reports.of_error(ConfigError("unknown key", where="model-gates.yml:3:1"))
    found = statement(report, origin=None)
    assert [subject["name"] for subject in found["subject"]] == ["report.json"]
    predicate = found["predicate"]
    assert (predicate["result"], predicate["failedTests"]) == ("FAILED", ["run"])
    assert predicate["configuration"] == []
    assert predicate["modelGates"]["error"] == {"kind": "config", "exitCode": 2}
    assert "verdict" not in predicate["modelGates"]


def test_a_model_or_a_gate_that_decided_nothing_is_failed():
    broken = reports.bad_input().error
    models = (
        reports.make_model(model="stopped", error=broken, candidate=None, data={}),
        reports.make_model(GateResult(gate="fairness"), model="silent"),
        reports.make_model(model="without gates"),
    )
    report = reports.make_report(*models, error=broken)
    assert statement(report)["predicate"]["failedTests"] == [
        "stopped",
        "silent/fairness",
        "without gates",
    ]


def test_of_several_errors_the_one_that_the_exit_code_tells_of_is_told():
    stopped = reports.make_model(model="stopped", error=reports.bad_input().error)
    report = reports.make_report(stopped, *reports.mixed().models, error=stopped.error)
    facts = statement(report)["predicate"]["modelGates"]
    assert facts["error"] == {"kind": "bug", "exitCode": 70}


@pytest.mark.parametrize("story", ["bad_input", "mixed"])
def test_a_report_that_were_wrong_about_being_blocked_would_fail_all_the_same(story):
    report = reports.STORIES[story]().model_copy(update={"blocked": False})
    assert statement(report)["predicate"]["result"] == "FAILED"


def test_waivers_in_effect_are_listed_and_no_others():
    (red, *_) = (
        c for g in reports.one_red().models[0].gates for c in g.checks if c.effect == "block"
    )
    given = {"reason": "labels are late, MLG-31", "owner": "@lead", "expires": "2026-12-01"}
    waivers = [Waiver(rule=red.id, **given), Waiver(rule="performance/f1:min", **given)]
    told = applied(reports.one_red().models, waivers, on=date(2026, 11, 21))
    report = reports.make_report(*told.models, waivers=told.told)
    facts = statement(report)["predicate"]["modelGates"]
    assert facts["waivers"] == [
        f"income/{red.id} until 2026-12-01 by @lead – labels are late, MLG-31"
    ]
    assert facts["counts"]["waived"] == 1


def test_lists_are_cut_and_counts_are_not():
    check = reports.good_performance().checks[0]
    checks = [check.model_copy(update={"id": f"performance/m{i}:min"}) for i in range(700)]
    report = reports.make_report(reports.make_model(reports.make_gate("performance", *checks)))
    predicate = statement(report)["predicate"]
    assert len(predicate["passedTests"]) == MAX_LISTED
    assert predicate["modelGates"]["counts"]["passed"] == 700


def test_only_what_varies_by_run_varies():
    first, again = green(), green()
    moved = again.run.model_copy(update={"started": "2026-11-22T08:00:00Z", "python": "3.13.0"})
    found, other = statement(first), statement(again.model_copy(update={"run": moved}))
    assert bytes_of(green()) == RECORD
    for one in (found, other):
        del one["subject"][0]["digest"], one["predicate"]["modelGates"]["started"]
        del one["predicate"]["modelGates"]["seal"]
    assert found == other


# --- a byte that was changed ---------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_every_changed_byte_is_refused(mask):
    for at in range(len(RECORD)):
        with pytest.raises(Refused, match="was edited"):
            read(RECORD[:at] + bytes([RECORD[at] ^ mask]) + RECORD[at + 1 :])


@given(st.integers(0, len(RECORD)), st.integers(0, len(RECORD)), st.binary(max_size=4))
def test_every_edit_is_refused(start, end, put):
    start, end = sorted((start, end))
    edited = RECORD[:start] + put + RECORD[end:]
    if edited == RECORD:
        read(edited)
        return
    with pytest.raises((Refused, InputError)):
        read(edited)


def resealed(change):
    """Return the record after an honest change of its content, which its seal does not cover."""
    data = json.loads(RECORD)
    change(data)
    return (
        json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    )


EDITS = {
    "another result": lambda d: d["predicate"].update(result="WARNED"),
    "another artifact": lambda d: d["subject"][2]["digest"].update(sha256="e" * 64),
    "another branch": lambda d: d["predicate"]["modelGates"]["origin"].update(ref="refs/heads/x"),
    "another time": lambda d: d["predicate"]["modelGates"].update(started="2027-01-01T00:00:00Z"),
    "a field of another version": lambda d: d.update(later=1),
    "no seal": lambda d: d["predicate"]["modelGates"].pop("seal"),
    "no text as a seal": lambda d: d["predicate"]["modelGates"].update(seal=1),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_refused_however_well_it_is_made(edit):
    assert resealed(lambda _: None) == RECORD
    with pytest.raises(Refused, match="was edited"):
        read(resealed(EDITS[edit]))


@pytest.mark.parametrize(
    "edited",
    [
        json.dumps(json.loads(RECORD), indent=1).encode(),
        RECORD[:-1],
        RECORD + b"\n",
        b"\xef\xbb\xbf" + RECORD,
        RECORD.replace(b'"blocked":false', b'"blocked":true,"blocked":false'),
        RECORD.replace(b"acme", b"\\u0061cme", 1),
        RECORD.decode().encode("utf-16"),
    ],
    ids=["spaces", "no end of line", "two of them", "a mark", "a key twice", "an escape", "utf-16"],
)
def test_the_same_content_in_other_bytes_is_refused(edited):
    with pytest.raises((Refused, InputError)):
        read(edited)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"predicate": []}',
        b'{"_type": "https://in-toto.io/Statement/v1", "predicate": {}}',
        dump(reports.all_green()),
    ],
)
def test_what_never_was_a_record_is_none(raw):
    with pytest.raises(InputError, match="not an evidence record"):
        read(raw)


def test_a_record_of_another_schema_is_none():
    data = json.loads(RECORD)
    data["predicate"]["modelGates"] |= {"schema": 2}
    del data["predicate"]["modelGates"]["seal"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    seal = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    data["predicate"]["modelGates"]["seal"] = seal
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    with pytest.raises(InputError, match=r"not an evidence record of schema 1: 1 problem"):
        read(text.encode() + b"\n")
