"""Model servers on loopback for tests: each answers by a function from a row to an answer."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """A running server: where it is, and everything it was asked, in the order it came."""

    url: str
    asked: list = field(default_factory=list)
    headers: list = field(default_factory=list)


@contextmanager
def serving(answer: Callable):
    """Serve `answer(row)` on a free port; a function that takes two gets the handler, too."""
    served = Served(url="")
    two = answer.__code__.co_argcount == 2

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            row = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.asked.append(row)
            served.headers.append(dict(self.headers))
            if two:
                answer(row, self)
                return
            send(self, 200, json.dumps(answer(row)).encode())

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_):
            pass  # clients that hang up are what some of these tests are about

    server = Server(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler, status, body, headers=()):
    """Answer with a status and a body."""
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    if not any(name in ("Content-Length", "Transfer-Encoding") for name, _ in headers):
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def free_port():
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
