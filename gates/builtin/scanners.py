"""What scanners of other projects say of a model's files: information, by which nothing is decided.

A scanner knows what is bad, so what is new to it is clean. It runs as a process of its own, and one
that does not finish has said nothing.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from gates import process
from gates.errors import EnvironmentFault

Scanner = Literal["fickling", "modelscan", "picklescan"]

_TIMEOUT = 300.0
# What each command is given before the path. `python -m picklescan` ends with 0 whatever it found,
# so of each the command's own function is called.
_ASKED: dict[Scanner, tuple[str, ...]] = {
    "fickling": ("--check-safety",),
    "modelscan": ("scan", "--path"),
    "picklescan": ("--path",),
}
# fickling reads one pickle and no folder. One that crashes would end with 1, as Python does, and
# that would be an opinion.
_PROGRAM = """\
import pathlib, sys

def said(*asked):
    sys.argv = ["{scanner}", *asked]
    try:
        from {scanner}.cli import main
        code = main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = None
    return code if type(code) is int else 70

*asked, path = sys.argv[1:]
top = pathlib.Path(path)
each = "{scanner}" == "fickling" and top.is_dir()
paths = sorted(one for one in top.rglob("*") if one.is_file()) if each else [top]
codes = [said(*asked, str(one)) for one in paths]
sys.exit(1 if 1 in codes else max(codes))
"""
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
    # Isolated, or a file of that name in the working folder would be run in its place; and in an
    # empty folder, as they read settings from where they are, and leave a result there.
    program = _PROGRAM.format(scanner=scanner)
    argv = [sys.executable, "-I", "-c", program, *_ASKED[scanner], str(path.absolute())]
    try:
        with TemporaryDirectory(prefix="model-gates-") as folder:
            done = process.run(argv, cwd=Path(folder), timeout=_TIMEOUT)
    except EnvironmentFault as error:
        return f"{scanner} has no opinion: {error.message}."
    said = _SAID.get(done.returncode)
    if said is None:
        return f"{scanner} has no opinion: it ended with exit code {done.returncode}."
    return f"{scanner} {said}; it decides nothing here."
