"""The reader of pickles: what it names, what it refuses, and that nothing ever runs.

What an unpickler would really do is asked of Python's own ones and of joblib's, with a
`find_class` that notes each name and gives back something harmless.
"""

import io
import pickle
import pickletools
import subprocess
import sys

import numpy as np
import pytest
from joblib.numpy_pickle import NumpyUnpickler

from gates.artifacts.budget import Budget, Stream
from gates.artifacts.pickles import globals_of, is_pickle
from gates.artifacts.trusted import untrusted
from gates.errors import InputError, Refused
from tests.pickled import ATTACKS, called, dtype, named, number, text, whole, wrapper
from tests.unpicklers import observed

LOAD = """
import os, pickle, sys
try:
    pickle.load(open(sys.argv[1], "rb"))
finally:
    try:
        os.wait()
    except ChildProcessError:
        pass
"""


def read(data, **budget):
    return {str(one) for one in globals_of(Stream(io.BytesIO(data)), Budget(**budget))}


def looks(data):
    return is_pickle(Stream(io.BytesIO(data)), Budget())


def strangers(data):
    found = globals_of(Stream(io.BytesIO(data)), Budget())
    return [str(one) for one in untrusted(found, ())]


# --- the five attacks --------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_real_and_is_refused_before_it_runs(attack, tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "model.pkl"
    data = ATTACKS[attack](marker)
    path.write_bytes(data)
    assert looks(data)
    if attack == "copyreg.add_extension":
        with pytest.raises(Refused, match="an extension code") as caught:
            strangers(data)
        assert caught.value.details == (f"names {attack}",)
    else:
        assert attack in strangers(data)
    assert not marker.exists()
    subprocess.run(
        [sys.executable, "-I", "-c", LOAD, path], cwd=tmp_path, capture_output=True, check=True
    )
    assert marker.exists(), "whoever loads it runs it"


# --- what is named -----------------------------------------------------------------------------

OS = named("os", "system")
DICT = named("collections", "OrderedDict")
NAMED = {
    "GLOBAL": b"cos\nsystem\n.",
    "INST": b"(ios\nsystem\n.",
    "STACK_GLOBAL": whole(OS),
    "text of protocol 0": b"\x80\x04Vos\nVsystem\n\x93.",
    "text of protocol 1": b"\x80\x04X\x02\0\0\0osX\x06\0\0\0system\x93.",
    "long text": b"\x80\x04\x8d\x02\0\0\0\0\0\0\0os\x8c\x06system\x93.",
    "from the memo": whole(text("os"), b"\x940", text("system"), b"q\x070h\0h\x07\x93"),
    "from the memo, overwritten": whole(
        text("collections"), b"q\x01", text("OrderedDict"), b"q\x0200",
        text("os"), b"q\x010", text("system"), b"q\x020", b"h\x01h\x02\x93",
    ),
    "duplicated": whole(text("os"), b"2", text("system"), b"\x93"),
    "under a mark": whole(text("os"), b"(NN1", text("system"), b"\x93"),
    "popped marks": whole(b"(0", text("os"), b"(0", text("system"), b"\x93"),
    "never called": whole(b"(", OS, b"lN"),
    "second in the stream": whole(b"N") + whole(OS),
    "escaped": b"\x80\x04V\\u006fs\nVsystem\n\x93.",
}  # fmt: skip


@pytest.mark.parametrize("data", NAMED.values(), ids=NAMED)
def test_a_global_is_found_however_it_is_named(data):
    assert "os.system" in read(data)
    assert looks(data)
    assert "os.system" in strangers(data)


def test_the_escapes_of_a_name_are_undone_by_no_unpickler():
    """`pickletools` undoes them, and so shows a name that is not the one imported."""
    data = b"ccollections\nOrdered\\x44ict\n."
    assert next(pickletools.genops(data))[1] == "collections OrderedDict"
    assert read(data) == {"collections.Ordered\\x44ict"}
    assert strangers(data)


def test_a_name_with_a_dot_is_not_that_of_the_module_before_it():
    assert strangers(whole(named("collections", "OrderedDict"))) == []
    assert strangers(whole(named("sklearn", "pipeline.Pipeline"))) == ["sklearn.pipeline.Pipeline"]
    assert untrusted(globals_of(Stream(io.BytesIO(whole(named("a", "b.c")))), Budget()), ("a.b.c",))
    assert not untrusted(
        globals_of(Stream(io.BytesIO(whole(named("a.b", "c")))), Budget()), ("a.b.c",)
    )


# --- what can not be told ----------------------------------------------------------------------


def fields(parts, subarray=b"N", size=-1):
    """The state of a type with parts, behind the type itself."""
    state = number(3) + text("|") + subarray + b"N" + parts + number(size) + number(-1) + number(0)
    return b"(" + state + b"tb"


WRAPPER = named("joblib.numpy_pickle", "NumpyArrayWrapper")
BARE = named("numpy", "dtype") + b")R"
F8 = named("numpy", "dtype") + text("f8") + b"\x89\x88\x87R"
STATE = fields(b"N")
FLOATS = wrapper(dtype("f8"), 2)
BYTES = b"\x01\xff" + bytes(16)
UNREADABLE = {
    "truncated": (whole(OS)[:-1], "ends in the middle"),
    "truncated in a text": (b"\x80\x04\x8c\x20os", "ends in the middle"),
    "truncated in a line": (b"cos\nsys", "ends in the middle"),
    "no opcode": (whole(OS)[:-1] + b"\xff.", "an opcode that there is not"),
    "behind the end": (whole(OS) + b"\0", "an opcode that there is not"),
    "protocol 6": (b"\x80\x06" + OS + b".", "a protocol"),
    "an empty stack": (whole(b"00"), "no mark"),
    "nothing in the memo": (whole(b"h\x01"), "the memo"),
    "poisoned memo": (whole(text("os"), b"q\x01", b"00", b"h\x02"), "no mark"),
    "an extension": (b"\x80\x02\x82\x01.", "an extension code"),
    "extensions of two bytes": (b"\x80\x02\x83\x01\x01.", "an extension code"),
    "extensions of four bytes": (b"\x80\x02\x84\x01\x01\x01\x01.", "an extension code"),
    "a name out of a call": (
        whole(called(named("builtins", "str"), text("os")), text("system"), b"\x93"),
        "not written out",
    ),
    "a name out of bytes": (
        whole(called(named("_codecs", "encode"), text("bf"), text("rot13")), text("x"), b"\x93"),
        "not written out",
    ),
    "a name of Python 2's strings": (b"\x80\x04U\x02os\x8c\x06system\x93.", "not written out"),
    "a name that is a number": (whole(number(1), text("system"), b"\x93"), "no text"),
    "a name that is not UTF-8": (b"c\xff\nx\n.", "not UTF-8"),
    "a call of what was called": (whole(called(called(DICT)), b"(tR"), "made by a call"),
    "a state of a class": (whole(DICT, b"}b"), "not an object"),
    "a class filled like a list": (whole(DICT, b"Na"), "filled"),
    "a persistent id": (b"Pos.system\n.", "persistent"),
    "a persistent object": (whole(text("os"), b"Q"), "persistent"),
    "a buffer elsewhere": (b"\x80\x05\x97.", "elsewhere"),
    "a frame too long": (b"\x80\x04\x95\x20" + bytes(7) + OS + b".", "a frame"),
    "a frame in a frame": (
        b"\x80\x04\x95\x40" + bytes(7) + b"\x95\x01" + bytes(7) + b"N.",
        "a frame",
    ),
    "a negative length": (b"T\xff\xff\xff\xff.", "negative"),
    "joblib's class as a value": (whole(WRAPPER, b"\x85"), "as a value"),
    "joblib's class called": (whole(called(WRAPPER)), "made by a call"),
    "an array without padding": (
        whole(wrapper(dtype("f8"), 2, alignment=b"N"), bytes(16)),
        "without padding",
    ),
    "an array whose padding is an opcode": (whole(FLOATS, b"c", bytes(200)), "without padding"),
    "an array in a frame": (
        b"\x80\x04\x95\x00\x10" + bytes(6) + FLOATS + BYTES + b".",
        "a frame",
    ),
    "an array built twice": (whole(FLOATS[:-1], b"2b"), "as a value|not an object"),
    "an array of more than there is": (
        whole(wrapper(dtype("f8"), 2**30, 2**30), BYTES),
        "ends in the middle",
    ),
    "an array of no known type": (whole(wrapper(dtype("f8,O"), 2), BYTES), "data type"),
    "an array of no shape": (whole(wrapper(dtype("f8"), -2), BYTES), "shape"),
    "an array whose type is text": (whole(wrapper(text("f8"), 2), BYTES), "data type"),
    "an array whose type is nothing": (whole(wrapper(BARE, 2), BYTES), "data type"),
    "an array without an attribute": (
        whole(WRAPPER, b")\x81}", text("shape"), number(1), b"\x85sb", BYTES),
        "not as joblib",
    ),
    "an array with an odd attribute": (
        whole(FLOATS[:-2], b"U\x05shapeNub", BYTES),
        "not as joblib",
    ),
    "numbers flagged as objects": (whole(dtype("f8", flags=63)), "flags"),
    "objects flagged as numbers": (whole(dtype("O8", flags=0)), "flags"),
    "flags that are no number": (whole(dtype("f8")[:-7], b"Ntb"), "flags"),
    "a type with a short state": (whole(F8, number(3), b"\x85b"), "data type"),
    "a type with a state twice": (whole(dtype("f8"), dtype("f8")[len(F8) :]), "given twice"),
    "a type of a bare code": (whole(named("numpy", "dtype"), text("f"), b"\x85R", STATE), "data"),
    "a part that is no type": (whole(F8, fields(b"}" + text("a") + b"Ns")), "data type"),
    "parts that are no dict": (whole(F8, fields(b"]")), "data type"),
    "a subarray of nothing": (whole(F8, fields(b"N", subarray=b"K\x01")), "data type"),
    "parts without a size": (
        whole(F8, fields(b"}" + text("a") + dtype("i4") + number(0) + b"\x86s")),
        "data type",
    ),
    "a number that is none": (b"Ix-\n.", "not a number"),
    "a long that is none": (b"Lx\n.", "not a number"),
    "a float that is none": (b"Fx\n.", "not a number"),
    "a string without quotes": (b"Sos\n.", "without quotes"),
    "text that is not UTF-8": (b"\x80\x04\x8c\x01\xff.", "not UTF-8"),
    "text with half an escape": (b"V\\u12\n.", "decoded"),
    "a place that is no number": (b"Npx\n.", "not a number"),
    "a place below zero": (b"Np-1\n.", "negative place"),
    "a key without a value": (whole(b"}(Nu"), "a key without"),
    "no class": (whole(b"(o"), "no class"),
    "a call of a number": (whole(b"N)R"), "not callable"),
    "a list that is a number": (whole(b"K\x01Na"), "filled"),
    "a type of two sizes": (whole(wrapper(dtype("V8", 16), 2), BYTES), "two sizes"),
    "a type's class as a value": (whole(named("numpy", "dtype"), b"\x85"), "as a value"),
}


@pytest.mark.parametrize(("data", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_can_not_be_told_is_refused(data, why):
    with pytest.raises(Refused, match=why) as caught:
        read(data)
    assert caught.value.exit_code == 5
    assert caught.value.hint


def test_a_structured_type_with_objects_is_refused():
    """Its flags are the pickle's to set: bytes of the file would be taken for pointers."""
    field = b"}" + text("a") + dtype("O8") + number(0) + b"\x86s"
    state = number(3) + text("|") + b"N" + text("a") + b"\x85" + field + number(8) * 2 + number(0)
    made = named("numpy", "dtype") + text("V8") + b"\x89\x88\x87R"
    with pytest.raises(Refused, match="structured data type with objects"):
        read(whole(made, b"(", state, b"tb"))


# --- joblib ------------------------------------------------------------------------------------


def test_the_bytes_of_an_array_are_passed_over():
    evil = b"\x01\xff" + whole(OS).ljust(16, b".")
    assert "os.system" not in read(whole(FLOATS, evil, b"0", DICT))
    assert "collections.OrderedDict" in read(whole(FLOATS, evil, b"0", DICT))


def test_numpy_believes_the_flags_of_a_pickle():
    """So they are read here: with these, joblib would unpickle what is passed over as numbers."""
    made = np.dtype("f8", copy=True)
    made.__setstate__((3, "<", None, None, None, -1, -1, 63))
    assert made.hasobject


@pytest.mark.parametrize("kind", ["f8", "<i4", "U3", "S5", "b1", "M8", "c16", "V8"])
def test_an_array_of_any_plain_type_is_passed_over(kind):
    size = np.dtype(kind).itemsize
    made = named("numpy", "dtype") + text(kind) + b"\x89\x88\x87R"
    data = whole(wrapper(made, 3, 2), b"\0", bytes(6 * size))
    assert "numpy.dtype" in read(data)
    with pytest.raises(Refused):
        read(whole(wrapper(made, 3, 2), b"\0", bytes(6 * size - 1)))


def test_parts_of_arrays_are_read_as_types():
    part = b"}" + text("a") + dtype("i4") + number(0) + b"\x86s"
    assert read(whole(F8, fields(part, size=8))) == {"numpy.dtype"}
    half = b"(" + dtype("f4") + number(2) + b"\x85t"
    assert read(whole(F8, fields(b"N", subarray=half, size=8))) == {"numpy.dtype"}


def test_objects_are_made_in_every_way():
    made = whole(DICT, b")}\x92", b"0(", DICT, b"o0(icollections\nOrderedDict\n")
    assert read(made) == {"collections.OrderedDict"}
    assert read(b"I0777\n0I0x1f\n0L12L\n0F1.5\n0I01\n.") == set()


def test_an_array_of_objects_is_a_pickle_in_the_pickle():
    assert "os.system" in read(whole(wrapper(dtype("O8"), 1), whole(OS)))
    assert "os.system" in read(whole(wrapper(dtype("O8"), 1), whole(b"N"), b"0", OS))


def test_an_array_of_objects_is_read_as_both_loaders_would():
    """To joblib its memo is a fresh one; `pickle.load` goes on with that of the file."""
    before = text("os") + b"\x94" + text("system") + b"\x9400"
    inner = whole(text("collections"), b"\x94", text("OrderedDict"), b"\x9400h\0h\x01\x93")
    data = whole(before, wrapper(dtype("O8"), 1), inner)
    assert observed(pickle._Unpickler, data).keys() >= {"os.system"}
    assert observed(NumpyUnpickler, data).keys() >= {"collections.OrderedDict"}
    assert read(data) >= {"os.system", "collections.OrderedDict"}


# --- what is no pickle -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"A model of credit risk.\n",
        b"channels:\n- conda-forge\n",
        b"cloudpickle==3.1\nnumpy==2.4\n",
        b"(c) 2026 Example\nAll rights reserved.\n",
        b"I am a text\nand so on",
        b"Lines\nof\ntext",
        b"False\nTrue\n",
        b"Sam said\nso\n",
        b"{}",
        b"PK\x03\x04" + bytes(40),
        bytes(range(256)),
    ],
)
def test_text_and_other_formats_are_no_pickles(data):
    assert not looks(data)


def test_text_that_would_import_something_is_one():
    assert looks(b"catboost\nnumpy\n")
    assert strangers(b"catboost\nnumpy\n.") == ["atboost.numpy"]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_is_a_pickle_that_names_nothing(protocol):
    data = pickle.dumps({"a": [1, 2.5, None, True, "text" * 3000, -(10**30)]}, protocol)
    assert looks(data)
    assert read(data) == set()


# --- budgets -----------------------------------------------------------------------------------

COSTLY = {
    "steps": (b"\x80\x04" + b"N0" * 600 + b"N.", {"opcodes": 1000}),
    "marks": (b"(" * 1000, {"values": 900}),
    "a stack": (b"N" * 1000, {"values": 900}),
    "nested tuples": (b")" + b"\x85" * 1100 + b".", {"opcodes": 1000}),
    "a memo with a hole": (b"\x80\x04Nr\xff\xff\xff\xff.", {}),
    "names": (b"".join(b"ca\nb%d\n0" % i for i in range(200)), {"values": 100}),
}


@pytest.mark.parametrize(("data", "budget"), COSTLY.values(), ids=COSTLY)
def test_what_costs_too_much_is_too_large_and_not_hostile(data, budget):
    with pytest.raises(InputError, match="too large to judge") as caught:
        read(data, **budget)
    assert caught.value.exit_code == 3


def test_a_length_of_exabytes_takes_no_memory():
    with pytest.raises(Refused, match="ends in the middle"):
        read(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f" + b"x")
