"""Messages on a narrow terminal break between words, and commands stay whole."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.reporting.wrapping import terminal_width, wrapped

LINE = (
    "  disputed: report 18: what came back is not what was asked for; `orchestrator resolve 18 "
    "--accept-file` takes it as it is"
)


def test_a_line_breaks_between_words_and_a_command_stays_whole() -> None:
    assert list(wrapped(LINE, 60)) == [
        "  disputed: report 18: what came back is not what was asked",
        "      for; `orchestrator resolve 18 --accept-file` takes it",
        "      as it is",
    ]


@pytest.mark.parametrize("width", [None, len(LINE)])
def test_what_fits_or_goes_to_no_terminal_stays_one_line(width: int | None) -> None:
    assert list(wrapped(LINE, width)) == [LINE]


def test_rows_of_a_table_stay_as_they_are() -> None:
    row = "abcd1234  SMS outbound            31 d"
    assert list(wrapped(row, 20)) == [row]


@given(
    st.lists(st.text("ab`,-", min_size=1, max_size=30), min_size=1).map(" ".join),
    st.integers(10, 60),
)
def test_no_word_is_lost_and_only_whole_words_are_too_long(line: str, width: int) -> None:
    pieces = list(wrapped(line, width))
    assert " ".join(piece.strip() for piece in pieces) == line
    for piece in pieces:
        assert len(piece) <= width or " " not in piece.strip() or "`" in piece


def test_a_stream_that_is_no_terminal_has_no_width() -> None:
    assert terminal_width(io.StringIO()) is None
