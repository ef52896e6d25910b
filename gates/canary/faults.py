"""What ends a rollout's command other than a verdict; the exit codes are public (README)."""

from __future__ import annotations

from typing import ClassVar, Final

from gates.errors import EnvironmentFault, GatesError

EXIT_HELD: Final = 10
EXIT_ABORTED: Final = 20


class Locked(GatesError):
    """Another rollout holds the deployment, and is alive."""

    exit_code: ClassVar[int] = 11
    kind: ClassVar[str] = "locked"


class Fenced(Locked):
    """Somebody took the deployment over: this process may not touch it any more."""


class TakenBack(EnvironmentFault):
    """The platform rolled a candidate back by itself: what served before serves."""


class Unconfirmed(GatesError):
    """A rollback could not be confirmed: a person must act, now."""

    exit_code: ClassVar[int] = 30
    kind: ClassVar[str] = "unconfirmed"
