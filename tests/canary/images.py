"""Images without a registry: the interpreter that runs the tests, a small server, and a model file.

One image is imported whole, and each model is a layer on it; nothing is run to make them.
"""

import json
from pathlib import Path

from gates.demo.image import add_layer, import_python

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


def build(client):
    """Return the images' names by model, made in the engine of an API client."""
    base = import_python(client, f"{REPOSITORY}-base:latest")
    return {name: _layered(client, base, name, model) for name, model in MODELS.items()}


def model_file(name):
    """Return the bytes of an image's model file."""
    model = {"name": name, "weights": _WEIGHTS, **MODELS[name]}
    return (json.dumps(model, indent=1, sort_keys=True) + "\n").encode()


def variant(client, base, tag, **model):
    """Return the name of one more image, with a model of one's own on the image `base`."""
    return _layered(client, base, tag, model)


def _layered(client, base, tag, model):
    files = {
        "server/server.py": (HERE / "served" / "server.py").read_bytes(),
        "model/model.json": model_file(tag)
        if tag in MODELS
        else json.dumps({"name": tag, "weights": _WEIGHTS, **model}).encode(),
    }
    name = f"{REPOSITORY}:{tag}"
    add_layer(client, base, name, files, ["python3", "-u", "/server/server.py"])
    return name
