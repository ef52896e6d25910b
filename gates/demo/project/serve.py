"""Serve one model over HTTP: a person as JSON goes in, a prediction and its score come out.

    PORT=8081 python serve.py out/baseline.joblib
    PORT=8081 python serve.py out/candidate.joblib --age-groups age_groups/everyone.csv

`POST /predict` answers for one person, `GET /health` once the model is there. With `--age-groups`
an answer also names the person's age group, for the monthly statistics.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn

# One person at a time: what scikit-learn checks of its own parameters would take longer.
sklearn.set_config(assume_finite=True, skip_parameter_validation=True)


def main() -> None:
    """Load the model, then answer until told to stop."""
    parser = argparse.ArgumentParser(description="Serve a model that train.py kept.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--age-groups", type=Path, help="a table: first, last, group")
    options = parser.parse_args()

    kept = joblib.load(options.model)
    groups = age_groups(options.age_groups) if options.age_groups else None
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
    server.scorer = Scorer(kept["features"], kept["model"], groups)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    time.sleep(0.5)  # for answers that are under way


def age_groups(path: Path) -> dict[int, str]:
    """Return the group of each age, by a table of their first and last ages."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        age: row["group"] for row in rows for age in range(int(row["first"]), int(row["last"]) + 1)
    }


class Scorer:
    """What answers for a person: the model, and what is said beside its score."""

    def __init__(self, features: list[str], model: Any, groups: dict[int, str] | None) -> None:
        self.features, self.model, self.groups = features, model, groups

    def answer(self, person: dict[str, Any]) -> dict[str, Any]:
        """Return the prediction for one person, and the score that it comes from."""
        row = np.array([[person[name] for name in self.features]], dtype=object)
        score = float(self.model.predict_proba(row)[0, 1])
        found: dict[str, Any] = {"prediction": int(score >= 0.5), "score": score}
        if self.groups is not None:
            found["age_group"] = self.groups[person["age"]]
        return found


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    request_queue_size = 128
    daemon_threads = True
    scorer: Scorer


class Handler(BaseHTTPRequestHandler):
    """Reads requests and writes answers."""

    protocol_version = "HTTP/1.1"
    # An answer leaves in one packet; in two, the second would wait until the first was confirmed.
    wbufsize = -1
    server: Server

    def do_GET(self) -> None:
        """Say that the model is there."""
        self.write(200, {"ready": True})

    def do_POST(self) -> None:
        """Answer for one person. Whatever goes wrong is an answer, too: 500."""
        try:
            person = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.write(200, self.server.scorer.answer(person))
        except Exception as error:  # noqa: BLE001
            self.write(500, {"error": type(error).__name__})

    def write(self, status: int, content: dict[str, Any]) -> None:
        """Write one answer."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Leave the log to HAProxy."""


if __name__ == "__main__":
    main()
