"""Docker images without a registry: the interpreter that runs this, and what is laid on it.

Only for an engine on a Linux machine of the same kind as this one. Nothing is run to make them.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gates.process import run

if TYPE_CHECKING:
    from docker import APIClient

_VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
_LIBRARY = f"usr/local/{sys.platlibdir}/{_VERSION}"
_LEFT_OUT = {
    "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip",
    "turtledemo", "pydoc_data", "distutils", "sqlite3", "curses",
}  # fmt: skip
_HEAVY = ("_tkinter", "_sqlite3", "_curses", "readline", "_test", "_dbm", "_gdbm", "_codecs_")
_REQUIRED = re.compile(r"[A-Za-z0-9._-]+")
_SECONDS = 120.0


def import_python(client: APIClient, name: str, packages: Sequence[str] = ()) -> str:
    """Make an image of this Python, with packages and what they require; return its Id.

    `packages` are distributions, such as `scikit-learn`, as they are installed here.
    """
    repository, _, tag = name.partition(":")
    with tempfile.TemporaryDirectory(prefix="model-gates-") as folder:
        path = Path(folder) / "image.tar"
        with tarfile.open(path, mode="w") as archive:
            folders = _add_python(archive, packages)
        client.import_image_from_file(
            str(path), repository=repository, tag=tag or "latest", changes=_environment(folders)
        )
    return str(client.inspect_image(name)["Id"])


def add_layer(
    client: APIClient, base: str, name: str, files: Mapping[str, bytes], command: Sequence[str]
) -> str:
    """Make an image of another one with files on top, which runs a command; return its Id."""
    repository, _, tag = name.partition(":")
    made = client.create_container(base, command=["-"], network_disabled=True)["Id"]
    try:
        client.put_archive(made, "/", tar(files))
        words = ", ".join(f'"{word}"' for word in command)
        changes = [f"ENTRYPOINT [{words}]", "CMD []"]
        return str(client.commit(made, repository=repository, tag=tag, changes=changes)["Id"])
    finally:
        client.remove_container(made)


def tar(files: Mapping[str, bytes]) -> bytes:
    """Return files, by their paths from the root, as a tar file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def _environment(folders: Iterable[str]) -> list[str]:
    """Return the settings of an image: one thread a server, or they fight over the processors."""
    said = {
        "PATH": "/usr/local/bin",
        "PYTHONHOME": "/usr/local",
        "PYTHONDONTWRITEBYTECODE": "1",
        # There is no cache of where libraries are.
        "LD_LIBRARY_PATH": ":".join(folders),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return ["ENV " + " ".join(f"{key}={value}" for key, value in said.items())]


def _add_python(archive: tarfile.TarFile, packages: Sequence[str]) -> list[str]:
    """Add program, standard library, packages and shared libraries; return these ones' folders."""
    program = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    archive.add(program, "usr/local/bin/python3")
    compiled = {program}
    for path, name in (*_standard_library(), *_packages(packages)):
        archive.add(path, name, recursive=False)
        if ".so" in path.suffixes:
            compiled.add(path)
    needed = sorted(_closure(compiled))
    for library in needed:
        archive.add(Path(library).resolve(), library.lstrip("/"))
    for name in ("tmp", "state"):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(info)
    return sorted({str(Path(library).parent) for library in needed})


def _standard_library() -> Iterator[tuple[Path, str]]:
    """Yield the files of the standard library, each with its name in the image."""
    home = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    for folder, below, names in os.walk(home):
        below[:] = [one for one in below if one not in _LEFT_OUT and not one.startswith("config-")]
        for path in (Path(folder, name) for name in names):
            if _is_code(path) and not path.name.startswith(_HEAVY):
                yield path, f"{_LIBRARY}/{path.relative_to(home)}"


def _packages(names: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yield the files of packages and of what they require, each with its name in the image."""
    for found in _required(names).values():
        for file in found.files or ():
            path = Path(str(found.locate_file(file)))
            outside = ".." in file.parts or not path.is_file()
            if not outside and "tests" not in file.parts[1:-1]:
                yield path, f"{_LIBRARY}/site-packages/{file}"


def _required(names: Iterable[str]) -> dict[str, importlib.metadata.Distribution]:
    """Return the distributions of these names, and of all they require that is installed."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        with suppress(importlib.metadata.PackageNotFoundError):  # not for this platform
            one = importlib.metadata.distribution(waiting.pop())
            if one.name not in found:
                found[one.name] = one
                waiting += _asked(one)
    return found


def _asked(one: importlib.metadata.Distribution) -> Iterator[str]:
    for text in one.requires or ():
        match = _REQUIRED.match(text)
        if match is not None and "extra ==" not in text:
            yield match[0]


def _is_code(path: Path) -> bool:
    # Compiled beforehand, or each container would compile it anew, for seconds.
    compiled = f".{sys.implementation.cache_tag}.pyc"
    return path.suffix in (".py", ".so") or path.name.endswith(compiled)


def _closure(programs: Iterable[Path]) -> set[str]:
    """Return the shared libraries that programs need, as the loader finds them on this machine.

    Not those that came with a package, which are beside it in the image as well.
    """
    words = ["ldd", *map(str, sorted(programs))]
    told = run(words, cwd=Path("/"), timeout=_SECONDS).output
    lines = [line.split() for line in told.splitlines()]
    found = {one[2] for one in lines if len(one) > 2 and one[1] == "=>" and one[2][0] == "/"}
    found |= {one[0] for one in lines if len(one) == 2 and one[0][0] == "/" and one[1][0] == "("}
    return {one for one in found if "site-packages" not in Path(one).parts}
