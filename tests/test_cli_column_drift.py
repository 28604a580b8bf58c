"""Columns that come, go or lose their type between files: who is told, and that nobody else is."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orchestrator.app.manifest_sync import ManifestSync
from orchestrator.cli.main import call
from orchestrator.collect.csv_records import HeaderReader
from orchestrator.core.column_drift import ColumnDrift, FileShape, ShapeChange
from orchestrator.core.file_columns import FileColumn, columns_as_json, columns_from_json
from orchestrator.core.model import Series
from orchestrator.ledger import open_reader
from orchestrator.reporting.phrases import drift_lines
from orchestrator.simulator import Fault, Faults
from orchestrator.simulator.faults.bad_files import CSV_FORMS
from tests.kit.cli_worlds import Place, simulated
from tests.kit.ledgers import day
from tests.test_cli_columns import KEY, write_rules

JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API, {product: SMS, direction: outbound}]
windows: [{from: 2026-01-01, to: 2026-0%d-01}]
"""
SERIES = Series.of("abcd1234", "SMS", "outbound")


# --- the rules ------------------------------------------------------------------------------------


def shape(columns: str, *by_rule: str) -> FileShape:
    """`a:integer b` as columns."""
    pairs = (word.partition(":") for word in columns.split())
    return FileShape(
        tuple(FileColumn(name, kind or None) for name, _, kind in pairs), frozenset(by_rule)
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (shape("a b"), shape("b a"), {}),
        (shape("a b"), shape("a c"), {"appeared": ["c"], "vanished": ["b"]}),
        (shape("a:integer"), shape("a:text"), {"retyped": ["a"]}),
        (shape("a"), shape("a:text"), {}),
        (shape("a b"), shape("a", "b"), {}),
        (shape("a:integer"), shape("a:text", "a"), {}),
        (shape("a"), shape("a b", "b"), {}),
    ],
    ids=["order", "names", "type", "untyped", "dropped", "hashed", "no longer dropped"],
)
def test_what_is_drift(before: FileShape, after: FileShape, expected: dict[str, list[str]]) -> None:
    drift = ColumnDrift(SERIES)
    drift.add(ShapeChange(before, after, day("2026-02-01"), 1))
    said = {kind: list(columns) for kind, columns in drift.as_json.items() if columns}
    assert said == expected
    assert bool(drift) is bool(expected)


def test_files_of_which_each_has_other_columns_are_told_in_bounded_words() -> None:
    drift = ColumnDrift(SERIES)
    for number in range(30):
        before, after = (
            shape(" ".join(f"{each}_{column}" for column in range(100)))
            for each in (number, number + 1)
        )
        drift.add(ShapeChange(before, after, day("2026-02-01"), number + 1))
    assert [len(columns) for columns in drift.as_json.values()] == [1000, 1000, 0]
    (line,) = drift_lines([drift])
    assert line.count("(since 2026-02-01) and at least 995 more") == 2


def test_long_names_of_columns_are_told_in_bounded_words() -> None:
    drift = ColumnDrift(SERIES)
    for number in range(30):
        after = shape(f"{number:x>40000}")
        drift.add(ShapeChange(shape("a"), after, day("2026-02-01"), number + 1))
    assert list(map(len, drift.appeared)) == [40_000, 40_000]
    (line,) = drift_lines([drift])
    assert len(line) < 400


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"a","b"\n"1","2"\n', ("a", "b")),
        ('\ufeff"a",b\r\n1,2\r\n', ("a", "b")),
        ('"a\nb",c\n', ("a\nb", "c")),
        ("a,b", ("a", "b")),
        ("", ()),
        ('a,"b', ()),
        ("a" * 70_000 + ",b\n1,2\n", ()),
    ],
)
def test_a_header_is_found_however_it_comes(text: str, names: tuple[str, ...], step: int) -> None:
    reader = HeaderReader()
    content = text.encode()
    for at in range(0, len(content), step):
        if not reader.is_done:
            reader.feed(content[at : at + step])
    reader.finish()
    assert reader.names == names


@pytest.mark.parametrize("listed", [None, {}, [1], [{"type": "text"}], [{"name": "a", "type": 1}]])
def test_what_is_no_list_of_columns(listed: Any) -> None:
    with pytest.raises(ValueError, match="is no list of columns"):
        columns_from_json(listed)
    columns = (FileColumn("a", "text"), FileColumn("b"))
    assert columns_from_json(columns_as_json(columns)) == columns


# --- whole runs -----------------------------------------------------------------------------------

Edit = Callable[[list[list[str]]], None]


class Api:
    """What the API does to the records of its files of SMS, header first, from now on."""

    def __init__(self) -> None:
        self.edit: Edit = lambda _rows: None

    def rewritten(self, content: bytes) -> bytes:
        rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
        if "message_id" in rows[0]:
            self.edit(rows)
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    api = Api()
    monkeypatch.setitem(CSV_FORMS, "crlf", api.rewritten)
    return api


@pytest.fixture
def place(tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("HASH_KEY", KEY)
    faults = Faults((Fault.of("report", "csv", form="crlf"),))
    with simulated(tmp_path, job=JOB % 3, faults=faults) as here:
        yield here


def new_column(rows: list[list[str]]) -> None:
    for at, row in enumerate(rows):
        row.append("x" if at else "novel")


def without_network(rows: list[list[str]]) -> None:
    at = rows[0].index("network")
    for row in rows:
        del row[at]


def late_words(rows: list[list[str]]) -> None:
    at = rows[0].index("latency")
    rows[-1][at] = "five"


def both(rows: list[list[str]]) -> None:
    new_column(rows)
    without_network(rows)


def reverse(rows: list[list[str]]) -> None:
    for row in rows:
        row.reverse()


def run(place: Place, month: int, capsys: pytest.CaptureFixture[str]) -> tuple[str, Any]:
    """A run up to a month: its summary in words, and what `status --json` says afterwards."""
    place.write_job(JOB % month)
    capsys.readouterr()
    assert place.run() == 0
    text = capsys.readouterr().out
    assert call(["status", str(place.job), "--json"]) == 0
    return text, json.loads(capsys.readouterr().out)["column_drift"]


SMS = {"account_id": "abcd1234", "product": "SMS", "direction": "outbound", "filter": {}}


def test_a_run_names_columns_that_come_and_go_once(
    place: Place, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    text, drift = run(place, 3, capsys)
    assert ("columns of" in text, drift) == (False, [])
    api.edit = both
    text, drift = run(place, 5, capsys)
    line = (
        "columns of abcd1234 SMS outbound: new in the files: novel (since 2026-03-01); "
        "missing: network (since 2026-03-01)\n"
    )
    assert f"  {line}" in text
    since = "2026-03-01T00:00:00Z"
    expected = {
        **SMS, "appeared": {"novel": since}, "vanished": {"network": since}, "retyped": {}
    }  # fmt: skip
    assert drift == [expected]
    assert call(["status", str(place.job)]) == 0
    assert line in capsys.readouterr().out
    text, drift = run(place, 6, capsys)
    assert "columns of" not in text, "nothing has changed since"
    assert drift == [expected], "the files are what they are"
    api.edit = reverse
    text, drift = run(place, 7, capsys)
    assert "novel (since 2026-06-01)" in text
    assert "network (since 2026-06-01)" in text
    api.edit = lambda _rows: None
    text, _ = run(place, 8, capsys)
    assert "columns of" not in text, "another order is no drift"


def test_a_run_as_json_names_them_too(
    place: Place, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    run(place, 3, capsys)
    api.edit = new_column
    place.write_job(JOB % 4)
    capsys.readouterr()
    assert place.run("--json") == 0
    (drift,) = json.loads(capsys.readouterr().out)["column_drift"]
    assert drift == {
        **SMS, "appeared": {"novel": "2026-03-01T00:00:00Z"}, "vanished": {}, "retyped": {}
    }  # fmt: skip


def test_a_typed_column_that_is_text_is_drift(
    place: Place, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rules(place, "parquet", "mode: private")
    run(place, 3, capsys)
    api.edit = late_words
    text, drift = run(place, 4, capsys)
    assert "of another type: latency (text, not integer, since 2026-03-01)" in text
    assert drift[0]["retyped"] == {
        "latency": {"from": "integer", "to": "text", "since": "2026-03-01T00:00:00Z"}
    }


def test_what_the_rules_do_is_no_drift(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    run(place, 3, capsys)
    write_rules(place, "csv", "columns: {drop: [network], hash: [to]}, hash_key: '${HASH_KEY}'")
    text, drift = run(place, 4, capsys)
    assert ("columns of" in text, drift) == (False, [])


@pytest.mark.parametrize("form", ["csv", "csv.gz", "zip", "parquet"])
def test_the_manifest_has_the_columns_and_the_archives_hash(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path, job=JOB % 3) as place:
        write_rules(place, form, "mode: private")
        assert place.run("--quiet") == 0
        manifest = tmp_path / "reports" / "manifest.jsonl"
        lines = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
        lists = {one["number"]: one["columns"] for one in lines if one["kind"] == "column_list"}
        files = [one for one in lines if one["kind"] == "file"]
        assert len(files) == 4
        assert len(lists) == 2
        for one in files:
            path = tmp_path / "reports" / one["path"]
            columns = lists[one["column_list"]]
            if form == "parquet":
                assert [column["name"] for column in columns] == pq.read_schema(path).names
                types = {column["name"]: column["type"] for column in columns}
                assert (types["account_id"], types["date_received"]) == ("text", "timestamp")
            elif form == "csv":
                with path.open(encoding="utf-8", newline="") as file:
                    assert [{"name": name} for name in next(csv.reader(file))] == columns
            assert re.fullmatch("[0-9a-f]{64}", one["source_sha256"])
            assert (one["source_sha256"] == one["sha256"]) is (form == "zip")
        # A ledger made from it knows them too.
        for path in place.state.parent.glob("ledger.db*"):
            path.unlink()
        assert place.run("--quiet", "--rebuild-ledger") == 0
        with open_reader(place.state) as reader:
            assert {
                number: columns_as_json(columns) for number, columns in reader.column_lists()
            } == lists
        again = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
        kept = ("report", "column_list", "source_sha256")
        assert [[one[key] for key in kept] for one in again if one["kind"] == "file"] == [
            [one[key] for key in kept] for one in files
        ]


def test_a_killed_run_has_told_the_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was appended is enough: the manifest is never written as a whole."""

    async def never(_self: ManifestSync, _now: datetime) -> None:
        pass

    with simulated(tmp_path, job=JOB % 2) as place:
        assert place.run("--quiet") == 0
        place.write_job(JOB % 3)
        monkeypatch.setattr(ManifestSync, "write", never)
        assert place.run("--quiet") == 0
        monkeypatch.undo()
        for path in place.state.parent.glob("ledger.db*"):
            path.unlink()
        assert place.run("--quiet", "--rebuild-ledger") == 0
        with open_reader(place.state) as reader:
            for series in reader.all_series():
                for report in reader.reports(series):
                    assert report.column_list is not None
                    assert reader.column_list(report.column_list)
