"""The process's edge: the environment comes in here, and an exit code goes out."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

import typer
from typer.exceptions import TyperException

from gates.allocator import collect_seldom, keep_freed_memory
from gates.cli import World, app
from gates.cli.crash import write_debug
from gates.cli.stop import Stopped
from gates.errors import EXIT_BUG, ConfigError, EnvironmentFault, GatesError

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with a documented code; a crash is never a verdict."""
    if (unfit := unfit_platform(sys.platform)) is not None:
        sys.exit(_tell(unfit, EnvironmentFault.exit_code))
    # DuckDB has its own threads; BLAS threads inside them made the same work many times slower.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    keep_freed_memory()
    collect_seldom()
    world = World(environ=dict(os.environ))
    try:
        world.stop.listen()
        code = _run(world)
    except Stopped:
        code = _stopped()
    _let_go_of_streams()
    sys.exit(world.stop.code(code))


def _let_go_of_streams() -> None:
    """Give what nobody reads somewhere to go, or Python's own last flush would exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def unfit_platform(platform: str) -> str | None:
    """Return why Model Gates does not run on a platform, as `sys.platform` names it, if so.

    Programs are started, watched and ended as POSIX has it (gates.process), git among them.
    """
    if platform not in ("win32", "cygwin"):
        return None
    return (
        "Model Gates does not run on Windows.\n"
        "  Use Linux (in CI `runs-on: ubuntu-latest`), the Linux subsystem (WSL), or a container."
    )


def _run(world: World) -> int:
    try:
        code: Any = app(obj=world, prog_name="model-gates", standalone_mode=False)
    except GatesError as error:
        return _tell(str(error), error.exit_code)
    except SystemExit:
        # Typer's own way out when nobody reads stdout any more; its 1 would mean "blocked".
        return EnvironmentFault.exit_code
    except TyperException as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except OSError as error:
        return _tell(f"{error.strerror or error}: {error.filename}", EnvironmentFault.exit_code)
    except Exception as error:  # noqa: BLE001  (the last boundary: no traceback, exit 70)
        if world.stop.signal is not None:
            return _stopped()
        write_debug(world.debug, error)
        hint = "Run again with `--debug FILE` before the command, and report it with that file."
        text = f"Model Gates crashed ({type(error).__name__}). This is a bug of ours.\n  {hint}"
        return _tell(text, EXIT_BUG)
    return int(code or 0)


def _stopped() -> int:
    return _tell("told to stop, and stopped: there is no verdict", _INTERRUPTED)


def _usage(error: TyperException) -> int:
    show = getattr(error, "show", None)
    if show is None:
        return _tell(error.message, ConfigError.exit_code)
    show()
    return ConfigError.exit_code


def _tell(text: str, code: int) -> int:
    # That nobody reads it is no reason for another exit code.
    with suppress(OSError):
        sys.stderr.write(f"error: {text}\n")
    return code


if __name__ == "__main__":
    main()
