"""The server in the tests' images: answers like the model file beside it says. Standard library only.

The model file is JSON: `name`, `weights`, `bias`, and how it is broken: `errors` (of 1000 requests,
spread evenly; `status` instead of 500), `delay` (seconds a request), `crash_at_start`, `crash_after` (seconds of life),
`asleep` (it never listens).
"""

import json
import math
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = json.loads(Path(os.environ.get("MODEL_FILE", "/model/model.json")).read_bytes())
PORT = int(os.environ["PORT"])
LOCK = threading.Lock()
ASKED = [0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet: else each answer waits for the client's delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(200, {"model": MODEL["name"]})

    def do_POST(self):
        row = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        with LOCK:
            ASKED[0] += 1
            broken = (ASKED[0] * MODEL.get("errors", 0)) % 1000 < MODEL.get("errors", 0)
        time.sleep(MODEL.get("delay", 0))
        if broken:
            self.answer(MODEL.get("status", 500), {"error": "broken on purpose"})
        else:
            self.answer(200, predicted(row))

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Served-By", MODEL["name"])
        self.send_header("X-Served-At", str(PORT))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # HAProxy's checks end with a reset


def predicted(row):
    weights = MODEL.get("weights", {})
    total = MODEL.get("bias", 0.0) + sum(
        weight * float(row.get(name, 0) or 0) for name, weight in weights.items()
    )
    score = 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))
    return {"prediction": int(score >= 0.5), "score": round(score, 9)}


def main():
    if MODEL.get("crash_at_start"):
        sys.exit(3)
    if MODEL.get("asleep"):
        signal.pause()
    server = Server(("127.0.0.1", PORT), Handler)
    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start()
    )
    if after := MODEL.get("crash_after"):
        timer = threading.Timer(after, os._exit, [9])
        timer.daemon = True
        timer.start()
    server.serve_forever(poll_interval=0.05)


main()
