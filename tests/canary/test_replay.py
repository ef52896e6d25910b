"""The same rows to two real servers: what is found, and that no server can do harm or hide."""

import json
import socket
import struct
import threading
import time

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest
from scipy.stats import t as student

from gates.canary.replay.replay import Replay, World, replay
from gates.canary.sight import Endpoints
from gates.errors import ConfigError, InputError
from gates.report import Verdict
from tests.canary.model_server import free_port, send, serving

ROWS = 120


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(1)
    age = rng.integers(18, 90, ROWS)
    frame = pd.DataFrame(
        {
            "id": [f"secret-{i:04d}" for i in range(ROWS)],
            "age": age,
            "income": rng.normal(3.0, 1.0, ROWS).round(4),
            "city": rng.choice(["Ulm", "Köln"], ROWS),
            "member": rng.random(ROWS) < 0.5,
            "label": (age > 50).astype(int),
        }
    )
    frame.to_parquet(tmp_path / "requests.parquet")
    return frame


def options(**given):
    return Replay(
        **{
            "requests": "requests.parquet",
            "id": "id",
            "leave_out": ("label",),
            "score": "score",
            "timeout": 2.0,
            "disagreement": {"max": 0.05},
            "score_shift": {"max": 0.05},
            **given,
        }
    )


def honest(row):
    score = min(max((row["age"] - 18) / 72, 0.0), 1.0)
    return {"prediction": int(score > 0.5), "score": score, "version": {"name": "m", "number": 1}}


def run(tmp_path, stable, canary, **given):
    world = given.pop("world", {})
    with serving(stable) as one, serving(canary) as other:
        endpoints = Endpoints(stable=one.url, canary=other.url)
        found = replay(
            endpoints, options(**given), World(root=tmp_path, out=tmp_path / "out", **world)
        )
        return found, one, other


def verdict(found, name):
    (finding,) = [one for one in found.findings if one.id.startswith(f"replay/{name}:")]
    return finding.verdict


def finding(found, name):
    return next(one for one in found.findings if one.id.startswith(f"replay/{name}:"))


def test_two_that_answer_alike_pass(tmp_path, table):
    found, stable, canary = run(tmp_path, honest, honest)
    assert found.verdict is Verdict.PASS, found.judgement.as_json()
    assert finding(found, "disagreement").interval == (0.0, 0.0)
    assert finding(found, "rows").value == ROWS
    assert len(stable.asked) == len(canary.asked) == ROWS


def test_the_files_are_predictions_files_of_the_same_rows(tmp_path, table):
    def shifted(row):
        return honest(row) | {"score": honest(row)["score"] / 2}

    found, *_ = run(tmp_path, honest, shifted)
    candidate, baseline = (pd.read_parquet(p) for p in (found.candidate, found.baseline))
    assert list(candidate.columns) == ["id", "prediction", "score"]
    assert sorted(candidate["id"]) == sorted(table["id"])
    both = candidate.merge(baseline, on="id", suffixes=("", "_was"))
    assert np.allclose(both["score"] * 2, both["score_was"])
    assert str(candidate["prediction"].dtype) == "int64"


def test_values_are_sent_as_json_has_them_and_what_is_left_out_is_not(tmp_path, table):
    _, stable, _ = run(tmp_path, honest, honest)
    sent = {json.dumps(row, sort_keys=True) for row in stable.asked}
    told = table.drop(columns=["id", "label"]).to_dict("records")
    assert sent == {json.dumps(row, sort_keys=True) for row in told}


def test_missing_values_are_null_and_whole_numbers_stay_whole(tmp_path):
    frame = pd.DataFrame(
        {
            "id": ["a", "b"],
            "n": pd.array([2**60, None], dtype="Int64"),
            "x": [None, 1.5],
            "t": ["007", None],
            "day": pd.to_datetime(["2024-05-01", None]),
        }
    )
    frame.to_parquet(tmp_path / "requests.parquet")

    def known(_):
        return {"prediction": 1, "score": 0.5}

    _, stable, _ = run(tmp_path, known, known, leave_out=())
    wanted = [
        {"n": 2**60, "x": None, "t": "007", "day": "2024-05-01"},
        {"n": None, "x": 1.5, "t": None, "day": None},
    ]
    assert sorted(stable.asked, key=str) == sorted(wanted, key=str)


def test_one_that_disagrees_fails_with_its_numbers(tmp_path, table):
    def other(row):
        return honest(row) | {"prediction": 1 - honest(row)["prediction"]}

    found, *_ = run(tmp_path, honest, other)
    assert found.verdict is Verdict.FAIL
    moved = finding(found, "disagreement")
    assert (moved.value, moved.n, moved.limit) == (1.0, ROWS, 0.05)
    assert moved.interval[0] > 0.9
    assert verdict(found, "score_shift") is Verdict.PASS


def test_a_few_that_disagree_are_undecided(tmp_path, table):
    chosen = set(table["income"].head(5))

    def other(row):
        flip = row["income"] in chosen
        return honest(row) | {"prediction": honest(row)["prediction"] ^ flip}

    found, *_ = run(tmp_path, honest, other)
    assert verdict(found, "disagreement") is Verdict.INCONCLUSIVE
    assert found.verdict is Verdict.INCONCLUSIVE
    wanted = binomtest(5, ROWS).proportion_ci(0.95, method="wilson")
    assert finding(found, "disagreement").interval == pytest.approx((wanted.low, wanted.high))


def test_scores_that_move_fail_although_predictions_agree(tmp_path, table):
    def other(row):
        told = honest(row)
        return told | {"score": told["score"] * 0.5}

    found, *_ = run(tmp_path, honest, other)
    assert verdict(found, "disagreement") is Verdict.PASS
    assert verdict(found, "score_shift") is Verdict.FAIL
    mean = np.mean([honest({"age": age})["score"] / 2 for age in table["age"]])
    assert finding(found, "score_shift").value == pytest.approx(mean)


def test_the_interval_of_a_shift_is_students_of_few_rows(tmp_path, table):
    def other(row):
        return honest(row) | {"score": honest(row)["score"] * 0.9}

    found, *_ = run(tmp_path, honest, other, rows=30)
    candidate, baseline = (
        pd.read_parquet(path).set_index("id")["score"] for path in (found.candidate, found.baseline)
    )
    moved = (candidate - baseline).abs()
    wanted = student.interval(0.95, 29, loc=moved.mean(), scale=moved.sem())
    assert finding(found, "score_shift").interval == pytest.approx(wanted)


def _without_score(row):
    return {k: v for k, v in honest(row).items() if k != "score"}


LIARS = {
    "score missing": (_without_score, "no score"),
    "score null": (lambda row: honest(row) | {"score": None}, "not a number"),
    "score text": (lambda row: honest(row) | {"score": "0.5"}, "not a number"),
    "score truth": (lambda row: honest(row) | {"score": True}, "not a number"),
    "prediction text": (lambda row: honest(row) | {"prediction": "1"}, "text instead of"),
    "prediction truth": (lambda row: honest(row) | {"prediction": True}, "truth values instead"),
    "prediction 1.0": (lambda row: honest(row) | {"prediction": 1.0}, "numbers instead of whole"),
    "prediction list": (lambda row: honest(row) | {"prediction": [1]}, "no short text"),
    "classes": (lambda row: honest(row) | {"score": {"0": 0.5, "1": 0.5}}, "other classes"),
    "field gone": (
        lambda row: {k: v for k, v in honest(row).items() if k != "version"},
        "1 field is missing ('version')",
    ),
    "field below gone": (
        lambda row: honest(row) | {"version": {"name": "m"}},
        "1 field is missing ('version.number')",
    ),
    "field of another type": (
        lambda row: honest(row) | {"version": {"name": "m", "number": "1"}},
        "another type ('version.number')",
    ),
    "a list": (lambda row: [honest(row)], "no prediction"),
}


@pytest.mark.parametrize(("liar", "said"), LIARS.values(), ids=LIARS)
def test_another_shape_is_a_hard_stop(tmp_path, table, liar, said):
    judged = []
    found, *_ = run(tmp_path, honest, liar, world={"judge": lambda *files: judged.append(files)})
    assert verdict(found, "schema") is Verdict.FAIL
    assert said in finding(found, "schema").reason
    assert found.verdict is Verdict.FAIL
    assert not judged
    assert found.candidate is None


RAW = {
    "NaN": (b'{"prediction": 1, "score": NaN}', "not JSON"),
    "infinite": (b'{"prediction": 1, "score": 1e999}', "not a finite number"),
    "twice": (b'{"prediction": 1, "score": 0.5, "score": 0.5}', "not JSON"),
    "no JSON": (b"<html>", "not JSON"),
    "nothing": (b"", "not JSON"),
    "not UTF-8": (b'"\xff\xfe\xff"', "not JSON"),
    "deep": (b"[" * 100_000, "not JSON"),
    "nested": (
        b'{"prediction": 1, "score": 0.5, "x": ' + b"[" * 300 + b"]" * 300 + b"}",
        "nested",
    ),
    "a number of 9000 digits": (b'{"prediction": ' + b"9" * 9000 + b', "score": 1}', "not JSON"),
    "many fields": (
        json.dumps({"prediction": 1, "score": 0.5} | {f"f{i}": 1 for i in range(3000)}).encode(),
        "different fields",
    ),
}


@pytest.mark.parametrize(("raw", "said"), RAW.values(), ids=RAW)
def test_what_is_no_plain_json_is_a_hard_stop(tmp_path, table, raw, said):
    def canary(_, handler):
        send(handler, 200, raw)

    found, *_ = run(tmp_path, honest, canary)
    assert verdict(found, "schema") is Verdict.FAIL
    assert said in finding(found, "schema").reason


def _gib(_, handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    chunk = b" " * 2**20
    for _ in range(2**10):
        handler.wfile.write(chunk)


def _endless(_, handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    chunk = b" " * 2**16
    while True:
        handler.wfile.write(b"10000\r\n" + chunk + b"\r\n")


def _unpacks(_, handler):
    send(handler, 200, b"\x1f\x8b\x08\x00", [("Content-Encoding", "gzip")])


def _reset(_, handler):
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    handler.connection.close()


def _short(_, handler):
    send(handler, 200, b'{"prediction"', [("Content-Length", "1000")])
    handler.close_connection = True


def _redirect(_, handler):
    send(handler, 307, b"", [("Location", "http://127.0.0.1:1/other")])


def _error(_, handler):
    send(handler, 500, b"a stack trace with secrets")


def _garbled(_, handler):
    handler.wfile.write(b"HELLO\r\n\r\n")
    handler.close_connection = True


FAILING = {
    "1 GiB": (_gib, "larger than allowed"),
    "endless": (_endless, "larger than allowed"),
    "compressed": (_unpacks, "not plain HTTP"),
    "reset": (_reset, "the connection broke"),
    "cut short": (_short, "the connection broke"),
    "redirect": (_redirect, "status 307"),
    "error": (_error, "status 500"),
    "no HTTP": (_garbled, "not plain HTTP"),
}


@pytest.mark.parametrize(("canary", "said"), FAILING.values(), ids=FAILING)
def test_a_canary_that_does_not_answer_fails(tmp_path, table, canary, said):
    found, _, asked = run(tmp_path, honest, canary)
    assert verdict(found, "failures") is Verdict.FAIL
    assert said in finding(found, "failures").reason
    assert found.verdict is Verdict.FAIL
    assert len(asked.asked) < ROWS  # it had shown what it does


def _slowly(_, handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def _hanging(_, handler):
    time.sleep(3.0)


def _slow_head(_, handler):
    for _ in range(60):
        handler.wfile.write(b"H")
        time.sleep(0.05)


@pytest.mark.parametrize("canary", [_slowly, _hanging, _slow_head])
def test_the_time_is_that_of_the_whole_answer(tmp_path, table, canary):
    began = time.monotonic()
    found, *_ = run(tmp_path, honest, canary, timeout=0.3, concurrency=16)
    assert "not whole within the time (" in finding(found, "failures").reason
    assert found.verdict is Verdict.FAIL
    assert time.monotonic() - began < 15


def test_nobody_at_home_fails(tmp_path, table):
    with serving(honest) as stable:
        endpoints = Endpoints(stable=stable.url, canary=f"http://127.0.0.1:{free_port()}")
        found = replay(endpoints, options(), World(root=tmp_path, out=tmp_path))
    assert "no connection" in finding(found, "failures").reason
    assert found.verdict is Verdict.FAIL


@pytest.mark.parametrize("stable", [_error, _reset, _redirect], ids=["error", "reset", "redirect"])
def test_a_stable_side_that_fails_is_not_the_canarys_fault(tmp_path, table, stable):
    found, *_ = run(tmp_path, stable, honest)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert all(one.verdict is Verdict.INCONCLUSIVE for one in found.findings if one.counts)
    assert "not the canary's fault" in found.findings[1].reason


def test_a_stable_side_without_the_field_is_a_fault_of_the_configuration(tmp_path, table):
    found, *_ = run(tmp_path, _without_score, honest)
    assert verdict(found, "schema") is Verdict.ERROR
    assert "not the canary's fault" in finding(found, "schema").reason
    assert verdict(found, "failures") is not Verdict.FAIL
    assert found.verdict is Verdict.ERROR


FICKLE = {
    "kinds": lambda row: honest(row) | {"prediction": "yes" if row["member"] else 1},
    "classes": lambda row: honest(row) | {"score": {"a" if row["member"] else "b": 0.5}},
}


@pytest.mark.parametrize("stable", FICKLE.values(), ids=FICKLE)
def test_a_stable_side_of_changing_shape_gives_nothing_to_go_by(tmp_path, table, stable):
    found, *_ = run(tmp_path, stable, stable)
    assert found.verdict is Verdict.ERROR
    assert "not the canary's fault" in finding(found, "schema").reason


def test_a_shift_without_spread_is_still_not_certain(tmp_path, table):
    def low(row):
        return {"prediction": 1, "score": 0.25}

    def high(row):
        return {"prediction": 1, "score": 0.5}

    found, *_ = run(tmp_path, low, high)
    shift = finding(found, "score_shift")
    wanted = binomtest(ROWS // 4, ROWS).proportion_ci(0.95, method="wilson")
    assert shift.verdict is Verdict.FAIL
    assert shift.interval == pytest.approx((wanted.low, wanted.high))


def test_what_both_refuse_counts_for_nobody(tmp_path, table):
    def refusing(row, handler):
        if row["member"]:
            send(handler, 422, b"no")
        else:
            send(handler, 200, json.dumps(honest(row)).encode())

    found, *_ = run(tmp_path, refusing, refusing, min_rows=20)
    assert found.verdict is Verdict.PASS
    assert finding(found, "rows").value == (~table["member"]).sum()


def test_failures_up_to_the_limit_are_told_and_tolerated(tmp_path, table):
    broken = set(table["income"].head(2))

    def canary(row, handler):
        if row["income"] in broken:
            send(handler, 503, b"")
        else:
            send(handler, 200, json.dumps(honest(row)).encode())

    found, *_ = run(tmp_path, honest, canary, failures={"max": 2})
    assert verdict(found, "failures") is Verdict.PASS
    assert "2 requests" in finding(found, "failures").reason
    found, *_ = run(tmp_path, honest, canary, failures={"max": 1})
    assert verdict(found, "failures") is Verdict.FAIL


def test_too_few_rows_are_never_a_pass(tmp_path, table):
    found, *_ = run(tmp_path, honest, honest, rows=50, min_rows=60)
    assert found.verdict is Verdict.PASS  # all that was asked for
    found, *_ = run(tmp_path, honest, honest, deadline=1e-6)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert finding(found, "rows").value == 0


def test_a_slow_canary_fails_by_the_paired_times(tmp_path, table):
    def slow(row):
        time.sleep(0.02)
        return honest(row)

    def slower(row):
        time.sleep(0.1)
        return honest(row)

    found, *_ = run(tmp_path, slow, slower, rows=60, latency={"max_ratio": 1.5}, concurrency=2)
    ratio = finding(found, "latency")
    assert ratio.verdict is Verdict.FAIL
    assert 1.5 < ratio.interval[0] < ratio.value < 5.1
    found, *_ = run(tmp_path, slow, slow, rows=60, latency={"max_ratio": 1.5}, concurrency=2)
    assert finding(found, "latency").verdict is Verdict.PASS


def test_either_side_is_asked_first_in_turn(tmp_path, table):
    order, lock = [], threading.Lock()

    def named(name):
        def answer(row):
            with lock:
                order.append(name)
            return honest(row)

        return answer

    run(tmp_path, named("s"), named("c"), rows=6, concurrency=1)
    assert "".join(order) == "sccs" * 3


def test_the_same_rows_whatever_their_order_and_others_with_another_seed(tmp_path, table):
    def chosen(**given):
        _, stable, _ = run(tmp_path, honest, honest, rows=30, concurrency=1, **given)
        return [row["income"] for row in stable.asked]

    first = chosen()
    table.sample(frac=1.0, random_state=3).to_csv(tmp_path / "shuffled.csv", index=False)
    assert chosen(requests="shuffled.csv") == first
    assert len(set(first)) == 30
    assert chosen(seed=8) != first


def test_no_more_are_on_their_way_than_is_said(tmp_path, table):
    now, most, lock = [0], [0], threading.Lock()

    def answer(row):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1
        return honest(row)

    run(tmp_path, answer, answer, concurrency=3)
    assert 1 <= most[0] <= 3


def test_no_value_or_id_is_in_what_is_found(tmp_path, table):
    def echoing(row):
        names = {f"row-{row['income']}": {"x": row["city"]}}
        return {"prediction": row["city"], "score": 0.5, "by_row": names}

    def other(row):
        return {"prediction": 1, "score": "Ulm", "by_row": {f"row-{row['income']}": 3}}

    for canary in (echoing, other, lambda row: {"prediction": row["city"], "score": 0.5}):
        found, *_ = run(tmp_path, echoing, canary)
        said = repr(found) + json.dumps(found.judgement.as_json(), default=str)
        assert not [v for v in (*table["id"], *map(str, table["income"]), "Ulm") if v in said]


def test_what_the_tick_raises_ends_it_at_once(tmp_path, table):
    class Enough(Exception):
        pass

    def tick():
        raise Enough

    began = time.monotonic()
    with pytest.raises(Enough):
        run(tmp_path, honest, _hanging, timeout=60.0, world={"tick": tick})
    assert time.monotonic() - began < 6


def test_headers_come_from_the_environment_by_name(tmp_path, table):
    given = {"headers": {"Authorization": "MODEL_TOKEN"}}
    world = {"environ": {"MODEL_TOKEN": "Bearer s3cr3t"}}
    found, stable, canary = run(tmp_path, honest, honest, world=world, **given)
    for side in (stable, canary):
        assert {one["Authorization"] for one in side.headers} == {"Bearer s3cr3t"}
    assert "s3cr3t" not in repr(found)
    with pytest.raises(ConfigError, match="MODEL_TOKEN") as error:
        run(tmp_path, honest, honest, world={"environ": {"MODEL_TOKEN": "a\nb"}}, **given)
    assert "a\nb" not in str(error.value)
    with pytest.raises(ConfigError, match="is not set"):
        run(tmp_path, honest, honest, **given)


def test_a_server_that_ends_every_answer_by_hanging_up_will_do(tmp_path, table):
    def old(row, handler):
        handler.protocol_version = "HTTP/1.0"
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(json.dumps(honest(row)).encode())

    found, *_ = run(tmp_path, honest, old)
    assert found.verdict is Verdict.PASS, found.judgement


def test_no_proxy_of_the_environment_is_asked(tmp_path, table, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    found, *_ = run(tmp_path, honest, honest)
    assert found.verdict is Verdict.PASS


def test_kserve_v1_in_batches(tmp_path, table):
    def v1(asked):
        told = [honest(row) for row in asked["instances"]]
        return {
            "predictions": [
                {"label": t["prediction"], "p": [1 - t["score"], t["score"]]} for t in told
            ]
        }

    given = {
        "body": "instances",
        "batch": 50,
        "prediction": "predictions.*.label",
        "score": "predictions.*.p.1",
    }
    found, stable, _ = run(tmp_path, v1, v1, **given)
    assert found.verdict is Verdict.PASS, found.judgement.as_json()
    assert sorted(len(asked["instances"]) for asked in stable.asked) == [20, 50, 50]

    def swapped(asked):
        return {"predictions": v1(asked)["predictions"][::-1]}

    found, *_ = run(tmp_path, v1, swapped, **given)
    assert verdict(found, "score_shift") is Verdict.FAIL

    def short(asked):
        return {"predictions": v1(asked)["predictions"][1:]}

    found, *_ = run(tmp_path, v1, short, **given)
    assert verdict(found, "schema") is Verdict.FAIL


def test_v2_tensors_and_a_score_for_each_class(tmp_path, table):
    def v2(asked):
        columns = {tensor["name"]: tensor for tensor in asked["inputs"]}
        assert columns["age"]["datatype"] == "INT64"
        assert columns["income"]["datatype"] == "FP64"
        assert columns["city"]["datatype"] == "BYTES"
        assert columns["member"]["datatype"] == "BOOL"
        ages = columns["age"]["data"]
        assert columns["age"]["shape"] == [len(ages)]
        scores = [honest({"age": age})["score"] for age in ages]
        return {
            "outputs": [
                {"name": "label", "data": ["high" if s > 0.5 else "low" for s in scores]},
                {"name": "probability", "data": [[s, 1 - s] for s in scores]},
            ]
        }

    given = {
        "body": "inputs",
        "batch": 40,
        "prediction": "outputs.0.data.*",
        "score": "outputs.1.data.*",
        "classes": ("low", "high"),
    }
    found, *_ = run(tmp_path, v2, v2, **given)
    assert found.verdict is Verdict.PASS, found.judgement.as_json()
    candidate = pd.read_parquet(found.candidate)
    assert list(candidate.columns) == ["id", "prediction", "score_high", "score_low"]
    found, *_ = run(tmp_path, v2, v2, **given | {"classes": ("low", "high", "none")})
    assert verdict(found, "schema") is Verdict.ERROR


def test_numbers_within_the_tolerance_agree(tmp_path, table):
    def number(row):
        return {"prediction": row["income"] + 0.5}

    def near(row):
        return {"prediction": row["income"] + 0.5 + 1e-7}

    given = {"score": None, "score_shift": None}
    found, *_ = run(tmp_path, number, near, tolerance=1e-6, **given)
    assert finding(found, "disagreement").value == 0.0
    found, *_ = run(tmp_path, number, near, **given)
    assert finding(found, "disagreement").value == 1.0


BAD_TABLES = {
    "no id": (lambda f: f.drop(columns="id"), "there is no column `id`"),
    "an id twice": (lambda f: f.assign(id="a"), "id"),
    "an infinite number": (lambda f: f.assign(income=np.inf), "not finite"),
    "no such feature": (lambda f: f.drop(columns="age"), "`age`"),
}


@pytest.mark.parametrize(("spoil", "said"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_requests_that_cannot_be_used_are_refused_before_anything_is_sent(
    tmp_path, table, spoil, said
):
    spoil(table).to_parquet(tmp_path / "requests.parquet")
    with serving(honest) as one:
        endpoints = Endpoints(stable=one.url, canary=one.url)
        world = World(root=tmp_path, out=tmp_path)
        with pytest.raises(InputError, match=said):
            replay(endpoints, options(features=("age", "income")), world)
        assert not one.asked


WRONG = [
    {"batch": 2},
    {"prediction": "predictions.*"},
    {"body": "instances"},
    {"score": None},
    {"prediction": "a..b"},
    {"path": "predict"},
    {"path": "/a b"},
    {"headers": {"Host": "X"}},
    {"headers": {"Authorization": "Bearer s3cr3t"}},
    {"rows": 0},
    {"timeout": float("nan")},
    {"classes": ("a", "a")},
    {"disagreement": {"max": 1.5}},
    {"unknown": 1},
]


@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_options_that_make_no_sense_are_refused(given):
    with pytest.raises(ValidationError):
        options(**given)
