"""Parquet holds the very values of the CSV, typed where they fit, whatever is in them."""

from __future__ import annotations

import csv
import errno
import gc
import io
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect.counting import RecordCounter
from orchestrator.collect.formats.base import ColumnsDoNotFit, Fallback
from orchestrator.collect.formats.parquet import FORMAT
from orchestrator.collect.parquet_reader import count_records, rows_of
from orchestrator.collect.parquet_writer import UNTYPED_KEY, ParquetWriter
from orchestrator.errors import CorruptArchive

BODY = "message_body"


def csv_of(header: list[str], records: list[list[str]], end: str = "\n") -> bytes:
    file = io.StringIO(newline="")
    rows = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end)
    rows.writerows([header, *records])
    return file.getvalue().encode()


def written(
    content: bytes,
    fallbacks: dict[str, Fallback] | None = None,
    *,
    piece: int = 37,
    block_bytes: int = 64,
) -> io.BytesIO:
    """The content as Parquet, written again where columns did not fit."""
    file = io.BytesIO()
    writer = ParquetWriter(file.write, fallbacks, block_bytes=block_bytes)
    for start in range(0, len(content), piece):
        writer.write(content[start : start + piece])
    try:
        writer.finish({"made_by": "a test"})
    except ColumnsDoNotFit as misfit:
        assert fallbacks is None, "the second pass has to fit"
        return written(content, misfit.columns, piece=piece, block_bytes=block_bytes)
    file.seek(0)
    return file


def read(file: io.BytesIO) -> Any:
    return pq.read_table(file)


def column(values: list[str], name: str) -> Any:
    file = written(csv_of(["id", name], [[str(n), value] for n, value in enumerate(values)]))
    return read(file).column(name)


# --- nothing is altered ---------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CR LF"])
def test_line_breaks_at_every_offset_of_a_block_stay_as_they_are(end: str) -> None:
    """A CR LF inside a field on the border of two blocks is what other readers lose."""
    bodies = [f'{"x" * pad}\r\n"quoted"\r\n{"y" * (64 - pad)}\n€' for pad in range(65)]
    records = [[str(number), body] for number, body in enumerate(bodies)]
    content = csv_of(["id", BODY], records, end)
    for piece in (1, 7, 64, len(content)):
        table = read(written(content, piece=piece))
        assert table.column("id").to_pylist() == [str(number) for number in range(65)]
        assert table.column(BODY).to_pylist() == bodies


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)),
        min_size=1,
        max_size=9,
    ),
    st.integers(1, 70),
    st.integers(1, 90),
)
def test_texts_are_what_the_csv_holds(
    texts: list[tuple[str]], piece: int, block_bytes: int
) -> None:
    records = [["x", text] for (text,) in texts]
    content = csv_of(["id", BODY], records)
    expected = list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]
    table = read(written(content, piece=piece, block_bytes=block_bytes))
    assert table.column(BODY).to_pylist() == [row[1] for row in expected]


# --- types ----------------------------------------------------------------------------------------


def test_moments_money_and_counts_are_typed_and_empty_ones_are_no_value() -> None:
    header = ["account_id", "date_received", "total_price", "latency", "error_code"]
    records = [
        ["00123456", "2025-04-01T23:55:06+00:00", "0.00421", "12", "007"],
        ["00123456", "2025-04-01T23:55:06+0200", "0", "-1", ""],
        ["00123456", "", "", "", "0x10"],
    ]
    table = read(written(csv_of(header, records)))
    moment = datetime(2025, 4, 1, 23, 55, 6, tzinfo=UTC)
    assert table.to_pydict() == {
        "account_id": ["00123456"] * 3,
        "date_received": [moment, moment.replace(hour=21), None],
        "total_price": [Decimal("0.00421"), Decimal(0), None],
        "latency": [12, -1, None],
        "error_code": ["007", "", "0x10"],
    }
    assert [str(field.type) for field in table.schema] == [
        "string",
        "timestamp[us, tz=UTC]",
        "decimal128(18, 8)",
        "int64",
        "string",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latency", "007"),
        ("latency", "0x10"),
        ("latency", " 1"),
        ("latency", "-0"),
        ("latency", "1.0"),
        ("latency", "9223372036854775808"),
        ("price", "1.234567891"),
        ("price", "free"),
        ("price", "12345678901"),
        ("date_start", "2025-04-01"),
        ("date_start", "2025-04-01T23:55:06"),
        ("date_start", "2025-04-01T23:55:06.1234567Z"),
        ("date_start", "2025-04-01T23:59:60Z"),
    ],
)
def test_a_value_that_does_not_fit_makes_its_column_text_and_stays_as_it_is(
    name: str, value: str
) -> None:
    good = {"latency": "5", "price": "0.5", "date_start": "2025-04-01T00:00:00Z"}[name]
    values = [good] * 20 + [value]
    assert column(values, name).to_pylist() == values


def test_every_misfit_is_found_in_one_more_pass_and_told() -> None:
    header = ["latency", "price", "date_start", BODY]
    good = ["5", "0.5", "2025-04-01T00:00:00Z", "x"]
    records = [list(good) for _ in range(60)]
    records[-1][0], records[20][1] = "five", "cheap"
    file = written(csv_of(header, records))
    table = read(file)
    assert table.column("latency").to_pylist() == ["5"] * 59 + ["five"]
    assert table.column("price").to_pylist() == ["0.5"] * 20 + ["cheap"] + ["0.5"] * 39
    assert str(table.schema.field("date_start").type) == "timestamp[us, tz=UTC]"
    told = pq.ParquetFile(file).metadata.metadata
    assert told[UNTYPED_KEY.encode()] == b"latency,price"
    assert told[b"made_by"] == b"a test"


def test_bytes_that_are_no_text_are_kept_as_bytes() -> None:
    content = csv_of(["id", BODY], [["1", "fine"], ["2", "CAFE"]]).replace(b"CAFE", b"caf\xe9")
    table = read(written(content))
    assert table.column(BODY).to_pylist() == [b"fine", b"caf\xe9"]


def test_columns_of_one_name_are_told_apart() -> None:
    table = read(written(csv_of(["id", "x", "x"], [["1", "a", "b"]])))
    assert table.to_pydict() == {"id": ["1"], "x": ["a"], "x_2": ["b"]}


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (b"x,x_2,x", ["x", "x_2", "x_3"]),
        (b"x,x,x_2", ["x", "x_3", "x_2"]),
        (b"x,x,x", ["x", "x_2", "x_3"]),
    ],
)
def test_a_number_behind_a_name_makes_no_name_that_is_there(
    header: bytes, names: list[str]
) -> None:
    table = read(written(header + b"\n1,2,3\n"))
    assert table.column_names == names
    assert [column.to_pylist() for column in table.columns] == [["1"], ["2"], ["3"]]


# --- what is no such CSV --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b'"id","x"\n"1"\n',
        b'"id","x"\n"1","2","3"\n',
        b'"latency","x"\n"five","2"\n"1"\n',
        b'"\xff"\n"1"\n',
        b"a," * 40_000 + b"a\n",
    ],
    ids=["too few", "too many", "too few behind a misfit", "header", "long header"],
)
def test_what_is_no_csv_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptArchive):
        written(content, {})


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize("block_bytes", [4, 16, 1000])
@pytest.mark.parametrize(
    ("end", "blank"), [("\n", "\n\n"), ("\r\n", "\r\n" * 3), ("\n", " \n\t\n"), ("", "")]
)
def test_blank_lines_at_the_end_are_no_records(
    end: str, blank: str, piece: int, block_bytes: int
) -> None:
    """As many records as are counted by line ends: those in the middle are some."""
    content = f'"a","b"\n"1","2"\n\n"3","4"{end}{blank}'.encode()
    counter = RecordCounter()
    counter.feed(content)
    table = read(written(content, piece=piece, block_bytes=block_bytes))
    assert table.to_pylist() == [
        {"a": "1", "b": "2"}, {"a": "", "b": ""}, {"a": "3", "b": "4"}
    ]  # fmt: skip
    assert counter.finish() == table.num_rows


def test_a_header_alone_is_a_file_without_records() -> None:
    file = written(csv_of(["id", "latency"], []))
    assert rows_of(file) == 0
    assert read(file).schema.names == ["id", "latency"]


@pytest.mark.parametrize("records", [10, 120_000])
def test_a_disk_that_fills_up_while_a_row_group_is_written_is_told(
    records: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = set(threading.enumerate())
    writer = ParquetWriter(full)
    with pytest.raises(OSError, match="No space left"):
        writer.write(csv_of(["id"], [[str(number)] for number in range(records)]))
        writer.finish({})
    writer.close()
    del writer
    gc.collect()
    assert capfd.readouterr().err == ""  # pyarrow prints there what goes wrong while it cleans up
    assert set(threading.enumerate()) <= before


def test_values_that_do_not_repeat_go_on_without_a_dictionary() -> None:
    rows = [[f"{number * 7919:032x}", "delivered"] for number in range(20_000)]
    file = written(csv_of(["id", "status"], rows))
    ids, status = (pq.ParquetFile(file).metadata.row_group(0).column(place) for place in range(2))
    # With one, each id would take four bytes for its length and two for its place in addition.
    assert 32 * len(rows) < ids.total_uncompressed_size < 37 * len(rows)
    assert status.total_uncompressed_size < 1000
    assert read(file).column("id").to_pylist() == [name for name, _ in rows]


@pytest.mark.parametrize(
    ("status", "kind"),
    [("é😀".encode(), "string"), (b"\xed\xa0\x80", "binary"), (b"a", "string")],
    ids=["text", "no text", "ASCII"],
)
def test_fields_are_text_where_the_whole_block_is(status: bytes, kind: str) -> None:
    content = csv_of(["id", "status"], [["1", "sent"], ["2", "NAME"]]).replace(b"NAME", status)
    table = read(written(content, block_bytes=1024))
    assert [str(column.type) for column in table.columns] == ["string", kind]
    assert table.column("status").cast("binary").to_pylist() == [b"sent", status]


def test_readers_can_skip_row_groups_by_moments() -> None:
    rows = [[f"2026-01-0{day}T00:00:00Z", "sent", "1"] for day in range(1, 4)]
    file = written(csv_of(["date_received", "status", "latency"], rows))
    group = pq.ParquetFile(file).metadata.row_group(0)
    moments, texts, numbers = (group.column(place).statistics for place in range(3))
    assert (moments.min.day, moments.max.day) == (1, 3)
    assert (numbers.min, numbers.max) == (1, 1)
    assert texts is None or not texts.has_min_max


def test_pandas_is_not_loaded(tmp_path: Path) -> None:
    """Where it is installed, pyarrow loads it for a trifle, which takes a second and 40 MB."""
    script = (
        "import io, sys; from orchestrator.collect.parquet_writer import ParquetWriter;"
        "writer = ParquetWriter(io.BytesIO().write);"
        """writer.write(b'"latency","total_price","date_received"\\n"1","2.5","2026-01-01T00:00:00Z"\\n');"""
        """writer.write(b'"","",""\\n'); writer.finish({});"""
        "sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_the_footer_and_the_pages_tell_the_number_of_records() -> None:
    file = written(
        csv_of(["id"], [[str(number)] for number in range(120_000)]), block_bytes=1 << 16
    )
    assert rows_of(file) == count_records(file) == 120_000
    assert pq.ParquetFile(file).metadata.num_row_groups == 3
    damaged = bytearray(file.getvalue())
    damaged[1000] ^= 0xFF
    with pytest.raises(CorruptArchive):
        count_records(io.BytesIO(damaged))
    with pytest.raises(CorruptArchive):
        rows_of(io.BytesIO(b"no parquet"))


def test_a_disk_that_fails_is_no_damage_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """And damage that the codec finds is no failure of the disk."""
    file = written(csv_of(["id"], [[str(number)] for number in range(50_000)]))
    damaged = bytearray(file.getvalue())
    damaged[1000:3000] = b"\xff" * 2000
    with pytest.raises(CorruptArchive):
        list(FORMAT.blocks(io.BytesIO(damaged)))

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    broken = _Failing(file.getvalue())
    monkeypatch.setattr(_Failing, "read", fail)
    for read in (rows_of, count_records):
        with pytest.raises(OSError, match="Input/output error"):
            read(broken)


class _Failing(io.BytesIO):
    """A file of a disk that can be made to fail."""
