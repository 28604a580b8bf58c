"""What a benchmark says: tables, figures to reach, plots; and how people get to see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure to reach, and what was measured.

    Attributes:
        what: that is measured, in words.
        goal: to reach, in words.
        measured: in the same unit.
        is_met: whether it was reached; None where there is no telling here, see the remarks.
    """

    what: str
    goal: str
    measured: str
    is_met: bool | None

    @property
    def verdict(self) -> str:
        """In a word or two."""
        return {True: "met", False: "missed", None: "not told"}[self.is_met]


@dataclass(frozen=True, slots=True)
class Section:
    """All that a benchmark has to say.

    Attributes:
        title: a line.
        about: what was done, in a paragraph.
        plots: SVG documents by the name of their file, without the suffix.
        remarks: what a reader must know to judge the numbers.
    """

    title: str
    about: str
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    plots: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def all_tables(self) -> tuple[Table, ...]:
        """The tables, and one of the figures if there are any."""
        rows = tuple((one.what, one.goal, one.measured, one.verdict) for one in self.figures)
        figures = Table("figures to reach", ("what", "to reach", "measured", ""), rows)
        return (*self.tables, figures) if rows else tuple(self.tables)


def table_of(title: str, rows: Sequence[Mapping[str, object]]) -> Table:
    """A table of rows that all have the first one's keys."""
    columns = tuple(rows[0]) if rows else ()
    return Table(title, columns, tuple(tuple(text(row[key]) for key in columns) for row in rows))


def text(value: object) -> str:
    """A value as a cell: short, and with thousands marked."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value)


def show(section: Section, console: Console) -> None:
    """Prints a section."""
    console.rule(escape(section.title))
    for table in section.all_tables:
        shown = RichTable(title=escape(table.title), title_justify="left")
        for number, column in enumerate(table.columns):
            shown.add_column(escape(column), justify="right" if number else "left")
        for row in table.rows:
            shown.add_row(*(escape(cell) for cell in row))
        console.print(shown)
    for remark in section.remarks:
        console.print(f"· {escape(remark)}")


def markdown(section: Section) -> str:
    """A section for results.md, without its heading; plots are linked from `plots/`."""
    parts = [section.about]
    parts += [f"**{table.title}**\n\n{_rows(table)}" for table in section.all_tables]
    parts += [f"![{name}](plots/{name}.svg)" for name in section.plots]
    if section.remarks:
        parts.append("\n".join(f"- {remark}" for remark in section.remarks))
    return "\n\n".join(parts)


def _rows(table: Table) -> str:
    rule = " | ".join("---:" if number else "---" for number in range(len(table.columns)))
    lines = [" | ".join(table.columns), rule, *(" | ".join(row) for row in table.rows)]
    return "\n".join(f"| {line} |" for line in lines)
