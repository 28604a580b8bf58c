"""Where files stand: as the contract says, and never outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect import layout
from orchestrator.core.intervals import Window
from orchestrator.core.model import Series
from orchestrator.core.settings import Format
from orchestrator.errors import OutputError
from tests.kit.archives import JANUARY, SMS

PART = re.compile(r"[A-Za-z0-9._%=-]{1,200}")
FILTERED = Series.of("abcd1234", "VOICE", fields={"status": "completed"})


@pytest.mark.parametrize(
    ("series", "form", "path"),
    [
        (
            SMS,
            Format.CSV,
            (
                "report_account=abcd1234/report_product=SMS/report_direction=outbound/"
                "report_filter=all/20240101T000000Z_20240201T000000Z.csv"
            ),
        ),
        (
            FILTERED,
            Format.CSV_GZ,
            (
                "report_account=abcd1234/report_product=VOICE-CALL/report_direction=any/"
                f"report_filter={FILTERED.filter_id}/20240101T000000Z_20240201T000000Z.csv.gz"
            ),
        ),
        (
            Series.of("../../etc", "A/B\\C\0", "inbound"),
            Format.ZIP,
            (
                "report_account=..%2F..%2Fetc/report_product=A%2FB%5CC%00/"
                "report_direction=inbound/report_filter=all/20240101T000000Z_20240201T000000Z.zip"
            ),
        ),
    ],
)
def test_four_levels_and_a_window(series: Series, form: Format, path: str) -> None:
    assert layout.target(series, JANUARY, form) == path
    assert layout.target_path(Path("/out"), path) == Path("/out") / path
    assert layout.format_of(path) is form


def test_windows_of_hours_have_names_of_their_own() -> None:
    hour = Window.of_epoch(1704067200, 1704070800)
    assert layout.target(SMS, hour, Format.CSV).endswith("/20240101T000000Z_20240101T010000Z.csv")


@given(account=st.text(), product=st.text(min_size=1), direction=st.none() | st.text())
def test_nothing_untrusted_leads_out(account: str, product: str, direction: str | None) -> None:
    path = layout.target(Series.of(account, product, direction), JANUARY, Format.CSV)
    parts = path.split("/")
    assert len(parts) == 5
    assert all(PART.fullmatch(part) for part in parts)
    assert layout.target_path(Path("/out"), path).is_relative_to("/out")


@given(st.text(), st.text())
def test_different_texts_have_different_names(one: str, other: str) -> None:
    assert (layout.safe(one) == layout.safe(other)) == (one == other)


@given(st.text(max_size=5), st.integers(0, 400))
def test_names_fit_into_a_folder_and_are_never_dots(text: str, repeat: int) -> None:
    name = layout.safe(text * repeat)
    assert PART.fullmatch(name)
    assert len(name) <= 140
    assert name.strip(".")


def test_long_names_that_begin_alike_differ() -> None:
    assert layout.safe("x" * 500) != layout.safe("x" * 501)


@pytest.mark.parametrize(
    "text", ["/x.csv", "..", "a/../x.csv", "a//b", "", ".partial/x.csv", "a\\b", "a\0b", "a\nb"]
)
def test_paths_that_leave_or_hide_are_known(text: str) -> None:
    assert not layout.is_inside(text)


def test_a_name_of_no_known_format_is_refused() -> None:
    with pytest.raises(OutputError) as caught:
        layout.format_of("a/b.exe")
    assert str(caught.value) == (
        "the file name 'a/b.exe' ends in none of .csv, .csv.gz, .csv.zst, .zip, .parquet; "
        "check the ledger"
    )


@pytest.mark.parametrize("name", ["manifest.jsonl", "report_account=abcd1234"])
def test_a_directory_with_files_of_ours_is_known(tmp_path: Path, name: str) -> None:
    assert not layout.holds_files(tmp_path / "not there")
    (tmp_path / ".partial").mkdir()
    assert not layout.holds_files(tmp_path)
    (tmp_path / name).mkdir()
    assert layout.holds_files(tmp_path)
