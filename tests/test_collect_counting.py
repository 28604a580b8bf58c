"""Counting records: as the csv module counts, whatever stands in the fields."""

from __future__ import annotations

import csv
import io
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect.counting import RecordCounter
from orchestrator.errors import CorruptArchive

FIELDS = st.text(alphabet='a,"\n\r;é\0漢', max_size=8)
TABLES = st.lists(st.lists(FIELDS, min_size=1, max_size=4), max_size=12)
# The csv module writes a lone CR without quotes, then reads it as the end of a line.
PLAIN_TABLES = TABLES.map(lambda rows: [[text.replace("\r", "") for text in row] for row in rows])
WRITTEN = st.tuples(TABLES, st.just(csv.QUOTE_ALL)) | st.tuples(
    PLAIN_TABLES, st.just(csv.QUOTE_MINIMAL)
)


def count(content: bytes, block: int = 1 << 20) -> int:
    counter = RecordCounter()
    for at in range(0, len(content), block):
        counter.feed(content[at : at + block])
    return counter.finish()


@given(
    table=WRITTEN,
    ends=st.sampled_from(["\n", "\r\n"]),
    last_end=st.booleans(),
    block=st.integers(1, 40),
)
def test_counts_as_the_csv_module_however_the_bytes_are_cut(
    table: tuple[list[list[str]], Literal[0, 1]], ends: str, last_end: bool, block: int
) -> None:
    rows, quoting = table
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=ends).writerows(rows)
    written = text.getvalue() if last_end else text.getvalue().removesuffix(ends)
    expected = max(0, len(list(csv.reader(io.StringIO(written, newline="")))) - 1)
    assert count(written.encode(), block) == expected


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (b"", 0),
        (b"\n", 0),
        (b'"only","header"\n', 0),
        (b'"only","header"', 0),
        (b"a,b\n1,2", 1),
        (b"a,b\r\n1,2\r\n3,4\r\n", 2),
        (b'a\n"1\n2\n3"\n', 1),
        (b'a\n"x""\n""y"\n"z"\n', 2),
        (b'\xef\xbb\xbf"a"\n"1"\n', 1),
        (b'a\n"\0\n"\n', 1),
        (b"a,b\n1,2\n\n\n", 1),
        (b"a,b\r\n1,2\r\n\r\n", 1),
        (b"a,b\n1,2\n  \n\t", 1),
        (b'a\n"1\n\n"\n\n', 1),
        (b'a\n"1"\n\n"2"\n', 3),
        (b"a,b\n\n\n", 0),
        (b"\r\n\r\n", 0),
    ],
    ids=[
        "empty",
        "one line feed",
        "header only",
        "header without its end",
        "last line without its end",
        "CR LF",
        "line breaks in a body",
        "doubled quotes at line breaks",
        "byte order mark",
        "NUL bytes",
        "blank lines",
        "blank CR LF",
        "lines of blanks",
        "blank lines in a body, and behind it",
        "a blank line in between",
        "a header and blank lines",
        "nothing but blank lines",
    ],
)
def test_counts_records_without_the_header(content: bytes, records: int) -> None:
    assert count(content) == records


@pytest.mark.parametrize("content", [b'"', b'a\n"1\n2', b'a\n""1"\n'])
def test_a_quote_that_is_never_closed_is_an_error(content: bytes) -> None:
    with pytest.raises(
        CorruptArchive, match=r"^the CSV ends inside a quoted field: it is cut or damaged$"
    ):
        count(content)


@pytest.mark.parametrize(("content", "records"), [(b'a\nx"y\nz\n', 2), (b'a\n"x\ny"\n', 1)])
def test_leniently_lines_are_counted_only_where_quotes_do_not_match(
    content: bytes, records: int
) -> None:
    counter = RecordCounter()
    counter.feed(content)
    counter.feed(b"")
    assert counter.finish_leniently() == records
