"""Records by account, counted in one pass over blocks that are cut anywhere."""

from __future__ import annotations

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect.counting import AccountCounter

HEADER = b'"account_id","to","message_body"\n'


def counted(content: bytes, block: int = 7) -> dict[str, int] | None:
    counter = AccountCounter()
    for start in range(0, len(content), block):
        counter.feed(content[start : start + block])
    return counter.finish()


fields = st.text(alphabet='ab,"\n\r é漢', max_size=12)
accounts = st.sampled_from(["abcd1234", "ef567890", "cafe0002"])


@given(st.lists(st.tuples(accounts, fields, fields), max_size=12), st.integers(1, 40))
def test_counts_as_the_csv_module_reads(rows: list[tuple[str, str, str]], block: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    expected = {name: [row[0] for row in rows].count(name) for name, _, _ in rows}
    assert counted(HEADER + text.getvalue().encode(), block) == expected


def test_the_column_may_stand_anywhere_and_the_last_line_feed_may_be_missing() -> None:
    assert counted(b'"to","account_id"\n"1","one"\n"2","two"') == {"one": 1, "two": 1}


def test_a_byte_order_mark_is_no_part_of_the_name() -> None:
    assert counted(b"\xef\xbb\xbfaccount_id,to\none,1\n") == {"one": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'"to","from"\n"1","2"\n',
        HEADER + b'"abcd1234"\n"a" b,"c","d"\n',
        b'"to","account_id"\n"1"\n',
        HEADER + b'"abcd1234","' + b"x" * (3 * 1024 * 1024),
    ],
    ids=["empty", "no such column", "a stray quote", "too few fields", "a quote never closed"],
)
def test_where_the_accounts_cannot_be_told_nothing_is_said(content: bytes) -> None:
    assert counted(content, 64 * 1024) is None


def test_memory_is_bounded_however_many_accounts_there_are() -> None:
    lines = b"".join(b"a%d,1\n" % number for number in range(20_000))
    assert counted(b"account_id,to\n" + lines, 64 * 1024) is None


def test_memory_is_bounded_however_long_the_ids_are() -> None:
    """Such ids filled the memory, and as an event of a report the ledger."""
    counter = AccountCounter()
    counter.feed(b"account_id,to\n")
    tracemalloc.start()
    for number in range(500):
        counter.feed(b"%d" % number + b"x" * 100_000 + b",1\n")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counter.finish() is None
    assert most < 4_000_000


def test_an_id_that_is_none_is_not_told() -> None:
    assert counted(b"account_id\n\xe2\x80\xae,\n") is None
    assert counted(b"account_id\n" + b"x" * 33 + b"\n") is None
