"""Columns are left out or hashed as records stream by; everything else stays as it is."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect import column_filter
from orchestrator.collect.column_filter import ColumnFilter
from orchestrator.core.settings import ColumnRules, Secret
from orchestrator.errors import CorruptArchive

KEY = Secret("a key of the tests")
HEADER = ["account_id", "from", "to", "message_body", "date_received"]
TEXTS = st.text(st.sampled_from('a",\r\n€😀 1'), max_size=6)
RECORDS = st.lists(st.lists(TEXTS, min_size=5, max_size=5), max_size=8)


def csv_of(records: list[list[str]], end: str = "\n") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([HEADER, *records])
    return file.getvalue().encode()


def rows_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def filtered(content: bytes, rules: ColumnRules, piece: int = 11) -> tuple[ColumnFilter, bytes]:
    columns = ColumnFilter(rules, KEY)
    parts = [
        columns.push(content[start : start + piece]) for start in range(0, len(content), piece)
    ]
    return columns, b"".join([*parts, columns.finish()])


def hashed(text: str) -> str:
    key = KEY.reveal().encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest() if text else ""


@given(RECORDS, st.sampled_from(["\n", "\r\n"]), st.integers(1, 40), st.integers(1, 60))
def test_what_no_rule_names_stays_as_it_is(
    records: list[list[str]], end: str, piece: int, block_bytes: int
) -> None:
    rules = ColumnRules(drop=frozenset({"message_body"}), hash=frozenset({"from", "to"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_filter, "_BLOCK_BYTES", block_bytes)
        columns, content = filtered(csv_of(records, end), rules, piece)
    assert rows_of(content) == [
        ["account_id", "from", "to", "date_received"],
        *([row[0], hashed(row[1]), hashed(row[2]), row[4]] for row in records),
    ]
    assert (columns.dropped, columns.hashed) == (("message_body",), ("from", "to"))


def test_a_name_that_the_header_lacks_changes_nothing() -> None:
    content = csv_of([["1", "2", "3", "4", "5"]], "\r\n")
    columns, same = filtered(content, ColumnRules(drop=frozenset({"body"})))
    assert same == content
    assert (columns.dropped, columns.hashed) == ((), ())


@pytest.mark.parametrize("header", ['"from","to"', '"FROM","to"', '" From ",to', "from,to"])
@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
@pytest.mark.parametrize("piece", [1, 11, 1000])
def test_a_column_is_known_however_its_name_is_spelled(header: str, mark: str, piece: int) -> None:
    content = f'{mark}{header}\r\n"4917012345","2"\r\n'.encode()
    columns, without = filtered(content, ColumnRules(drop=frozenset({"from"})), piece)
    assert rows_of(without) == [["to"], ["2"]]
    assert len(columns.dropped) == 1
    columns, keyed = filtered(content, ColumnRules(hash=frozenset({"from"})), piece)
    assert rows_of(keyed)[1:] == [[hashed("4917012345"), "2"]]
    assert len(columns.hashed) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_stay_as_they_are(end: str) -> None:
    content = f'"a","b"{end}"1","2"{end}{end}  {end}'.encode()
    _, rest = filtered(content, ColumnRules(drop=frozenset({"b"})))
    assert rest == f'"a"{end}"1"{end}{end}{end}'.encode()


def test_a_field_may_be_longer_than_python_expects() -> None:
    content = b'"a","b"\n"%b","2"\n' % (b"x" * 200_000)
    _, rest = filtered(content, ColumnRules(drop=frozenset({"b"})), piece=50_000)
    assert rows_of(rest) == [["a"], ["x" * 200_000]]


def test_a_file_without_any_column_is_refused_by_name() -> None:
    with pytest.raises(CorruptArchive, match=r"`output\.columns` leaves out every column of it"):
        filtered(b'"a"\n"1"\n', ColumnRules(drop=frozenset({"a"})))


def test_a_header_alone_and_nothing_at_all() -> None:
    rules = ColumnRules(drop=frozenset({"from"}))
    assert rows_of(filtered(csv_of([]), rules)[1]) == [[name for name in HEADER if name != "from"]]
    assert filtered(b"", rules)[1] == b""


@pytest.mark.parametrize(
    "record", [b'"1","2"\n', b'"1","2","3","4","5","6"\n', b'"1","\xff","3","4","5"\n'],
    ids=["too few", "too many", "no UTF-8"],
)  # fmt: skip
def test_records_whose_columns_cannot_be_told_apart_are_refused(record: bytes) -> None:
    with pytest.raises(CorruptArchive):
        filtered(csv_of([]) + record, ColumnRules(drop=frozenset({"from"})))
