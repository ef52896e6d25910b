"""The table of changed predictions: who lost comes first."""

from gates.picture import Flip, Flips, Portrait
from reporters.render.escape import plain
from reporters.render.flips import MOST_SLICES, flip_table
from tests import reports


def part(name, fixed, broken, rows=1000):
    changed = (fixed or 0) + (broken or 0)
    return Flip(slice={"x": name}, rows=rows, changed=changed, fixed=fixed, broken=broken)


def rows(*slices):
    flips = Flips(overall=Flip(rows=9000, changed=900, fixed=600, broken=300), slices=slices)
    found = flip_table(reports.make_model(portrait=Portrait(flips=flips)))
    return [plain(row[0]) for row in found.rows], found


def test_the_slice_that_lost_most_rows_stands_first():
    """A slice of few rows, of which a larger share changed, does not hide it."""
    names, _ = rows(
        part("gains", 300, 20), part("tiny", 10, 12, rows=25), part("loses", 28, 100, rows=5000)
    )
    assert names == ["all rows", "x=loses", "x=tiny", "x=gains"]


def test_what_is_left_out_gained_most_and_is_counted():
    names, table = rows(*[part(f"s{i:02}", i, 0) for i in range(MOST_SLICES + 3)])
    assert names[1] == "x=s00"
    assert table.more == 3
    assert "x=s12" not in names


def test_where_no_answer_is_right_what_changed_counts():
    flips = [part("few", None, None), part("many", None, None)]
    changed = [one.model_copy(update={"changed": n}) for one, n in zip(flips, (5, 50), strict=True)]
    assert rows(*changed)[0] == ["all rows", "x=many", "x=few"]
