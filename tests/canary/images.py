"""Images without a registry: the interpreter that runs the tests, a small server, and a model file.

One image is imported whole, and each model is a layer on it; nothing is run to make them.
"""

import io
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = "model-gates-test"
_WEIGHTS = {"income": -0.8, "age": -0.02, "debt": 1.1}
MODELS = {
    "good": {},
    "good-v2": {"bias": 0.001},
    "errors": {"errors": 50},
    "broken": {"errors": 1000},
    "slow": {"delay": 0.05},
    "biased": {"bias": 1.5},
    # Turns women away whom it would have accepted as men.
    "unfair": {"weights": {**_WEIGHTS, "female": -1.5}},
    "crash-at-start": {"crash_at_start": True},
    "crash-later": {"crash_after": 3.0},
}
_LEFT_OUT = {
    "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip",
    "turtledemo", "pydoc_data", "__pycache__", "distutils", "sqlite3", "curses", "unittest",
}  # fmt: skip
_HEAVY = ("_tkinter", "_sqlite3", "_curses", "readline", "_test", "_dbm", "_gdbm", "_codecs_")


def build(client):
    """Return the images' names by model, made in the engine of an API client."""
    base = _imported(client)
    return {name: _layered(client, base, name, model) for name, model in MODELS.items()}


def model_file(name):
    """Return the bytes of an image's model file."""
    model = {"name": name, "weights": _WEIGHTS, **MODELS[name]}
    return (json.dumps(model, indent=1, sort_keys=True) + "\n").encode()


def variant(client, base, tag, **model):
    """Return the name of one more image, with a model of one's own on the image `base`."""
    return _layered(client, base, tag, model)


def _imported(client):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        _add_python(archive)
    changes = ["ENV PATH=/usr/local/bin PYTHONDONTWRITEBYTECODE=1 PYTHONHOME=/usr/local"]
    client.import_image_from_data(
        content.getvalue(), repository=f"{REPOSITORY}-base", tag="latest", changes=changes
    )
    return f"{REPOSITORY}-base:latest"


def _layered(client, base, tag, model):
    files = {
        "server/server.py": (HERE / "served" / "server.py").read_bytes(),
        "model/model.json": model_file(tag)
        if tag in MODELS
        else json.dumps({"name": tag, "weights": _WEIGHTS, **model}).encode(),
    }
    made = client.create_container(base, command=["-"], network_disabled=True)["Id"]
    client.put_archive(made, "/", _tar(files))
    client.commit(
        made,
        repository=REPOSITORY,
        tag=tag,
        changes=['ENTRYPOINT ["python3", "-u", "/server/server.py"]', "CMD []"],
    )
    client.remove_container(made)
    return f"{REPOSITORY}:{tag}"


def _tar(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def _add_python(archive):
    program = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    archive.add(program, "usr/local/bin/python3")
    bases = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    stdlib = Path(sysconfig.get_path("stdlib", vars={**bases, "installed_base": sys.base_prefix}))
    libraries = {program}
    for folder, below, names in os.walk(stdlib):
        below[:] = [
            name for name in below if name not in _LEFT_OUT and not name.startswith("config-")
        ]
        for name in names:
            path = Path(folder, name)
            if path.suffix not in (".py", ".so") or name.startswith(_HEAVY):
                continue
            archive.add(path, f"usr/local/lib/{version}/{path.relative_to(stdlib)}")
            if path.suffix == ".so":
                libraries.add(path)
    for library in sorted(_closure(libraries)):
        archive.add(Path(library).resolve(), library.lstrip("/"))
    for name in ("tmp", "state"):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(info)


def _closure(programs):
    """Return the paths of all shared libraries that programs need, as the loader finds them."""
    told = subprocess.run(
        ["ldd", *map(str, sorted(programs))], capture_output=True, text=True, check=False
    ).stdout
    words = [line.split() for line in told.splitlines()]
    found = {one[2] for one in words if len(one) > 2 and one[1] == "=>" and one[2].startswith("/")}
    return found | {one[0] for one in words if len(one) == 2 and one[0].startswith("/")} - {
        f"{program}:" for program in programs
    }
