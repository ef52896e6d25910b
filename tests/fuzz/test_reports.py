"""The report's schema: any file is a report that can be shown, or an error that quotes none of it."""

import copy
import json

from hypothesis import given
from hypothesis import strategies as st

from gates.cli.reading import read
from gates.errors import InputError
from gates.report import MAX_BYTES, dump, load
from reporters.render.registry import RENDERERS
from tests import reports
from tests.fuzz.bounds import soon

WHOLE = json.loads(dump(reports.mixed()))
PIECES = (
    *(None, True, 0, -1, 10**14, 10**400, 1e99, -1e300, "", "pass", "error", "none", [], {}),
    *("\u202e`|<!--", "sha256:" + "0" * 64, "x" * 5000, {"message": "x"}, [[0, 1]], "\ud800"),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
SHOWN = ("markdown", "console", "junit", "sarif", "openmetrics", "badge")


def places(value, path=()):
    """Every place in a report."""
    yield path
    keyed = value.items() if isinstance(value, dict) else ()
    for key, one in enumerate(value) if isinstance(value, list) else keyed:
        yield from places(one, (*path, key))


EVERYWHERE = list(places(WHOLE))


@st.composite
def edited(draw):
    """A report in which some places hold something else."""
    whole = copy.deepcopy(WHOLE)
    for path in draw(st.lists(st.sampled_from(EVERYWHERE[1:]), min_size=1, max_size=3)):
        node = whole
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = copy.deepcopy(draw(st.sampled_from(PIECES) | values))
        except (KeyError, IndexError, TypeError):
            continue
    return json.dumps(whole).encode("utf-8", "surrogatepass")


@given(edited() | values.map(lambda one: json.dumps(one).encode()) | st.binary(max_size=200))
def test_any_file_is_a_report_or_an_error(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "fuzzed-report.json"
    path.write_bytes(raw)
    with soon(3):
        try:
            report = read(path)
        except InputError as refused:
            report, said = None, f"{refused}"
        else:
            assert load(dump(report)) == report
            said = max((RENDERERS[name](report) for name in SHOWN), key=len)
    assert report is not None or "not a report" in said
    assert len(said.encode()) <= (500 if report is None else MAX_BYTES)
