"""Pickles, put together opcode by opcode: the attacks that the artifact gate has to refuse."""

import struct


def text(value):
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def raw(value):
    return b"C" + bytes([len(value)]) + value


def named(module, name):
    """The global as protocol 4 has it: two strings, and STACK_GLOBAL."""
    return text(module) + text(name) + b"\x93"


def called(function, *args):
    return function + b"(" + b"".join(args) + b"tR"


def whole(*parts):
    return b"\x80\x04" + b"".join(parts) + b"."


def number(value):
    return b"J" + struct.pack("<i", value)


def shell(marker):
    return f"touch {marker}"


def python(marker):
    return f"import pathlib; pathlib.Path({str(marker)!r}).touch()"


def os_system(marker):
    return b"cos\nsystem\n(S'" + shell(marker).encode() + b"'\ntR."


def c_profile(marker):
    return whole(called(named("cProfile", "run"), text(python(marker))))


def timeit(marker):
    return whole(called(named("timeit", "timeit"), text("pass"), text(python(marker))))


def spawn(marker):
    argv = raw(b"sh"), raw(b"-c"), raw(shell(marker).encode())
    args = b"](" + b"".join(argv) + b"e"
    spawnv = named("multiprocessing.util", "spawnv_passfds")
    return whole(called(spawnv, raw(b"/bin/sh"), args, b")"))


def extension(marker):
    """A code is given to `os.system` within the stream; no opcode behind it has a name."""
    add = called(named("copyreg", "add_extension"), text("os"), text("system"), number(77))
    return whole(add, b"0", called(b"\x82M", text(shell(marker))))


# The five of which scanners pass some.
ATTACKS = {
    "os.system": os_system,
    "cProfile.run": c_profile,
    "timeit.timeit": timeit,
    "multiprocessing.util.spawnv_passfds": spawn,
    "copyreg.add_extension": extension,
}


# --- joblib's arrays ---------------------------------------------------------------------------


PADDED = number(16)


def dtype(code, size=-1, flags=None):
    flags = flags if flags is not None else 63 if code == "O8" else 0
    state = number(3) + text("<") + b"NNN" + number(size) + number(-1) + number(flags)
    made = named("numpy", "dtype") + text(code) + b"\x89\x88\x87R"
    return made + b"(" + state + b"tb"


def wrapper(kind, *shape, alignment=PADDED, cls=None):
    """The placeholder that joblib puts before the bytes of an array."""
    entries = {
        "subclass": named("numpy", "ndarray"),
        "shape": b"(" + b"".join(map(number, shape)) + b"t",
        "order": text("C"),
        "dtype": kind,
        "allow_mmap": b"\x89",
        "numpy_array_alignment_bytes": alignment,
    }
    state = b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"
    made = cls or named("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81"
    return made + state + b"b"
