"""What scanners of other projects say of a model's files: information, by which nothing is decided.

A scanner knows what is bad, so what is new to it is clean. It runs as a process of its own, and one
that does not finish has said nothing.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from gates import process
from gates.errors import EnvironmentFault

Scanner = Literal["picklescan"]

_TIMEOUT = 300.0
# `python -m picklescan` ends with 0 whatever it found; its command's function says what it found.
_PROGRAM = "import sys; from picklescan.cli import main; sys.exit(main())"
# Its exit code is all that is taken from it: what it prints, the files have a say in.
_SAID = {0: "found nothing", 1: "found something dangerous"}


def opinion(scanner: Scanner, path: Path) -> str:
    """Return what a scanner says of a file or a folder, in one sentence.

    Raises EnvironmentFault where it is not installed: what was asked for is not left out silently.
    """
    if find_spec(scanner) is None:
        raise EnvironmentFault(
            f"the scanner {scanner} is not installed",
            where="gates.artifact.scanners",
            hint=f"`python -m pip install {scanner}` beside Model Gates, or leave it out.",
        )
    # Isolated, or a file of that name in the working folder would be run in its place.
    argv = [sys.executable, "-I", "-c", _PROGRAM, "--path", str(path.absolute())]
    try:
        done = process.run(argv, cwd=path.parent, timeout=_TIMEOUT)
    except EnvironmentFault as error:
        return f"{scanner} has no opinion: {error.message}."
    said = _SAID.get(done.returncode)
    if said is None:
        return f"{scanner} has no opinion: it ended with exit code {done.returncode}."
    return f"{scanner} {said}; it decides nothing here."
