"""Where a command runs: what varies between two runs on the same input."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gates.report import RunInfo


def run_info(environ: Mapping[str, str], config: Path) -> RunInfo:
    """Return when, where and on which commit this runs."""
    from gates.fields import bounded
    from gates.git import head
    from gates.github.context import ci_info, git_info, in_actions
    from gates.report import GitInfo, RunInfo

    return RunInfo(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        config=bounded(config, 2000),
        git=git_info(environ) if in_actions(environ) else GitInfo(sha=head(config.parent)),
        ci=ci_info(environ),
        python=platform.python_version(),
        platform=bounded(platform.platform()),
    )
