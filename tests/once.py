"""What is dear to make and only looked at is made once in a run, whichever worker needs it first."""

import os
import shutil

from filelock import FileLock


def once(tmp_path_factory, name, make):
    """Return a folder of that name that `make` has filled, in this process or beside it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, made = root / f"once-{name}", root / f"once-{name}.made"
    with FileLock(root / f"once-{name}.lock"):
        if not made.exists():
            # What a worker left half made says nothing to the next one.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder
