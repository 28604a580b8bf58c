"""How benchmarks say what they found: tables, plots, results.md, the command line."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from benchmarks import __main__ as bench
from benchmarks import plots, results
from benchmarks.sections import Figure, Section, Table, markdown, table_of, text

if TYPE_CHECKING:
    from pathlib import Path

SECTION = Section(
    title="Speed",
    about="What was done.",
    tables=(Table("fast", ("what", "s"), (("one", "1.5"), ("two", "2.5"))),),
    figures=(Figure("one", "≤ 2 s", "1.5 s", is_met=True), Figure("two", "≤ 2 s", "2.5 s", False)),
    plots={"speed": "<svg/>"},
    remarks=("It was warm.",),
)


def test_a_section_as_markdown() -> None:
    assert markdown(SECTION) == (
        "What was done.\n\n"
        "**fast**\n\n| what | s |\n| --- | ---: |\n| one | 1.5 |\n| two | 2.5 |\n\n"
        "**figures to reach**\n\n| what | to reach | measured |  |\n| --- | ---: | ---: | ---: |\n"
        "| one | ≤ 2 s | 1.5 s | met |\n| two | ≤ 2 s | 2.5 s | missed |\n\n"
        "![speed](plots/speed.svg)\n\n- It was warm."
    )


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (12345, "12,345"),
        (0.12345, "0.123"),
        (1234.5, "1,234"),
        (True, "yes"),
        (None, ""),
        ("a", "a"),
    ],
)
def test_cells_are_short(value: object, cell: str) -> None:
    assert text(value) == cell


def test_rows_of_keys_make_a_table() -> None:
    assert table_of("t", [{"a": 1, "b": 0.5}]) == Table("t", ("a", "b"), (("1", "0.5"),))
    assert table_of("t", []) == Table("t", (), ())


def test_results_replace_only_the_section_that_was_run(tmp_path: Path) -> None:
    results.update(tmp_path, "b", SECTION, "bench b", ("a", "b"))
    results.update(tmp_path, "a", Section("First", "old"), "bench a", ("a", "b"))
    before = results.read((tmp_path / "results.md").read_text("utf-8"))
    results.update(tmp_path, "a", Section("First", "new"), "bench a", ("a", "b"))
    after = results.read((tmp_path / "results.md").read_text("utf-8"))
    assert list(after) == ["a", "b"]
    assert after["b"] == before["b"]
    assert after["a"].startswith("## First\n\nnew\n\n<sub>`bench a` · ")
    assert (tmp_path / "plots" / "speed.svg").read_text("utf-8") == "<svg/>"


def test_a_section_of_a_benchmark_that_is_gone_is_kept(tmp_path: Path) -> None:
    results.update(tmp_path, "old", SECTION, "bench old", ("old",))
    results.update(tmp_path, "new", SECTION, "bench new", ("new",))
    assert list(results.read((tmp_path / "results.md").read_text("utf-8"))) == ["new", "old"]


def test_the_commit_tells_of_changes_but_not_of_the_results_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run([*git, *words], check=True)
    results.update(folder, "a", SECTION, "bench a", ("a",))
    assert re.fullmatch("[0-9a-f]+", results.commit(folder))
    (tmp_path / "program.py").touch()
    assert re.fullmatch("[0-9a-f]+[+]", results.commit(folder))


def test_outside_of_git_the_commit_is_unknown(tmp_path: Path) -> None:
    assert results.commit(tmp_path) == "unknown"


@pytest.mark.parametrize(
    ("points", "log_x", "log_y"),
    [
        ([(100, 1.2), (1000, 1.1), (10_000, 1.01)], True, False),
        ([(100, 0.001), (1000, 12.0)], True, True),
        ([(5, 5)], False, False),
        ([(5, 0), (6, 0)], False, False),
        ([], False, False),
    ],
    ids=["log x", "both", "one point", "all zero", "none"],
)
def test_a_plot_is_svg_with_every_point_inside(
    points: list[tuple[float, float]], *, log_x: bool, log_y: bool
) -> None:
    svg = plots.lines("a <b>", "x", "y", {"l & m": points}, log_x=log_x, log_y=log_y)
    tree = ET.fromstring(svg)
    marks = [one for one in tree.iter() if one.tag.endswith("circle")]
    assert len(marks) == len(points)
    assert all(69.9 <= float(one.attrib["cx"]) <= 570.1 for one in marks)
    assert all(39.9 <= float(one.attrib["cy"]) <= 310.1 for one in marks)
    words = [one.text for one in tree.iter() if one.tag.endswith("text")]
    assert "a <b>" in words
    assert "l & m" in words


def test_an_unknown_benchmark_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["makespan", "speed"]) == 2
    assert capsys.readouterr().err.startswith("no benchmark speed; there are makespan, ")


def test_quick_runs_write_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Their numbers mean nothing."""
    monkeypatch.setattr(bench, "HERE", tmp_path)
    monkeypatch.setattr(bench, "measure", lambda *_: SECTION)
    assert bench.main(["makespan", "--quick"]) == 0
    assert bench.main(["makespan", "--no-write"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert "missed" in capsys.readouterr().out


def test_a_run_writes_its_command_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "HERE", tmp_path)
    monkeypatch.setattr(bench, "measure", lambda *_: SECTION)
    assert bench.main(["keys", "--sizes", "5,10", "--only", "20"]) == 0
    written = (tmp_path / "results.md").read_text("utf-8")
    assert "<sub>`python -m benchmarks keys --sizes 5,10 --only '20'` · " in written
