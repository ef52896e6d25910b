"""Model files built by hand, byte by byte: sound ones, and such as the artifact gate must refuse."""

import io
import json
import struct
import zipfile

import numpy as np

from tests.pickled import called, named, number, text, whole

EVIL = whole(called(named("os", "system"), text("true")))


def archive(members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npy_of_objects(pickled):
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickled


def torch(pickled, **others):
    members = {"data.pkl": pickled, "version": b"3\n", "data/0": bytes(16), **others}
    return archive({f"model/{name}": content for name, content in members.items()})


def tensor():
    """What `torch.save({"w": tensor})` pickles: a storage by its number."""
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu")
    storage += number(4) + b"tQ"
    empty = called(named("collections", "OrderedDict"))
    args = storage, number(0), number(4) + b"\x85", number(1) + b"\x85", b"\x89", empty
    return whole(b"}", text("w"), called(named("torch._utils", "_rebuild_tensor_v2"), *args), b"s")


def node(loader="ObjectNode", module="sklearn.pipeline", name="Pipeline", **content):
    return {"__class__": name, "__module__": module, "__loader__": loader, **content}


def skops(schema, **members):
    return archive({"schema.json": json.dumps(schema), **members})


def safetensors(header, data=bytes(16)):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def tensors(*places, dtype="F32", shape=(2,)):
    entry = {"dtype": dtype, "shape": list(shape)}
    return {f"t{i}": {**entry, "data_offsets": list(place)} for i, place in enumerate(places)}


# --- ONNX, on the wire -----------------------------------------------------------------------


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def entry(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def external(location):
    return entry(13, entry(1, "location") + entry(2, location)) + entry(14, 1)


def operator(name="Gemm", domain="", *attributes):
    made = entry(4, name) + (entry(7, domain) if domain else b"")
    return entry(1, made + b"".join(entry(5, one) for one in attributes))


def onnx(*graph, rest=b""):
    opset = entry(8, entry(1, "") + entry(2, 21))
    return entry(1, 10) + entry(2, "by hand") + entry(7, b"".join(graph)) + opset + rest
