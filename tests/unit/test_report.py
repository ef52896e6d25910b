"""report.json: what may stand in it, its bytes, its schema, and the exit code that follows."""

import json
import math
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gates.atomic import write_atomic
from gates.errors import ConfigError, EnvironmentFault, GatesError, InputError, Refused
from gates.fields import MAX_NAME, MAX_TEXT, bounded, significant
from gates.picture import GroupRate
from gates.report import (
    BaselineInfo,
    CandidateInfo,
    Check,
    CiInfo,
    DataInfo,
    Decide,
    Effect,
    ErrorInfo,
    Family,
    GateResult,
    GitInfo,
    Mode,
    ModelReport,
    OnInconclusive,
    PolicyInfo,
    Report,
    RunInfo,
    Task,
    ToolInfo,
    Verb,
    Verdict,
    dump,
    json_schema,
    load,
    worst,
)
from tests import reports

SHIPPED = Path(__file__).parents[2] / "gates" / "schemas" / "report.schema.json"
STORIES = {
    story.__name__: story()
    for story in (
        reports.all_green,
        reports.one_red,
        reports.many_red,
        reports.inconclusive,
        reports.no_baseline,
        reports.bad_input,
        reports.mixed,
        reports.two_models,
    )
}

# --- any report there could be -------------------------------------------------------------------

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**53)
NAMES = st.text(max_size=12) | st.just("n" * MAX_NAME)
TEXTS = st.text(max_size=20) | st.just("t" * MAX_TEXT)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format)
PARTS = st.dictionaries(NAMES, NAMES, max_size=2)


def maybe(strategy):
    return st.none() | strategy


def few(strategy):
    return st.lists(strategy, max_size=2).map(tuple)


ERRORS = st.builds(
    ErrorInfo,
    kind=st.sampled_from(["config", "input", "environment", "refused", "bug"]),
    exit_code=st.sampled_from([2, 3, 4, 5, 70]),
    message=TEXTS,
    where=maybe(TEXTS),
    hint=maybe(TEXTS),
    details=few(TEXTS),
)
CHECKS = st.builds(
    Check,
    id=TEXTS.map(lambda text: text[:600]),
    metric=NAMES,
    slice=maybe(PARTS),
    sensitive=maybe(few(NAMES)),
    baseline=maybe(NUMBERS),
    candidate=maybe(NUMBERS),
    delta=maybe(NUMBERS),
    interval=maybe(st.tuples(NUMBERS, NUMBERS)),
    interval_of=st.sampled_from(["delta", "candidate"]),
    confidence=NUMBERS,
    method=NAMES,
    n=COUNTS,
    n_needed=maybe(COUNTS),
    family=st.sampled_from(Family),
    p=maybe(NUMBERS),
    p_adjusted=maybe(NUMBERS),
    limit=st.builds(lambda verb, bound: {verb: bound}, st.sampled_from(Verb), NUMBERS),
    decide=st.sampled_from(Decide),
    mode=st.sampled_from(Mode),
    on_inconclusive=st.sampled_from(OnInconclusive),
    problem=maybe(TEXTS),
    skip=st.booleans(),
    verdict=st.sampled_from(Verdict),
    effect=st.sampled_from(Effect),
    reason=TEXTS,
    waiver=maybe(TEXTS),
)
RATES = st.builds(
    GroupRate,
    sensitive=few(NAMES),
    group=PARTS,
    metric=NAMES,
    n=maybe(COUNTS),
    baseline=maybe(NUMBERS),
    candidate=maybe(NUMBERS),
    note=maybe(TEXTS),
)
GATES = st.builds(
    GateResult,
    gate=NAMES,
    verdict=st.sampled_from(Verdict),
    summary=TEXTS,
    hint=maybe(TEXTS),
    checks=few(CHECKS),
    groups=few(RATES),
    notes=few(TEXTS),
    error=maybe(ERRORS),
)
DATA = st.builds(DataInfo, digest=DIGESTS, rows=COUNTS, columns=COUNTS)
MODELS = st.builds(
    ModelReport,
    model=NAMES,
    task=st.sampled_from(Task),
    verdict=st.sampled_from(Verdict),
    candidate=maybe(st.builds(CandidateInfo, ref=NAMES, digest=DIGESTS, rows=COUNTS)),
    baseline=maybe(
        st.builds(
            BaselineInfo,
            ref=NAMES,
            version=st.integers(1, 10**6),
            digest=DIGESTS,
            registered_at=NAMES,
            git_sha=maybe(NAMES),
        )
    ),
    data=st.dictionaries(NAMES, DATA, max_size=2),
    notes=few(TEXTS),
    gates=few(GATES),
    error=maybe(ERRORS),
)
REPORTS = st.builds(
    Report,
    tool=st.builds(ToolInfo, version=NAMES),
    verdict=maybe(st.sampled_from(Verdict)),
    blocked=st.booleans(),
    error=maybe(ERRORS),
    run=st.builds(
        RunInfo,
        started=NAMES,
        durations=st.dictionaries(NAMES, NUMBERS, max_size=2),
        config=maybe(TEXTS),
        sources=st.dictionaries(NAMES, TEXTS, max_size=2),
        git=st.builds(GitInfo, sha=maybe(NAMES), base_sha=maybe(NAMES), ref=maybe(NAMES)),
        ci=maybe(st.builds(CiInfo, provider=NAMES, url=maybe(TEXTS))),
        python=NAMES,
        platform=NAMES,
    ),
    models=few(MODELS),
    policy=maybe(
        st.builds(
            PolicyInfo,
            source=st.sampled_from(["worktree", "base", "bootstrap"]),
            digest=DIGESTS,
            changes=few(TEXTS),
        )
    ),
    waivers=few(TEXTS),
)
slowly = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@slowly
@given(REPORTS)
def test_a_report_comes_back_as_it_was(report):
    raw = dump(report)
    assert load(raw) == report
    assert dump(load(raw)) == raw


@settings(slowly, max_examples=30)
@given(REPORTS)
def test_every_report_is_valid_by_the_shipped_schema(schema, report):
    schema.validate(json.loads(dump(report)))


# --- bytes ---------------------------------------------------------------------------------------


def check(**fields):
    measured = {"interval_of": "delta", "confidence": 0.95, "method": "tango", "n": 100}
    return Check(id="x", metric="recall", limit={"max_drop": 0.01}, **measured | fields)


def report(*checks, **fields):
    given_fields = {
        "tool": ToolInfo(version="0.1.0"),
        "blocked": False,
        "run": RunInfo(started="2026-11-21T08:00:00Z"),
        "models": (
            ModelReport(
                model="m",
                task="binary",
                verdict="pass",
                gates=(GateResult(gate="performance", verdict="pass", checks=checks),),
            ),
        ),
    }
    return Report(**given_fields | fields)


def test_the_same_report_is_the_same_bytes():
    assert dump(reports.mixed()) == dump(reports.mixed())


def test_bytes_are_utf8_text_that_ends_its_line():
    raw = dump(report(check(reason="größer – “so”\u2028 \x1b[31m")))
    text = raw.decode()
    assert text.startswith('{\n "schema": 1,\n "tool"')
    assert text.endswith("}\n")
    assert "größer" in text
    assert "\x1b" not in text


def test_only_run_may_differ_between_two_runs():
    one = report(check(candidate=0.5))
    other = one.model_copy(update={"run": RunInfo(started="later", durations={"m": 3.5})})
    first, second = json.loads(dump(one)), json.loads(dump(other))
    assert first.pop("run") != second.pop("run")
    assert first == second


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333333333"),
        (2 / 3 * 1e9, "666666666.667"),
        (1.23456789012345e-7, "1.23456789012e-07"),
        (-0.0, "0.0"),
        (-1e-320, "-1e-320"),
        (1.7976931348623157e308, "1.79769313486e+308"),
        (3, "3.0"),
    ],
)
def test_numbers_have_twelve_significant_digits(number, written):
    assert f'"candidate": {written},' in dump(report(check(candidate=number))).decode()


@given(NUMBERS)
def test_rounding_twice_is_rounding_once(number):
    once = significant(number)
    assert significant(once) == once
    assert once == pytest.approx(number, rel=1e-11, abs=1e-320)
    assert math.copysign(1, once) == 1 or once != 0


def test_counts_are_exact():
    exact = 2**53 - 1
    assert load(dump(report(check(n=exact)))).models[0].gates[0].checks[0].n == exact


# --- what is refused -----------------------------------------------------------------------------

CHECK = ("models", 0, "gates", 0, "checks", 0)
MODEL = ("models", 0)
REFUSED = {
    "a stranger at the top": (("verdikt",), "pass"),
    "a stranger in a model": ((*MODEL, "markdown"), "# hi"),
    "a stranger in a gate": ((*MODEL, "gates", 0, "score"), 1),
    "a stranger in a check": ((*CHECK, "note"), "hi"),
    "a stranger in the run": (("run", "env"), {"TOKEN": "x"}),
    "another schema": (("schema",), 2),
    "no such verdict": (("verdict",), "fine"),
    "no such verdict of a check": ((*CHECK, "verdict"), "ok"),
    "no such effect": ((*CHECK, "effect"), "ignore"),
    "no such task": ((*MODEL, "task"), "ranking"),
    "no such verb": ((*CHECK, "limit"), {"at_least": 0.5}),
    "no limit": ((*CHECK, "limit"), {}),
    "two limits": ((*CHECK, "limit"), {"min": 0.1, "max": 0.9}),
    "a limit of nothing": ((*CHECK, "limit"), {"min": None}),
    "half an interval": ((*CHECK, "interval"), [0.1]),
    "three ends": ((*CHECK, "interval"), [0.1, 0.2, 0.3]),
    "fewer than no rows": ((*CHECK, "n"), -1),
    "half a row": ((*CHECK, "n"), 1.5),
    "a long name": ((*CHECK, "metric"), "x" * (MAX_NAME + 1)),
    "a long id": ((*CHECK, "id"), "x" * 601),
    "a long reason": ((*CHECK, "reason"), "x" * (MAX_TEXT + 1)),
    "a long value of a slice": ((*CHECK, "slice"), {"region": "x" * (MAX_NAME + 1)}),
    "a long name of a slice": ((*CHECK, "slice"), {"x" * (MAX_NAME + 1): "north"}),
    "a digest of another kind": (("policy",), {"digest": "md5:" + "0" * 32}),
    "a digest that goes on": (("policy",), {"digest": "sha256:" + "0" * 64 + "\n"}),
    "a kind of error": (("error",), {"kind": "oops", "exit_code": 3, "message": "x"}),
    "an error that exits with 0": (("error",), {"kind": "bug", "exit_code": 0, "message": "x"}),
    "an error that is a verdict": (("error",), {"kind": "input", "exit_code": 1, "message": "x"}),
    "text for true": (("blocked",), "false"),
    "a number for false": (("blocked",), 0),
    "text for a number": ((*CHECK, "candidate"), "0.5"),
    "true for a number": ((*CHECK, "candidate"), True),
    "text for a count": ((*CHECK, "n"), "5"),
}


def changed(path, value):
    data = json.loads(dump(report(check(candidate=0.5))))
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(data).encode()


@pytest.mark.parametrize(("path", "value"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_report_is_refused(path, value):
    with pytest.raises(ValidationError):
        load(changed(path, value))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("key", ["candidate", "confidence", "p_adjusted"])
def test_what_is_not_finite_is_refused(number, key):
    raw = changed((*CHECK, key), 12345.5).replace(b"12345.5", number.encode())
    assert number.encode() in raw
    with pytest.raises(ValidationError):
        load(raw)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_written(number):
    with pytest.raises(ValidationError):
        check(candidate=number)
    smuggled = check().model_copy(update={"p": number})
    with pytest.raises(ValueError, match="JSON compliant"):
        dump(report(smuggled))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b'{"schema": 1}', b"[" * 100_000],
    ids=["empty", "cut", "list", "null", "nothing", "utf16", "version only", "deep"],
)
def test_what_is_no_json_of_ours_is_refused(raw):
    with pytest.raises(ValidationError):
        load(raw)


@pytest.mark.parametrize("path", [("tool",), ("blocked",), ("run",), ("run", "started")])
def test_what_a_report_needs_is_missed(path):
    data = json.loads(dump(report()))
    place = data
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    with pytest.raises(ValidationError, match="Field required"):
        load(json.dumps(data).encode())


def test_nothing_in_a_report_can_be_changed():
    found = report(check())
    with pytest.raises(ValidationError, match="frozen"):
        found.blocked = True
    with pytest.raises(ValidationError, match="frozen"):
        found.models[0].gates[0].checks[0].verdict = Verdict.PASS


# --- schema --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema():
    return Draft202012Validator(json.loads(SHIPPED.read_text()))


def test_the_shipped_schema_is_the_generated_one():
    generated = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    assert SHIPPED.read_text() == generated, "run `model-gates schema --write`"


def test_the_schema_is_a_schema(schema):
    Draft202012Validator.check_schema(schema.schema)
    assert schema.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("found", STORIES.values(), ids=STORIES)
def test_the_stories_are_valid_and_come_back(schema, found):
    schema.validate(json.loads(dump(found)))
    assert load(dump(found)) == found


# A pattern of JSON Schema may end before a last newline, which ours may not.
@pytest.mark.parametrize("name", [name for name in REFUSED if name != "a digest that goes on"])
def test_the_schema_refuses_what_we_refuse(schema, name):
    assert not schema.is_valid(json.loads(changed(*REFUSED[name])))


# --- fail closed ---------------------------------------------------------------------------------


def test_what_was_never_decided_blocks():
    undecided = check()
    assert undecided.verdict is Verdict.ERROR
    assert undecided.effect is Effect.BLOCK
    assert undecided.reason == "This check was never decided."
    assert GateResult(gate="x").verdict is Verdict.ERROR


def test_a_check_tells_its_one_limit():
    assert (check().verb, check().bound) == (Verb.MAX_DROP, 0.01)


def test_of_verdicts_the_worst_counts():
    order = ["skipped", "pass", "inconclusive", "fail", "error"]
    assert [verdict.value for verdict in sorted(Verdict, key=lambda v: v.rank)] == order
    assert worst([Verdict.PASS, Verdict.ERROR, Verdict.FAIL]) is Verdict.ERROR
    assert worst([Verdict.SKIPPED, Verdict.PASS]) is Verdict.PASS
    assert worst([]) is Verdict.ERROR


def test_only_absolute_limits_need_no_baseline():
    assert {verb for verb in Verb if not verb.needs_baseline} == {Verb.MIN, Verb.MAX}


# --- exit codes ----------------------------------------------------------------------------------

BUG = ErrorInfo.of(GatesError("a bug"))
CONFIG = ErrorInfo.of(ConfigError("wrong"))
INPUT = ErrorInfo.of(InputError("unreadable"))
NETWORK = ErrorInfo.of(EnvironmentFault("no network"))


@pytest.mark.parametrize(
    ("blocks", "of_run", "of_model", "of_gate", "code"),
    [
        (False, None, None, None, 0),
        (True, None, None, None, 1),
        (True, CONFIG, None, None, 2),
        (True, None, INPUT, None, 3),
        (True, None, None, NETWORK, 4),
        (False, None, None, NETWORK, 4),
        (True, INPUT, NETWORK, CONFIG, 3),
        (True, None, INPUT, NETWORK, 3),
        (True, None, None, BUG, 70),
        (True, INPUT, None, BUG, 70),
        (True, INPUT, BUG, None, 70),
        (False, BUG, None, None, 70),
    ],
)
def test_a_bug_outranks_an_error_and_an_error_a_verdict(blocks, of_run, of_model, of_gate, code):
    gate = GateResult(gate="x", error=of_gate)
    model = ModelReport(model="m", task="binary", verdict="error", gates=(gate,), error=of_model)
    assert report(blocked=blocks, error=of_run, models=(model,)).exit_code == code


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (ConfigError, "config", 2),
        (InputError, "input", 3),
        (EnvironmentFault, "environment", 4),
        (Refused, "refused", 5),
        (GatesError, "bug", 70),
    ],
)
def test_an_error_has_a_form_for_the_report(error, kind, code):
    info = ErrorInfo.of(error("what", where="here", hint="do this", details=("a", "b")))
    assert (info.kind, info.exit_code) == (kind, code)
    assert (info.message, info.where, info.hint) == ("what", "here", "do this")
    assert info.details == ("a", "b")


def test_an_endless_error_is_cut():
    long = "x" * 10_000
    info = ErrorInfo.of(InputError(long, where=long, hint=long, details=(long,) * 1000))
    assert {len(text) for text in (info.message, info.where, info.hint, *info.details)} == {2000}
    assert len(info.details) == 50
    assert ErrorInfo.of(InputError("short")).where is None


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("a" * 20, 20, "a" * 20),
        ("a" * 21, 20, "a" * 11 + "…7df8e299"),
        ("", 20, ""),
        (12345, 20, "12345"),
        (None, 20, "None"),
        ("ä" * 21, 20, "ä" * 11 + "…8adbf6ca"),
    ],
)
def test_a_name_is_cut_to_its_bound(text, limit, cut):
    assert bounded(text, limit) == cut


@given(st.text())
def test_a_bounded_name_fits_a_report(text):
    assert len(bounded(text * 40)) <= MAX_NAME
    assert check(method=bounded(text * 40)).method == bounded(text * 40)


def test_what_is_no_unicode_is_replaced():
    # A file's name, or a variable of the environment, may be any bytes.
    assert bounded("gates-\udcff.yml") == "gates-?.yml"


# --- files ---------------------------------------------------------------------------------------


def test_a_file_is_written_whole_and_replaced_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "report.json"
    write_atomic(path, b"old")
    write_atomic(path, b"new content")
    assert path.read_bytes() == b"new content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_link_is_replaced_and_what_it_points_at_is_left(tmp_path):
    target, link = tmp_path / "target", tmp_path / "report.json"
    target.write_bytes(b"mine")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert target.read_bytes() == b"mine"
    assert not link.is_symlink()


def blocked_by_a_folder(folder):
    (folder / "report.json" / "full").mkdir(parents=True)
    return folder / "report.json"


def blocked_by_a_file(folder):
    (folder / "out").write_text("a file")
    return folder / "out" / "report.json"


def blocked_by_a_file_above(folder):
    return blocked_by_a_file(folder).parent / "deeper" / "report.json"


def blocked_by_its_name(folder):
    return folder / ("x" * 300)


@pytest.mark.parametrize(
    "where",
    [blocked_by_a_folder, blocked_by_a_file, blocked_by_a_file_above, blocked_by_its_name],
)
def test_a_disk_that_refuses_is_a_fault_of_the_environment(tmp_path, where):
    path = where(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(EnvironmentFault) as caught:
        write_atomic(path, b"content")
    assert caught.value.exit_code == 4
    assert caught.value.where == str(path)
    assert caught.value.message.startswith("cannot write the file: ")
    assert sorted(tmp_path.rglob("*")) == before, "nothing half-written is left"


def test_content_that_can_not_be_written_leaves_the_old(tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomic(path, "text, not bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
