"""docs/records.md lists the columns that the program knows; the simulator's files have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.cli.main import call
from orchestrator.core.products import DIRECTIONS, PRODUCTS
from orchestrator.core.record_columns import DIRECTED, column_type, columns_of
from orchestrator.simulator.records.columns import USAGE_COLUMNS, schema

DOCUMENT = Path(__file__).parents[1] / "docs" / "records.md"
BEGIN = "<!-- columns: generated from core/record_columns.py by tests/test_docs_records.py -->\n"
END = "<!-- end of columns -->\n"
KINDS = [
    (name, direction)
    for name in sorted(PRODUCTS)
    for direction in (DIRECTIONS[::-1] if name in DIRECTED else (None,))
    if columns_of(name, direction)
]


def generated() -> str:
    lines = []
    for name, direction in KINDS:
        lines += [f"## {name} {direction or ''}".rstrip(), ""]
        by_type: dict[str, list[str]] = {}
        for column in columns_of(name, direction):
            by_type.setdefault(column_type(column).value, []).append(f"`{column}`")
        lines += [f"- {kind}: {', '.join(columns)}" for kind, columns in by_type.items()]
        lines.append("")
    return "\n".join(lines)


def test_the_document_lists_the_columns_that_the_program_knows() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    expected = f"\n{generated()}\n"
    if text[begin:end] != expected:
        DOCUMENT.write_text(text[:begin] + expected + text[end:], encoding="utf-8")
        pytest.fail("docs/records.md was out of date; it is written anew: look at it, and commit")


@pytest.mark.parametrize(("name", "direction"), KINDS)
def test_files_have_no_column_that_is_not_listed(name: str, direction: str | None) -> None:
    if name == "REPORTS-USAGE":
        names = tuple(USAGE_COLUMNS)
    else:
        names = schema(name, direction or "", include_message=True, show_concatenated=True).names
    assert set(names) == set(columns_of(name, direction))


def test_the_command_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["schema", "records", "VOICE"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["product"], told["direction"]) == ("VOICE-CALL", None)
    assert {"name": "duration", "type": "integer"} in told["columns"]
    assert call(["schema", "records"]) == 0
    assert len(json.loads(capsys.readouterr().out)) >= len(KINDS)
    assert call(["schema", "records", "VOIZE"]) == 2
    assert "VOIZE is no product known here; known are " in capsys.readouterr().err
    assert call(["schema", "job", "SMS"]) == 2
