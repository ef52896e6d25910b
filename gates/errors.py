"""One small exception tree: the exit code is on the class, the place and the hint on the instance.

Exit codes are public API (README, "Exit codes"). A crash must never read as "the gate failed",
nor as "pass", so everything that is not one of these is a bug and exits with 70.
"""

from __future__ import annotations

from typing import ClassVar, Final

EXIT_OK = 0
EXIT_BLOCKED = 1
EXIT_BUG: Final = 70


class GatesError(Exception):
    """Say what happened, where, and what to do next; caught once, at the top.

    `message` is one sentence. `where` is a place a person can go to: a file with line and column,
    a key path, a row. `hint` is the next step. `details` are further findings of the same kind, so
    that a person mends all of them in one go. None of them may hold a value from a data row.
    `output` is what a user's command printed: for whoever started it, and never for a report.
    """

    exit_code: ClassVar[int] = EXIT_BUG
    kind: ClassVar[str] = "bug"

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        details: tuple[str, ...] = (),
        output: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.details = details
        self.output = output

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f"\n  {self.hint}" if self.hint else ""
        return place + self.message + "".join(f"\n- {line}" for line in self.details) + hint


class ConfigError(GatesError):
    """The configuration or the command line is wrong."""

    exit_code = 2
    kind = "config"


class InputError(GatesError):
    """Data, predictions, a model or a baseline cannot be used."""

    exit_code = 3
    kind = "input"


class EnvironmentFault(GatesError):
    """The surroundings failed: network, API, disk, or an extra that is not installed."""

    exit_code = 4
    kind = "environment"


class Refused(GatesError):
    """Refused for safety: a tampered artifact, an untrusted file, missing evidence for a deploy."""

    exit_code = 5
    kind = "refused"
