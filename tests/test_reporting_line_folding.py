"""Lines of one cause are told a few times, then counted."""

from __future__ import annotations

import pytest

from orchestrator.core.events import Facts
from orchestrator.reporting.line_folding import MAX_ALIKE, LineFolding


class Said:
    """What was passed on."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, level: str, text: str, facts: Facts) -> None:
        self.lines.append(f"{level}: {text}")


def test_equal_causes_are_told_a_few_times_and_counted() -> None:
    """Before: 10,000 refused accounts were 10,000 lines."""
    said = Said()
    folding = LineFolding(said)
    for number in range(10_000):
        folding.note("error", f"account a{number:07}: refused by the API: HTTP 403", {})
    assert said.lines == [
        f"error: account a{number:07}: refused by the API: HTTP 403" for number in range(MAX_ALIKE)
    ]
    folding.count_aloud()
    assert said.lines[MAX_ALIKE:] == [
        "error: 9,997 more like this: account a0000000: refused by the API: HTTP 403"
    ]
    folding.count_aloud()
    assert len(said.lines) == MAX_ALIKE + 1, "what was counted is not counted again"


def test_other_causes_and_other_levels_are_told_apart() -> None:
    said = Said()
    folding = LineFolding(said)
    for level in ("warning", "error"):
        for cause in ("its file is gone", "the API says FAILED"):
            for number in range(5):
                folding.note(level, f"report {number}: {cause}", {})
    assert len(said.lines) == 4 * MAX_ALIKE
    folding.count_aloud()
    assert said.lines[-1] == "error: 2 more like this: report 0: the API says FAILED"
    assert len(said.lines) == 4 * (MAX_ALIKE + 1)


@pytest.mark.parametrize(
    "text",
    [
        "report {number} (abcd1234 SMS outbound country={word}, 2025-02-10 to 2025-03-01): FAILED",
        "account cafe0002: refused: POST /v2/reports for cafe0002 {word} inbound, 2025-02-10: 403",
    ],
)
def test_equal_causes_of_other_series_are_one(text: str) -> None:
    """Before: 18 countries were 18 causes, and each had its lines."""
    said = Said()
    folding = LineFolding(said)
    for number in range(18):
        folding.note("warning", text.format(number=number, word=f"{chr(65 + number)}Z"), {})
    folding.count_aloud()
    assert len(said.lines) == MAX_ALIKE + 1
    assert said.lines[-1].startswith("warning: 15 more like this: ")


def test_very_many_causes_do_not_grow_without_bound() -> None:
    said = Said()
    folding = LineFolding(said)
    for number in range(2000):
        words = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        folding.note("error", f"cause {words}", {})
    folding.count_aloud()
    assert len(said.lines) < 1010
    assert said.lines[-1].endswith("more like this: cause baaa")
