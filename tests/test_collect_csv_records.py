"""A CSV is cut where its records end, wherever its bytes were cut before."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect.counting import RecordCounter
from orchestrator.collect.csv_records import RecordBlocks, end_of_first_record
from orchestrator.errors import CorruptArchive

FIELDS = st.text(st.sampled_from('a";,\r\n€😀 '), max_size=8)
RECORDS = st.lists(st.lists(FIELDS, min_size=2, max_size=3), min_size=1, max_size=12)


def written(records: list[list[str]], end: str = "\n") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(records)
    return file.getvalue().encode()


def blocks_of(
    content: bytes, sizes: list[int], block_bytes: int, *, told: bool = False
) -> list[bytes]:
    """The blocks of a CSV that comes in pieces of these sizes.

    Args:
        told: whether each piece ends inside a quoted field is said with it.
    """
    blocks = RecordBlocks(block_bytes)
    counter = RecordCounter()
    found: list[bytes] = []
    start = number = 0
    while start < len(content):
        size = sizes[number % len(sizes)]
        piece = content[start : start + size]
        counter.feed(piece)
        found += blocks.push(piece, counter.inside if told else None)
        start, number = start + size, number + 1
    return [*found, blocks.rest()]


@given(
    RECORDS,
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(1, 20), min_size=1, max_size=5),
    st.integers(1, 60),
)
def test_each_block_holds_whole_records(
    records: list[list[str]], end: str, sizes: list[int], block_bytes: int
) -> None:
    content = written(records, end)
    blocks = blocks_of(content, sizes, block_bytes)
    assert b"".join(blocks) == content
    read = [row for block in blocks for row in csv.reader(io.StringIO(block.decode(), newline=""))]
    assert read == records


@given(RECORDS, st.integers(1, 20), st.integers(1, 20), st.integers(1, 60))
def test_blocks_do_not_depend_on_the_pieces(
    records: list[list[str]], first: int, second: int, block_bytes: int
) -> None:
    content = written(records)
    blocks = blocks_of(content, [first], block_bytes)
    assert blocks == blocks_of(content, [second], block_bytes)
    assert blocks == blocks_of(content, [second], block_bytes, told=True)


@given(RECORDS, st.sampled_from(["\n", "\r\n"]))
def test_the_first_record_is_the_header(records: list[list[str]], end: str) -> None:
    content = written(records, end)
    header = content[: end_of_first_record(content)]
    assert list(csv.reader(io.StringIO(header.decode(), newline=""))) == records[:1]


@pytest.mark.parametrize("block", [b"", b'"a","b\nc', b"a,b"], ids=["nothing", "open", "no end"])
def test_a_first_record_without_an_end_is_all_there_is(block: bytes) -> None:
    assert end_of_first_record(block) == len(block)


def test_what_follows_a_quote_that_is_never_closed_is_not_held_in_memory() -> None:
    blocks = RecordBlocks()
    piece = b"x" * 2**20 + b"\n"
    with pytest.raises(CorruptArchive, match="longer than 64 MiB, or a quote is never closed"):
        for number in range(70):
            assert list(blocks.push(piece if number else b'"' + piece)) == []
    assert 60 < number < 66


@pytest.mark.parametrize("record", [b'"' + b"x\n" * 2_000_000 + b'"\n'], ids=["4 MB"])
def test_a_record_of_megabytes_is_searched_once(record: bytes) -> None:
    """Searched anew with each piece it would take minutes: the time limit of tests finds that."""
    blocks = RecordBlocks()
    found: list[bytes] = []
    for start in range(0, len(record), 4096):
        found += blocks.push(record[start : start + 4096])
    assert found == [record]
