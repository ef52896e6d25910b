"""What a model file is by its content, what it names, and what is refused because nobody can say."""

import bz2
import gzip
import io
import json
import lzma
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.artifacts.budget import Budget
from gates.artifacts.formats import Format
from gates.artifacts.sniff import content_of
from gates.artifacts.trusted import TRUSTED, untrusted
from gates.errors import InputError, Refused
from tests.model_files import (
    EVIL,
    archive,
    entry,
    external,
    node,
    npy,
    npy_of_objects,
    onnx,
    operator,
    safetensors,
    skops,
    tensor,
    tensors,
    torch,
    varint,
)
from tests.pickled import dtype, named, text, whole, wrapper


def content(data, name="model", **budget):
    return content_of(io.BufferedReader(io.BytesIO(data)), name, Budget(**budget))


def names(data, **budget):
    return {str(one) for one in content(data, **budget).named}


# --- real files of real libraries --------------------------------------------------------------

MAKE = """
import pickle, sys
from pathlib import Path
import joblib, numpy as np, skops.io
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rows = np.random.default_rng(1).normal(size=(60, 3))
label = np.where(rows[:, 0] > 0, "good", "bad").astype(object)
for estimator in (
    LogisticRegression(),
    GradientBoostingClassifier(n_estimators=3),
    make_pipeline(StandardScaler(), LogisticRegression()),
):
    model = estimator.fit(rows, label)
    folder = Path(sys.argv[1]) / type(model).__name__
    folder.mkdir()
    for protocol in range(6):
        (folder / f"pickle-{protocol}").write_bytes(pickle.dumps(model, protocol))
    joblib.dump(model, folder / "joblib-plain")
    for method in ("zlib", "gzip", "bz2", "xz", "lzma"):
        joblib.dump(model, folder / f"joblib-{method}", compress=(method, 3))
    skops.io.dump(model, folder / "skops-plain")
    untrusted = skops.io.get_untrusted_types(file=folder / "skops-plain")
    (folder / "untrusted").write_text(" ".join(untrusted))
"""
MODELS = ("LogisticRegression", "GradientBoostingClassifier", "Pipeline")
WRITTEN = (
    *(f"pickle-{protocol}" for protocol in range(6)),
    "joblib-plain",
    *(f"joblib-{method}" for method in ("zlib", "gzip", "bz2", "xz", "lzma")),
    "skops-plain",
)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Models as their libraries write them, and what skops itself does not trust in them."""
    folder = tmp_path_factory.mktemp("real")
    subprocess.run([sys.executable, "-c", MAKE, folder], check=True, timeout=120)
    return folder


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("model", MODELS)
def test_a_real_model_is_read_to_its_end(real, model, written):
    found = content((real / model / written).read_bytes())
    assert found.format == written.partition("-")[0]
    assert any(one.name == model for one in found.named)
    allowed = tuple((real / model / "untrusted").read_text().split())
    assert [str(one) for one in untrusted(found.named, ())] == list(allowed)
    assert not untrusted(found.named, allowed)


def test_no_tree_is_trusted_unseen(real):
    """It follows indices from the file without looking; skops leaves it out for that, too."""
    assert (real / MODELS[1] / "untrusted").read_text() == "sklearn.tree._tree.Tree"


# Where a package has it, it is no constructor that keeps what it is given.
RUNS_CODE = {
    "eval", "exec", "compile", "getattr", "__import__", "open", "partial", "methodcaller", "call",
    "attrgetter", "FunctionTransformer", "PyFuncDistance64", "rv_frozen", "Tree", "load", "loads",
    "system", "Popen", "add_extension", "import_module", "reduce", "map", "filter",
}  # fmt: skip


def test_the_list_is_of_whole_names_and_of_none_that_runs_code():
    listed = [name for some in TRUSTED.values() for name in some.split()]
    assert not RUNS_CODE & set(listed)
    assert all(name.isidentifier() for name in listed)
    assert all(part.isidentifier() for module in TRUSTED for part in module.split("."))
    for module in ("os", "sys", "subprocess", "operator", "functools", "importlib", "copyreg"):
        assert TRUSTED.get(module, "_reconstructor") == "_reconstructor"


# --- by content, and not by name ---------------------------------------------------------------

OS = named("os", "system")
ARRAY = np.arange(6.0).reshape(2, 3)
STRUCTURED = np.zeros(3, dtype=[("a", "i4"), ("b", "f8", (2,))])
BOOSTER = b"tree\nversion=v4\nnum_class=1\n"
SOUND = {
    "a pickle": (whole(b"}"), Format.PICKLE),
    "joblib": (whole(wrapper(dtype("f8"), 2), b"\x01\xff", bytes(16)), Format.JOBLIB),
    "an array": (npy(ARRAY), Format.NUMPY),
    "a structured array": (npy(STRUCTURED), Format.NUMPY),
    "arrays": (archive({"a.npy": npy(ARRAY)}, zipfile.ZIP_DEFLATED), Format.NUMPY),
    "an array of objects": (npy(np.array(["x"], dtype=object)), Format.NUMPY),
    "torch": (torch(tensor()), Format.TORCH),
    "skops": (
        skops(
            node(content=node("NdArrayNode", "numpy", "ndarray", file="1.npy")),
            **{"1.npy": npy(ARRAY), "2.bin": b"\0", "3.npz": archive({"a.npy": npy(ARRAY)})},
        ),
        Format.SKOPS,
    ),
    "safetensors": (safetensors(tensors((0, 8), (8, 16))), Format.SAFETENSORS),
    "safetensors with metadata": (
        safetensors({"__metadata__": {"by": "us"}, **tensors((0, 16), shape=(2, 2))}),
        Format.SAFETENSORS,
    ),
    "ONNX": (onnx(operator(), entry(5, entry(9, bytes(8)))), Format.ONNX),
    "LightGBM": (BOOSTER, Format.TEXT),
    "XGBoost": (b'{"learner": {"attributes": {}, "n": [1.5, 2e300]}}', Format.JSON),
    "nothing": (b"", Format.TEXT),
    "text that looks like JSON": (b"{not JSON}", Format.TEXT),
}


@pytest.mark.parametrize(("data", "kind"), SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("name", ["model", "model.onnx", "model.txt", "model.pkl", "model.json"])
def test_a_file_is_what_its_content_is(data, kind, name):
    found = content(data, name)
    assert found.format is kind
    assert not untrusted(found.named, ())


# Each of them carries a pickle that calls `os.system`.
HIDDEN = {
    "raw": EVIL,
    "protocol 0": b"cos\nsystem\n(S'true'\ntR.",
    "behind data": whole(b"N") + EVIL,
    "zlib": zlib.compress(EVIL),
    "zlib, weakly": zlib.compress(EVIL, 1),
    "gzip": gzip.compress(EVIL),
    "bz2": bz2.compress(EVIL),
    "xz": lzma.compress(EVIL),
    "lzma": lzma.compress(EVIL, format=lzma.FORMAT_ALONE),
    "npy": npy_of_objects(EVIL),
    "npz": archive({"a.npy": npy_of_objects(EVIL)}),
    "torch": torch(EVIL),
    "skops, in an array": skops(node(), **{"1.npy": npy_of_objects(EVIL)}),
    "skops, in arrays": skops(node(), **{"1.npz": archive({"a.npy": npy_of_objects(EVIL)})}),
    "skops, a type": skops(node(content=[{"deep": node("TypeNode", "os", "system")}])),
    "skops, a function": skops(node("FunctionNode", "os", "system")),
    "before an archive": EVIL + archive({"a.npy": npy(ARRAY)}),
}


@pytest.mark.parametrize("data", HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize("name", ["model.onnx", "model.txt", "model"])
def test_a_global_is_found_wherever_it_hides(data, name):
    try:
        found = {str(one) for one in content(data, name).named}
    except Refused as error:
        found = {line.removeprefix("names ") for line in error.details}
    assert "os.system" in found


# --- refused: it can not be said what they are ---------------------------------------------------


def changed(data, old, new, count=1):
    assert old in data
    return data.replace(old, new, count)


PLAIN = archive({"a.npy": npy(ARRAY), "b.npy": npy(ARRAY)})
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def flagged(bits, signatures):
    """The archive with flags set in the first header of each kind."""
    data = bytearray(PLAIN)
    for signature, offset in signatures:
        struct.pack_into("<H", data, PLAIN.index(signature) + offset, bits)
    return bytes(data)


def named_twice():
    """The archive with a member that has another name for some readers."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        member = zipfile.ZipInfo("a.npy")
        member.extra = struct.pack("<HH", 0x7075, 4) + b"b.py"
        made.writestr(member, npy(ARRAY))
    return file.getvalue()


def shifted():
    """The archive with bytes between its directory and its end, which both know of."""
    place = PLAIN.index(b"PK\x05\x06")
    size = struct.unpack_from("<L", PLAIN, place + 12)[0]
    end = PLAIN[place : place + 12] + struct.pack("<L", size - 7) + PLAIN[place + 16 :]
    return PLAIN[:place] + end


BOTH = ((LOCAL, 6), (CENTRAL, 8))
TWICE = archive({"a.npy": npy(ARRAY), "b.npy": npy(ARRAY + 1)}).replace(b"b.npy", b"a.npy")
ARCHIVES = {
    "a bad CRC": changed(PLAIN, npy(ARRAY), npy(ARRAY + 1)),
    "encrypted": flagged(0x1, BOTH),
    "an odd flag": flagged(0x20, BOTH),
    "strongly encrypted": flagged(0x40, BOTH),
    "a flag in one header alone": flagged(0x8, BOTH[:1]),
    "a masked header": flagged(0x2000, BOTH),
    "a method nobody reads": PLAIN.replace(LOCAL + b"\x14\0\0\0\0\0", LOCAL + b"\x14\0\0\0\x63\0")
    .replace(CENTRAL + b"\x14\x03\x14\0\0\0\0\0", CENTRAL + b"\x14\x03\x14\0\0\0\x63\0"),
    "two of one name": TWICE,
    "two names of one": changed(PLAIN, b"a.npy", b"c.npy"),
    "one member twice": PLAIN.replace(
        PLAIN[PLAIN.rindex(CENTRAL) + 42 : PLAIN.rindex(CENTRAL) + 46], bytes(4)
    ),
    "bytes before it": b"\x01" + PLAIN,
    "bytes behind it": PLAIN + b"\0",
    "a member with two names": named_twice(),
    "another count": PLAIN[:-14] + b"\x05\0\x05\0" + PLAIN[-10:],
    "a directory that ends elsewhere": shifted(),
    "another size": changed(PLAIN, struct.pack("<L", len(npy(ARRAY))), struct.pack("<L", 9)),
    "a method nobody reads, in both": PLAIN.replace(LOCAL + b"\x14\0\0\0\0\0", LOCAL + b"\x14\0\0\0\x0e\0")
    .replace(CENTRAL + b"\x14\x03\x14\0\0\0\0\0", CENTRAL + b"\x14\x03\x14\0\0\0\x0e\0"),
    "a comment": PLAIN[:-2] + b"\x01\0!",
    "an archive behind it": PLAIN + PLAIN,
    "truncated": PLAIN[:-30],
    "without its directory": PLAIN[: PLAIN.index(CENTRAL)],
    "empty": archive({}),
    "a path out of it": archive({"../a.npy": npy(ARRAY)}),
    "a path from the root": archive({"/a.npy": npy(ARRAY)}),
    "of no known kind": archive({"notes.txt": b"hello"}),
    "of nothing but names": archive({"model/": b""}),
    "Keras": archive({"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": b""}),
    "TorchScript": torch(tensor(), **{"code/__torch__.py": b"def forward(self): ..."}),
    "constants of TorchScript": torch(tensor(), **{"constants.pkl": b"N."}),
    "torch in two folders": archive({"a/data.pkl": tensor(), "b/data.pkl": EVIL}),
}  # fmt: skip


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_with_a_doubt_is_refused(data):
    with pytest.raises(Refused, match="archive") as caught:
        content(data)
    assert caught.value.exit_code == 5
    assert content(PLAIN).format is Format.NUMPY


@pytest.mark.parametrize("pid", [text("storage"), text("module") + b"\x85", OS + b"\x85"])
def test_an_id_that_is_no_storage_is_refused(pid):
    with pytest.raises(Refused, match="not a tensor's storage"):
        content(torch(whole(pid, b"Q")))


SCHEMAS = {
    "an operator": node("OperatorFuncNode", "operator", "methodcaller", attrs=[]),
    "a method": node("MethodNode", "builtins", "str", content={}),
    "a loader nobody knows": node("EvalNode"),
    "no loader": {"__class__": "Pipeline", "__module__": "sklearn.pipeline"},
    "a class that is no text": node(name=["Pipeline"]),
    "deep": node(content={"a": [{"b": node("OperatorFuncNode", "operator", "call")}]}),
}
SKOPS = {
    **{name: skops(schema) for name, schema in SCHEMAS.items()},
    "a key twice": archive({"schema.json": b'{"__loader__": 1, "__loader__": 2}'}),
    "no JSON": archive({"schema.json": b"import os"}),
    "a stranger in it": skops(node(), **{"run.py": b"import os"}),
}


@pytest.mark.parametrize("data", SKOPS.values(), ids=SKOPS)
def test_a_skops_file_that_calls_what_it_is_given_is_refused(data):
    with pytest.raises(Refused, match="skops file"):
        content(data)


def cut(header):
    return {**header, "t1": {**header["t1"], "more": 1}}


SAFETENSORS = {
    "an overlap": safetensors(tensors((0, 8), (4, 12))),
    "a gap": safetensors(tensors((0, 8), (9, 17)), bytes(17)),
    "bytes behind": safetensors(tensors((0, 8), (8, 16)), bytes(17)),
    "too short": safetensors(tensors((0, 8), (8, 16)), bytes(15)),
    "another shape": safetensors(tensors((0, 8), shape=(3,))),
    "a shape below zero": safetensors(tensors((0, 8), shape=(-1, -2))),
    "another type": safetensors(tensors((0, 8), dtype="OBJECT")),
    "more keys": safetensors(cut(tensors((0, 8), (8, 16)))),
    "backwards": safetensors(tensors((8, 0))),
    "metadata that is no text": safetensors({"__metadata__": {"a": [1]}, **tensors((0, 8))}),
    "a name twice": safetensors(b'{"a": {}, "a": {}}'),
    "no list": safetensors(b"{}}"),
    "a header without an end": struct.pack("<Q", 1000) + b"{",
    "nested": safetensors(b'{"a":' * 5000 + b"1" + b"}" * 5000),
}


@pytest.mark.parametrize("data", SAFETENSORS.values(), ids=SAFETENSORS)
def test_tensors_that_are_not_one_behind_the_other_are_refused(data):
    with pytest.raises(Refused, match="safetensors file"):
        content(data)


NPY = {
    "truncated": npy(ARRAY)[:-1],
    "bytes behind": npy(ARRAY) + b"\0",
    "a version nobody knows": changed(npy(ARRAY), b"NUMPY\x01", b"NUMPY\x09"),
    "a call in its header": changed(npy(ARRAY), b"'<f8'", b"f(1)"),
    "no shape": changed(npy(ARRAY), b"(2, 3)", b"(2,-3)"),
    "no type": changed(npy(ARRAY), b"'<f8'", b"'<q8'"),
    "another key": changed(npy(ARRAY), b"'descr'", b"'descr"),
    "a header too long": b"\x93NUMPY\x02\x00" + struct.pack("<L", 1 << 20) + bytes(1 << 20),
    "another magic": archive({"a.npy": b"\x93NUMPZ" + npy(ARRAY)[6:]}),
    "fields that are none": changed(npy(STRUCTURED), b"('a', '<i4')", b"('a',      )"),
    "objects cut off": npy_of_objects(EVIL[:-1]),
}


@pytest.mark.parametrize("data", NPY.values(), ids=NPY)
def test_an_array_file_that_can_not_be_read_is_refused(data):
    with pytest.raises(Refused, match=r"NumPy file|pickle"):
        content(data)


OTHERS = {
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
    "HDF5 behind text": (b"a model".ljust(1024, b"\n") + b"\x89HDF\r\n\x1a\n", "HDF5"),
    "an archive behind text": (b"a model\n" + archive({"a": b""}), "appended"),
    "old joblib": (b"ZF0x10", "joblib before"),
    "compressed, cut off": (zlib.compress(whole(b"N0" * 999, b"N"))[:-4], "ends in the middle"),
    "compressed, damaged": (b"\x1f\x8b" + bytes(90), "can not be unpacked"),
    "compressed twice over": (gzip.compress(b"N.") * 2, "more behind its end"),
    "compressed text": (gzip.compress(b"hello"), "a pickle that can not be inspected"),
    "Keras": (b'{"a": [{"class_name": "Lambda", "config": {}}]}', "Keras"),
    "Keras, escaped": (b'{"class\\u005fname": "Lambda", "config": {}}', "Keras"),
    "a script": (b"#!/bin/sh\necho\n", "source code"),
}


@pytest.mark.parametrize(("data", "why"), OTHERS.values(), ids=OTHERS)
def test_what_may_hold_code_or_can_not_be_read_is_refused(data, why):
    with pytest.raises(Refused, match=why):
        content(data)


@pytest.mark.parametrize("name", ["model.py", "code/Run.PY", "a.pth", "start.sh"])
def test_source_code_is_refused_by_its_name(name):
    with pytest.raises(Refused, match="source code"):
        content(b"print()\n", name)


SAVED_MODEL = entry(1, 1) + entry(2, entry(2, entry(1, entry(1, "ReadFile"))))
UNKNOWN = {
    "TensorFlow": SAVED_MODEL,
    "ELF": b"\x7fELF" + bytes(60),
    "Parquet": Path("gates/demo/project/data/adult.parquet").read_bytes,
    "UTF-16": "model".encode("utf-16"),
    "protobuf cut off": onnx(operator())[:-3],
    "a number without an end": b"\xff" * 40,
    "a field of a group": entry(1, 1) + b"\x3b",
    "a graph that is a number": entry(7, 1),
    "a name that is not UTF-8": onnx(entry(1, entry(4, b"\xff"))),
    "a field that reaches out": onnx(entry(1, b"\x29\0\0")),
    "LZ4": b"\x04\x22\x4d\x18" + bytes(40),
}


@pytest.mark.parametrize("data", UNKNOWN.values(), ids=UNKNOWN)
def test_the_rest_is_nothing_that_is_known(data):
    assert content(data() if callable(data) else data).format is None


# --- ONNX ----------------------------------------------------------------------------------------

SUBGRAPH = entry(6, operator("Run", "ours"))
FUNCTION = entry(
    25, entry(1, "Run") + entry(10, "ours") + entry(7, entry(4, "Call") + entry(7, "deep"))
)
OPERATORS = {
    "standard": (onnx(operator(), operator("Scaler", "ai.onnx.ml")), set()),
    "of a library": (onnx(operator("Run", "ours")), {"ours.Run"}),
    "in a subgraph": (onnx(operator("If", "", SUBGRAPH)), {"ours.Run"}),
    "in a training graph": (
        onnx(rest=entry(20, entry(2, operator("Run", "ours")))),
        {"ours.Run"},
    ),
    "of the model itself": (onnx(operator("Run", "ours"), rest=FUNCTION), {"deep.Call"}),
}


@pytest.mark.parametrize(("data", "expected"), OPERATORS.values(), ids=OPERATORS)
def test_an_operator_that_is_not_standard_is_named(data, expected):
    assert content(data).format is Format.ONNX
    assert names(data) == expected


HOLDERS = {
    "an initializer": lambda tensor: onnx(entry(5, tensor)),
    "a constant": lambda tensor: onnx(operator("Constant", "", entry(5, tensor))),
    "a list of constants": lambda tensor: onnx(operator("Constant", "", entry(10, tensor))),
    "a sparse tensor": lambda tensor: onnx(entry(15, entry(1, tensor))),
    "a sparse constant": lambda tensor: onnx(operator("Constant", "", entry(22, entry(2, tensor)))),
    "a function's constant": lambda tensor: onnx(
        rest=entry(25, entry(7, entry(5, entry(5, tensor))))
    ),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../../etc/passwd", "a/../../b", "..\\b", "C:\\b", "file:b", "", "a\0b"],
)
def test_data_out_of_the_models_folder_are_refused(holder, location):
    with pytest.raises(Refused, match="leads out of it"):
        content(holder(external(location)))
    assert content(holder(external("data/weights.bin"))).beside == {"data/weights.bin"}


def test_the_last_of_two_keys_hides_no_path():
    both = entry(13, entry(1, "offset") + entry(2, "/etc/passwd") + entry(1, "location"))
    with pytest.raises(Refused, match="leads out of it"):
        content(onnx(entry(5, both)))


def test_fields_of_any_kind_are_passed_over():
    fixed = b"\x61" + bytes(8) + b"\x65" + bytes(4)
    assert content(onnx(operator(), fixed)).format is Format.ONNX


def test_a_name_without_an_end_is_refused():
    with pytest.raises(Refused, match="too long"):
        content(onnx(operator("x" * 5000)))


def test_an_array_of_arrays_of_fields_is_read_by_its_size():
    array = np.zeros(2, dtype=[("a", [("b", "i2"), ("c", "U3")], (2, 2))])
    assert content(npy(array)).format is Format.NUMPY
    with pytest.raises(Refused):
        content(npy(array)[:-1])


def test_graphs_have_an_end():
    deep = operator()
    for _ in range(40):
        deep = operator("If", "", entry(6, deep))
    with pytest.raises(Refused, match="deeper"):
        content(onnx(deep))


# --- budgets -------------------------------------------------------------------------------------

COSTLY = {
    "a compressed bomb": (
        zlib.compress(whole(b"B" + struct.pack("<L", 3 << 20) + bytes(3 << 20))),
        {"unpacked": 1 << 20},
    ),
    "a bomb in an archive": (
        archive({"a.npy": npy(np.zeros(1 << 18))}, zipfile.ZIP_DEFLATED),
        {"unpacked": 1 << 20},
    ),
    "members": (archive({f"{i}.npy": npy(ARRAY) for i in range(30)}), {"members": 20}),
    "a schema": (skops(["x" * 2000]), {"text": 1000}),
    "JSON": (json.dumps(["x" * 2000]).encode(), {"text": 1000}),
    "nodes of a schema": (skops([[]] * 2000), {"opcodes": 1000}),
    "fields": (onnx(*[operator()] * 2000), {"opcodes": 1000}),
    "a header's length": (struct.pack("<Q", 1 << 24) + b"{" + bytes(9), {}),
}


@pytest.mark.parametrize(("data", "budget"), COSTLY.values(), ids=COSTLY)
def test_what_costs_too_much_is_too_large(data, budget):
    if not budget:
        with pytest.raises(Refused, match="ends in the middle"):
            content(data)
        return
    with pytest.raises(InputError, match="too large to judge"):
        content(data, **budget)


@given(st.integers(0, 2**64 - 1))
def test_numbers_on_the_wire(value):
    assert content(entry(1, value) + entry(7, b"")).format is Format.ONNX
    assert len(varint(value)) <= 10
