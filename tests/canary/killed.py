"""Do one thing to a site, and be killed before its n-th step: a request to the engine that changes
something, or a command to HAProxy. Exits with 0 if it came to its end before that.

    python killed.py OPTIONS.json NAME ACT N [IMAGE]
"""

import json
import os
import signal
import sys
from pathlib import Path

from gates.canary.targets.docker.options import Docker


def main():
    options, name, act, number, *image = sys.argv[1:]
    site = Docker.model_validate(json.loads(Path(options).read_bytes())).site(name)
    given = [site.pin(image[0])] if image else []
    steps = iter(range(1, 1000))

    def die(event, args):
        if _step(event, args) and next(steps) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    getattr(site, act)(*given)


def _step(event, args):
    if event == "http.client.send":
        return isinstance(args[1], bytes) and args[1].split(b" ")[0] in (b"POST", b"DELETE", b"PUT")
    return event == "socket.connect" and isinstance(args[1], str) and "haproxy" in args[1]


main()
