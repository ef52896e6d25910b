"""The table opener: any bytes, under any suffix, are read or refused, and no cell is quoted."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gates.errors import InputError
from gates.tables import Engine, Kind
from tests.fuzz.bounds import soon
from tests.unit.test_tables import GOOD, SECRET, SMALL, arrow

WHOLE = {
    "t.parquet": GOOD,
    "t.arrow": arrow(
        {
            "id": [1, 2, 3],
            "s": ["a", None, SECRET],
            "d": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    ),
    "t.csv": f"id,s\n1,a\n2,{SECRET}\n".encode(),
    "t.tsv": f"id\ts\n1\ta\n2\t{SECRET}\n".encode(),
    "t.jsonl": f'{{"id": 1, "s": "a"}}\n{{"id": 2, "s": "{SECRET}"}}\n'.encode(),
}
texts = st.text(alphabet='ab,"\n\r\t é1.{}:[]\ufeff', max_size=40).map(str.encode)


@st.composite
def damaged(draw, whole):
    data = bytearray(whole[: draw(st.one_of(st.none(), st.integers(0, len(whole))))])
    for at in draw(st.lists(st.integers(0, max(len(data) - 1, 0)), max_size=3)):
        data[at : at + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(data)


@st.composite
def files(draw):
    """A name, and bytes that may or may not be such a file's."""
    name = draw(st.sampled_from(sorted(WHOLE)))
    return name, draw(damaged(WHOLE[name]) | texts | st.binary(max_size=60))


@given(files())
def test_any_file_is_read_or_refused(tmp_path_factory, file):
    name, data = file
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    with soon(), Engine(SMALL) as engine:
        try:
            table = engine.open(path)
            table.digest([name for name, kind in table.kinds.items() if kind is not Kind.OTHER])
        except InputError as refused:
            said = f"{refused}"
        else:
            return
    assert said
    assert SECRET not in said
