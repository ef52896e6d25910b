"""The demo's rollouts, played for real on an engine, with users; and what is said where they cannot be."""

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pandas as pd
import pytest

from gates.canary import settings
from gates.demo import rollouts
from gates.demo.image import tar
from gates.demo.means import Means, means
from gates.demo.story import PROJECT, PROMOTED, ROLLED_BACK, STORY, argv, environment, play
from tests.canary.bench import free_port, wait_until

FEATURES = settings.load(PROJECT / rollouts.FILE)[0].deployments["income"].replay.features
ON_AN_ENGINE = pytest.mark.requires_real("dockerd", "haproxy")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return a folder in which the story was played as far as a rollout has need of it."""
    out = tmp_path_factory.mktemp("demo") / "out"
    told = []
    assert play(out, told.append, [STORY[number] for number in (0, 1, 4, 5)]) == 0, told
    return out


@pytest.fixture
def folder(judged, tmp_path):
    return shutil.copytree(judged, tmp_path / "out")


@pytest.fixture
def theirs(docker_client):
    """Have what somebody else has on the engine, and see that it is all there is afterwards."""
    client = docker_client
    client.import_image_from_data(tar({"a": b"b"}), repository="model-gates-demo", tag="theirs")
    image = "model-gates-demo:theirs"
    labels = {"model-gates.deployment": "income", "model-gates.role": "stable"}
    made = client.create_container(image, command=["-"], name="mg-income-theirs", labels=labels)
    before = everything(client)
    yield
    assert everything(client) == before
    client.remove_container(made["Id"])
    client.remove_image(image)


def everything(client):
    containers = {one["Id"] for one in client.containers(all=True)}
    return containers, {one["Id"] for one in client.images(all=True)}


def on(address):
    return {"DOCKER_HOST": address, "PATH": os.environ["PATH"]}


@ON_AN_ENGINE
def test_the_bad_server_is_rolled_back_and_the_mended_one_is_promoted(dockerd, theirs, folder):
    told = []
    assert rollouts.play(folder, told.append, on(dockerd)) == 0, "\n".join(told)
    first, second = (
        json.loads((folder / one / "rollout.json").read_text()) for one in (ROLLED_BACK, PROMOTED)
    )
    assert first["predicate"]["result"] == "FAILED"
    assert second["predicate"]["result"] == "PASSED"

    ends = [line for line in told if "users asked meanwhile" in line]
    assert len(ends) == 2
    assert ends[0].endswith("exit code 1")
    bad = int(ends[0].split(" of them got an error")[0].split()[-1].replace(",", ""))
    assert 0 < bad <= 30
    assert ends[1].endswith("exit code 0")
    assert "and each got an answer" in ends[1]

    text = "\n".join(told)
    assert "Traceback" not in text
    history = text[text.index("$ model-gates canary history") :]
    assert history.index("is promoted") < history.index("is rolled back")
    assert len((folder / rollouts.RECORDED).read_text().splitlines()) == 300


@ON_AN_ENGINE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_leaves_nothing(number, dockerd, theirs, folder, tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", PLAY, str(folder)], stdin=subprocess.DEVNULL, stdout=said,
            stderr=said, env={**os.environ, **environment(), "DOCKER_HOST": dockerd},
        )  # fmt: skip
    try:
        wait_until(lambda: "done shift:25" in log.read_text(), "users meet it", 180, log.read_text)
        process.send_signal(number)
        process.send_signal(number)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + number, log.read_text()
    mine = (folder / rollouts.FILE).read_text()
    place = next(line.split()[1] for line in mine.splitlines() if "socket:" in line)
    assert not Path(place).parent.exists()
    assert not listens(mine.split("bind: 127.0.0.1:")[1].split()[0])


# The command itself, but for a story that was played already.
PLAY = """
import sys
from pathlib import Path
from gates.cli.stop import Stop, Stopped
from gates.demo.rollouts import play

stop = Stop(once=True)
stop.listen()
try:
    code = play(Path(sys.argv[1]), lambda line: print(line, flush=True), __import__("os").environ)
except Stopped:
    code = 130
sys.exit(stop.code(code))
"""


def listens(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
        return True
    return False


@ON_AN_ENGINE
def test_a_rollout_that_goes_otherwise_is_told_so_and_leaves_nothing(dockerd, theirs, folder):
    (folder / "out" / "candidate.joblib").write_bytes(
        (folder / "out" / "baseline.joblib").read_bytes()
    )
    told = []
    assert rollouts.play(folder, told.append, on(dockerd)) == 70
    text = "\n".join(told)
    assert "what was judged is" in text
    assert "exit code 5, where 1 was expected" in text
    assert "rollout, 2 of" not in text


@ON_AN_ENGINE
def test_a_server_that_ends_is_told_and_leaves_nothing(dockerd, theirs, folder):
    from gates.errors import EnvironmentFault

    (folder / "out" / "baseline.joblib").write_bytes(b"no model")
    with pytest.raises(EnvironmentFault, match="the container with the server ended") as caught:
        rollouts.play(folder, lambda _: None, on(dockerd))
    assert caught.value.details


def test_without_an_engine_it_says_what_is_missing_and_all_is_well(tmp_path):
    told, out = [], tmp_path / "out"
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "PATH": os.environ["PATH"]}
    assert play(out, told.append, (), then=rollouts.chapter(nowhere)) == 0
    text = " ".join("\n".join(told).split())
    assert "this machine still needs" in text
    assert f"none answers at unix://{tmp_path}/none.sock (install and start Docker" in text
    assert "What to read" in text
    assert not (out / rollouts.PROXY).exists()


def test_everything_that_is_missing_stands_in_one_sentence(tmp_path):
    found = means({"DOCKER_HOST": "tcp://192.0.2.7:2375", "PATH": str(tmp_path)}, also=())
    assert found.startswith("To see that, this machine still needs the program `haproxy` (`apt-get")
    assert "and a Docker engine of its own, where DOCKER_HOST names another's" in found
    assert found.count(". ") == 0


@pytest.mark.parametrize(
    ("info", "missing"),
    [
        ({}, None),
        ({"KernelVersion": "6.6.0-linuxkit"}, "not in a virtual machine"),
        ({"OSType": "windows"}, "not in a virtual machine"),
        ({"SecurityOptions": ["name=seccomp", "name=rootless"]}, "not rootless"),
    ],
)
def test_only_an_engine_whose_containers_are_reached_from_here_will_do(info, missing, tmp_path):
    program = tmp_path / "haproxy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    ours = {"OSType": "linux", "KernelVersion": platform.release(), "SecurityOptions": []}
    with engine(tmp_path / "engine.sock", {**ours, **info}) as address:
        found = means({"DOCKER_HOST": address, "PATH": str(tmp_path)}, also=())
    if missing is None:
        assert found == Means(engine=address, haproxy=str(program))
    else:
        assert missing in found


@contextlib.contextmanager
def engine(path, info):
    """Yield the address of what says of itself what an engine says."""

    class Says(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(info).encode()
            self.send_response(200 if self.path.endswith("/info") else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self):
            return "a socket"

        def log_message(self, *_):
            pass

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(path), Says) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"unix://{path}"
        server.shutdown()
        thread.join()


def test_the_file_of_the_project_is_valid_before_and_after_the_lesson(tmp_path):
    text = (PROJECT / rollouts.FILE).read_text()
    before = tmp_path / rollouts.FILE
    before.write_text(text[: text.index(rollouts.LESSON)])
    assert settings.load(before)[0].deployments["income"].replay is None
    assert settings.load(PROJECT / rollouts.FILE)[0].deployments["income"].replay.failures.max == 0


def test_the_server_answers_as_the_model_was_judged(judged):
    people = pd.read_parquet(judged / "data" / "holdout.parquet").sample(40, random_state=1)
    known = pd.read_parquet(judged / "out" / "candidate.parquet").set_index("person_id")
    with served(judged, "out/candidate.joblib") as ask:
        for person in people.to_dict("records"):
            status, answer = ask(person)
            assert (status, set(answer)) == (200, {"prediction", "score"})
            assert answer["score"] == pytest.approx(known.score[person["person_id"]], abs=1e-12)
            assert answer["prediction"] == known.prediction[person["person_id"]]


@pytest.mark.parametrize(("table", "status"), [("working", 500), ("everyone", 200)])
def test_whoever_is_older_than_the_table_gets_an_error(table, status, judged):
    people = pd.read_parquet(judged / "data" / "holdout.parquet")
    words = ("out/candidate.joblib", "--age-groups", f"age_groups/{table}.csv")
    with served(judged, *words) as ask:
        for age, expected in ((17, 200), (64, 200), (65, status), (90, status)):
            person = people[people.age == age].to_dict("records")[0]
            got, answer = ask(person)
            assert got == expected
            assert ("age_group" in answer) == (got == 200)


@contextlib.contextmanager
def served(out, *words):
    """Yield a function that asks the team's server about a person."""
    port = free_port()
    process = subprocess.Popen(
        [*argv("python serve.py"), *words], cwd=out, env={**os.environ, "PORT": str(port)}
    )

    def ask(person):
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(
            "POST", "/predict", json.dumps({name: person[name] for name in FEATURES})
        )
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    try:
        wait_until(lambda: listens(port), "the server listens", 60)
        yield ask
    finally:
        process.terminate()
        assert process.wait(20) == 0
