"""The pickle reader, and what tells one file of a model from another: any bytes at all."""

import _compat_pickle
import copyreg
import io
import pickle
import pickletools
import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib.numpy_pickle import NumpyUnpickler

from gates.artifacts.budget import Budget, Stream
from gates.artifacts.formats import Format
from gates.artifacts.pickles import globals_of, is_pickle
from gates.artifacts.sniff import content_of
from gates.errors import GatesError, InputError, Refused
from tests.fuzz.bounds import soon
from tests.pickled import dtype, raw, text, whole, wrapper
from tests.unit.test_model_files import ARCHIVES, HIDDEN, OPERATORS, SAFETENSORS, SKOPS, SOUND
from tests.unit.test_pickles import BYTES, DICT, FLOATS, NAMED, OS, UNREADABLE, WRAPPER
from tests.unpicklers import observed


@pytest.fixture(autouse=True)
def _no_extensions():
    assert not copyreg._extension_registry


SEEDS = [
    *(pickle.dumps({"a": [np.arange(3), np.float64(1)], "b": {1, 2}}, p) for p in range(6)),
    whole(wrapper(dtype("f8"), 2), BYTES, b"0", DICT),
    whole(text("os"), b"\x94", wrapper(dtype("O8"), 1), whole(DICT, b"\x94h\0")),
    *NAMED.values(),
    *(data for data, _ in UNREADABLE.values()),
]
ITEMS = [
    OS, DICT, WRAPPER, text("os"), text("system"), dtype("O8"), FLOATS, BYTES, raw(b"x"),
    b"N", b"(", b"0", b"1", b"2", b"t", b"\x85", b"\x94", b"h\0", b"h\x01", b"q\0", b"q\x01",
    b"}", b"]", b"a", b"e", b"s", b"u", b"R", b"\x81", b"\x92", b"o", b"b", b"\x93", b".",
    b"cos\nsystem\n", b"(ios\nsystem\n", b"\x95\x08" + bytes(7), b"\x80\x04",
]  # fmt: skip
programs = st.lists(st.sampled_from(ITEMS), max_size=25).map(b"".join)


@st.composite
def mutated(draw):
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(
            st.sampled_from(ITEMS) | st.binary(max_size=4)
        )
    return bytes(data)


def translated(named):
    """The names that an old protocol's are turned into before they are looked up."""
    pairs = {tuple(one.rsplit(".", 1)) for one in named}
    pairs = {_compat_pickle.NAME_MAPPING.get(pair, pair) for pair in pairs}
    return {f"{_compat_pickle.IMPORT_MAPPING.get(pair[0], pair[0])}.{pair[-1]}" for pair in pairs}


@given(st.binary(max_size=200) | programs | mutated())
def test_no_unpickler_asks_for_more_than_was_named(data):
    budget = Budget()
    try:
        named = {str(one) for one in globals_of(Stream(io.BytesIO(data)), budget)}
    except GatesError:
        return
    for unpickler in (pickle.Unpickler, pickle._Unpickler, NumpyUnpickler):
        assert observed(unpickler, data).keys() <= named | translated(named)


@given(st.binary(max_size=200) | programs | mutated())
def test_what_is_no_pickle_imports_nothing(data):
    try:
        if is_pickle(Stream(io.BytesIO(data)), Budget()):
            return
    except GatesError:
        return
    # At a name that no file could have, a real one stops; what stands for it here goes on.
    for module, name in list(observed(pickle.Unpickler, data).values())[:1]:
        assert not re.fullmatch(r"[\w.-]+", module) or not re.fullmatch(r"[\w.-]+", name)


@given(st.binary(max_size=300) | programs | mutated())
def test_reading_ends_in_an_error_of_ours_and_in_proportion(data):
    budget = Budget()
    before = budget.opcodes
    with soon(), suppress(InputError, Refused):
        globals_of(Stream(io.BytesIO(data)), budget)
    assert before - budget.opcodes <= 4 * len(data) + 16


@given(mutated())
def test_what_pickletools_sees_was_named(data):
    try:
        named = {str(one) for one in globals_of(Stream(io.BytesIO(data)), Budget())}
    except GatesError:
        return
    if "joblib.numpy_pickle.NumpyArrayWrapper" in named:
        return
    with suppress(ValueError):  # it knows fewer ways to write a number, and escapes in names
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("GLOBAL", "INST") and "\\" not in argument:
                assert argument.replace(" ", ".") in named


# --- a file of any kind

FILES = [
    *(data for data, _ in SOUND.values()),
    *HIDDEN.values(),
    *ARCHIVES.values(),
    *SKOPS.values(),
    *SAFETENSORS.values(),
    *(data for data, _ in OPERATORS.values()),
]


@st.composite
def damaged_files(draw):
    data = bytearray(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


@given(st.binary(max_size=300) | damaged_files())
def test_any_bytes_are_judged_or_refused(data):
    budget = Budget(unpacked=1 << 24)
    before = budget.opcodes
    try:
        with soon():
            found = content_of(io.BufferedReader(io.BytesIO(data)), "model", budget)
    except GatesError as error:
        kind = error.exit_code
    else:
        kind = 0
        assert found.format is None or found.format in Format
    assert kind in (0, 3, 5)
    # Twice as a pickle, then as what it is: in proportion to its size, whatever it says.
    assert before - budget.opcodes <= 12 * len(data) + 400
