"""`schema manifest`: every line that is ever written is as the schema says."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.cli.main import call
from orchestrator.collect.convert import convert
from orchestrator.collect.formats import output_format
from orchestrator.collect.formats.base import FileSubject
from orchestrator.collect.manifest_schema import manifest_schema
from orchestrator.core.file_columns import ColumnChanges
from orchestrator.core.settings import Format
from tests.kit.archives import streamed_zip
from tests.kit.cli_worlds import simulated
from tests.test_cli_columns import JOB as WITH_MESSAGE
from tests.test_cli_columns import KEY, write_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
SCHEMAS = {each["title"]: each for each in manifest_schema()["oneOf"]}
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict,
    "array": list, "null": type(None),
}  # fmt: skip
GONE = {"kind": "given_up", "number": 1, "gone": True, "check": "00000000"}


def misfits(value: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Where a value is not as its schema says; of JSON Schema only what ours uses."""
    if "const" in schema and value != schema["const"]:
        yield f"{place}: {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r}"
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(isinstance(value, TYPES[name]) for name in types):
        yield f"{place}: {value!r} is none of {types}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{place}: {value!r}"
    if isinstance(value, int) and value < schema.get("minimum", value):
        yield f"{place}: {value!r}"
    if isinstance(value, dict) and "properties" in schema:
        properties = schema["properties"]
        yield from (
            f"{place}.{name} is missing" for name in schema.get("required", ()) if name not in value
        )
        for name, part in value.items():
            if name in properties:
                yield from misfits(part, properties[name], f"{place}.{name}")
            else:
                yield f"{place}.{name} is not in the schema"


def line_misfits(line: str) -> list[str]:
    fields = json.loads(line)
    return list(misfits(fields, SCHEMAS[fields["kind"]], fields["kind"]))


def test_lines_of_every_kind_are_as_the_schema_says() -> None:
    lines = (DATA / "version_3/reports/manifest.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["kind"] for line in lines} | {"column_list"} == set(SCHEMAS)
    assert [problem for line in lines for problem in line_misfits(line)] == []
    assert line_misfits(json.dumps(GONE)) == []


def test_dropped_and_hashed_columns_stand_in_list_manifest_and_rebuilt_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HASH_KEY", KEY)
    columns = {"dropped": ["message_body"], "hashed": ["from", "to"], "without_type": []}
    with simulated(tmp_path, job=WITH_MESSAGE) as place:
        write_rules(place, "csv")
        assert place.run() == 0
        again = ("--again", "--from", "2026-01-01", "--to", "2026-02-01", "--yes")
        assert place.run(*again) == 0

        def listed() -> Any:
            capsys.readouterr()
            assert call(["files", str(place.job), "--json"]) == 0
            return json.loads(capsys.readouterr().out)

        before = listed()
        assert [set(one["columns"]["hashed"]) for one in before] == [{"from", "to"}]
        assert before[0]["columns"] | {"hashed": ["from", "to"]} == columns
        manifest = tmp_path / "reports" / "manifest.jsonl"
        lines = manifest.read_text("utf-8").splitlines()
        assert [problem for line in lines for problem in line_misfits(line)] == []
        (file,) = [one for one in map(json.loads, lines) if one["kind"] == "file"]
        assert (file["columns"], file["edition"]) == (before[0]["columns"], 2)
        assert file["collected_change"] > 0
        for path in place.state.parent.glob("ledger.db*"):
            path.unlink()
        assert place.run("--rebuild-ledger") == 0
        assert listed() == before


@pytest.mark.parametrize("form", [Format.PARQUET, Format.CSV])
def test_columns_without_their_type_are_told(tmp_path: Path, form: Format) -> None:
    archive = io.BytesIO(streamed_zip(b"latency,price\n5,0.5\nfive,0.25\n"))
    made = convert(archive, tmp_path / "file", output_format(form), 2, FileSubject("SMS"))
    without = ColumnChanges(without_type=("latency",))
    assert made.columns == (without if form is Format.PARQUET else None)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["schema", "manifest"]) == 0
    assert json.loads(capsys.readouterr().out) == manifest_schema()
