"""A whole run that leaves Parquet: the very records, typed, in one table over all products."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from orchestrator.cli.main import call
from orchestrator.core.record_columns import ColumnType, column_type
from orchestrator.simulator import Truth
from tests.kit.cli_worlds import REPORTS, Place, simulated

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    import pytest


def write_parquet(place: Place) -> None:
    place.write_config()
    config = place.directory / "config.yaml"
    text = config.read_text(encoding="utf-8")
    assert "output:" in text
    lines = [
        "output: {directory: reports, format: parquet}" if line.startswith("output:") else line
        for line in text.splitlines()
    ]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def collected(place: Place) -> list[Path]:
    return sorted((place.directory / "reports").rglob("*.parquet"))


def plain(name: str, column: pa.ChunkedArray) -> list[str]:
    """The values of a column as the simulator's records have them."""
    match column_type(name):
        case ColumnType.TIMESTAMP:
            return [
                "" if value is None else f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S+0000}"
                for value in column.to_pylist()
            ]
        case ColumnType.MONEY:
            return [
                "" if value is None else f"{value.normalize():f}" for value in column.to_pylist()
            ]
        case _:
            return ["" if value is None else str(value) for value in column.to_pylist()]


def money(name: str, value: str) -> str:
    if column_type(name) is not ColumnType.MONEY or "." not in value:
        return value
    return value.rstrip("0").rstrip(".")


def test_every_record_is_there_once_with_its_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        write_parquet(place)
        assert place.run() == 0
        files = collected(place)
        assert len(files) == REPORTS
        capsys.readouterr()
        assert call(["files", str(place.job), "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)
        for file in listed:
            table = pq.read_table(file["path"], partitioning=None)
            assert table.num_rows == file["rows"]
            facts = pq.ParquetFile(file["path"]).metadata.metadata
            assert facts[b"orchestrator.request_id"].decode() == file["request_id"]
            assert facts[b"orchestrator.columns_without_type"] == b""
            body = {"account_id": file["account_id"], "product": file["product"], **file["filter"]}
            if file["direction"]:
                body["direction"] = file["direction"]
            body |= {"date_start": file["date_start"], "date_end": file["date_end"]}
            truth = Truth(place.simulator.settings, body)
            names = table.column_names
            assert tuple(names) == truth.columns
            rows = zip(*(plain(name, table.column(name)) for name in names), strict=True)
            expected = [
                tuple(money(name, value) for name, value in zip(names, row, strict=True))
                for row in truth.rows()
            ]
            assert sorted(rows) == sorted(expected)


def test_verify_and_a_rebuild_read_parquet_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        write_parquet(place)
        assert place.run() == 0
        assert call(["verify", str(place.job)]) == 0
        for path in place.state.parent.iterdir():
            path.unlink()
        bought = place.bought()
        assert place.run("--rebuild-ledger") == 0
        assert place.bought() == bought
        damaged = collected(place)[0]
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        capsys.readouterr()
        assert call(["verify", str(place.job)]) == 1
        assert damaged.name in capsys.readouterr().out


def test_a_missing_library_is_bad_input_and_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from orchestrator.collect import formats

    with simulated(tmp_path) as place:
        write_parquet(place)
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        monkeypatch.delitem(sys.modules, "orchestrator.collect.formats.parquet", raising=False)
        monkeypatch.delitem(sys.modules, "orchestrator.collect.parquet_writer", raising=False)
        formats.output_format.cache_clear()
        assert place.run() == 2
        assert place.bought() == 0
        monkeypatch.undo()
        formats.output_format.cache_clear()
    assert "pip install" in capsys.readouterr().err
