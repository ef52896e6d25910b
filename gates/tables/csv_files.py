"""Read CSV and TSV: a fixed delimiter, RFC 4180 quotes, one header, every row as long as it.

Only an empty field is missing; `""` is an empty text.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from gates.errors import InputError
from gates.fields import bounded
from gates.tables.text_kinds import ANY, RawText

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from gates.tables.duck import Session

_MAX_HEADER = 64 * 1024**2


def read_csv(session: Session, path: Path, names: tuple[str, ...], delimiter: str) -> RawText:
    """Return a CSV or TSV file, whose header holds `names`, as text fields."""
    fields = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(names)))
    # Strict about the number of fields: a longer row must never push values into other columns.
    statement = (
        f"FROM read_csv({session.link(path)}, auto_detect=false, header=true, delim='{delimiter}',"
        """ quote='"', escape='"', comment='', nullstr='', allow_quoted_nulls=false,"""
        " null_padding=false, strict_mode=true,"
        f" max_line_size={4 * session.budget.cell}, columns={{{fields}}})"
    )
    return RawText(names=names, fields=session.relation(statement), allowed=(ANY,) * len(names))


def header(path: Path, name: str, delimiter: str) -> tuple[str, ...]:
    """Return the names in the first line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = iter(lambda: file.readline(_MAX_HEADER), "")
        try:
            names = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
        except csv.Error:
            raise InputError(
                "the header cannot be read: a quote is not closed, or a name is too long",
                where=f"{bounded(name)}, line 1",
            ) from None
    if not names:
        raise InputError(
            "the file has no columns: its first line is blank",
            where=f"{bounded(name)}, line 1",
            hint="The first line must hold the names of the columns.",
        )
    return tuple(names)


def csv_error(error: duckdb.Error, name: str) -> InputError | None:
    """Return what is wrong with a CSV file, told without the row that DuckDB quotes."""
    text = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if not line and "CSV Parser" not in text:
        return None
    # The quoted row stands before the counts: the last match is DuckDB's, not the row's.
    counts = re.findall(r"^Expected Number of Columns: (\d+) Found: (\d+)", text, re.MULTILINE)
    if counts:
        expected, found = counts[-1]
        problem = f"the row has {found} fields where the header has {expected}"
        hint = "Quote fields that hold the delimiter or a line break."
    elif "Maximum line size" in text:
        problem, hint = "the line is too long", "Leave out columns with very long texts."
    else:
        problem = "the row cannot be read: a quote is not closed, or text follows a closing quote"
        hint = 'Quote as RFC 4180 says: `""` for a quote in a quoted field.'
    if not line:
        problem = "the file mixes line endings (LF, CRLF) or has a stray quote"
        hint = "Write it again with one kind of line ending."
    place = bounded(name) + (f", line {line[1]}" if line else "")
    return InputError(problem, where=place, hint=hint)
