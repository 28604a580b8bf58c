"""What reaches a terminal: streamed, aligned, and never able to paint it."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.output import json_list, json_text, write, write_lines
from orchestrator.cli.tables import aligned, tab_separated

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain ümlaut 日本", "plain ümlaut 日本"),
        ("red \x1b[31m", "red \\x1b[31m"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("a\ttab", "a\ttab"),
        ("turned \u202e round", "turned \\u202e round"),
        ("odd path \udcff", "odd path \\udcff"),
    ],
)
def test_what_would_move_the_cursor_is_shown_as_an_escape(
    line: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines([line])
    assert capsys.readouterr().out == f"{shown}\n"


def test_a_terminal_of_few_letters_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    write_lines(["status=größer"])
    assert raw.getvalue() == b"status=gr\\xf6\\xdfer\n"


def test_pieces_are_written_before_the_last_has_come(capsys: pytest.CaptureFixture[str]) -> None:
    written = []

    def pieces() -> Iterator[str]:
        yield "x" * 100_000
        written.append(len(capsys.readouterr().out))
        yield "y"

    write(pieces())
    assert written == [100_000]
    assert capsys.readouterr().out == "y"


@given(st.lists(st.text() | st.integers() | st.none()))
def test_a_list_by_pieces_is_the_list(items: list[str | int | None]) -> None:
    assert json.loads("".join(json_list(json_text(item) for item in items))) == items


def test_columns_are_as_wide_as_they_must_be() -> None:
    rows = [["a", "1", ""], ["longer", "1,000", "end"]]
    assert list(aligned(("NAME", "N", "REST"), rows, right=frozenset({"N"}), indent="  ")) == [
        "  NAME        N  REST",
        "  a           1",
        "  longer  1,000  end",
    ]


def test_a_table_without_rows_is_nothing() -> None:
    assert list(aligned(("NAME",), [])) == []


def test_a_late_wide_row_is_whole_all_the_same() -> None:
    rows = [["a", "b"] for _ in range(1000)] + [["wide" * 10, "b"]]
    lines = list(aligned(("X", "Y"), rows))
    assert len(lines) == 1002
    assert lines[-1] == f"{'wide' * 10}  b"


def test_a_tab_in_a_cell_does_not_make_a_column() -> None:
    assert list(tab_separated(("x", "y"), [["a\tb", "c"]])) == ["x\ty", "a\\tb\tc"]


def test_a_narrow_terminal_leaves_out_spare_columns_in_turn() -> None:
    def headers(width: int | None) -> str:
        rows = [("a", "12345", "xxxx")]
        spare = ("REST", "NUMBER")
        return next(aligned(("NAME", "NUMBER", "REST"), rows, spare=spare, width=width))

    assert headers(None) == "NAME  NUMBER  REST"
    assert headers(18) == "NAME  NUMBER  REST"
    assert headers(17) == "NAME  NUMBER"
    assert headers(11) == headers(1) == "NAME"


def test_a_narrow_terminal_gets_long_cells_in_several_lines() -> None:
    rows = [
        ("a", "status=delivered provider=whatsapp", "2 failed, 1 disputed, 3 open"),
        ("b", "all", ""),
    ]
    folded = ("OTHERS", "FILTER")
    lines = aligned(("N", "FILTER", "OTHERS"), rows, folded=folded, width=40)
    assert list(lines) == [
        "N  FILTER               OTHERS",
        "a  status=delivered     2 failed,",
        "   provider=whatsapp    1 disputed,",
        "                        3 open",
        "b  all",
    ]
