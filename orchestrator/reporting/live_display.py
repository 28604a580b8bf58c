"""The display for a terminal: a line an account and product, and one for the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.reporting.phrases import calendar_length, counted, length, size_words
from orchestrator.reporting.wrapping import wrapped
from orchestrator.texts import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from rich.console import Console, ConsoleDimensions, RenderableType

    from orchestrator.core.model import FieldValue
    from orchestrator.reporting.run_stats import RowStats, RunStats

EVERY_SECONDS: Final = 0.25
MOST_ROWS: Final = 24
_AROUND_ROWS: Final = 8
"""Lines of the terminal that the rows leave free: heads, the whole, what is printed above."""
_WIDE: Final = 96
"""Columns of a terminal that has room for bars and sizes."""
_DOT: Final = "  ·  "
_STYLES: Final = {"warning": "yellow", "error": "bold red"}


class LiveDisplay:
    """Draws the board in place, a few times a second, and prints notes above it.

    Args:
        console: on standard error; a terminal.
        mask: takes secrets out of texts.
    """

    def __init__(self, console: Console, mask: Callable[[str], str]) -> None:
        self._console = console
        self._mask = mask
        self._live: Live | None = None

    def note(self, level: str, text: str, _facts: Mapping[str, FieldValue | float | None]) -> None:
        """Prints a line above the drawing."""
        message = printable(text)
        line = self._mask(message if level == "info" else f"{level}: {message}")
        for piece in wrapped(line, self._console.width):
            self._console.print(Text(piece, style=_STYLES.get(level, "dim")), soft_wrap=True)

    async def keep_up(self, stats: RunStats, jobs: Sequence[str]) -> None:
        """Draws until cancelled; what was drawn last stays on the screen."""
        title = f"run {', '.join(jobs)}"
        self._live = Live(
            picture(stats, title, self._console.size),
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
        )
        self._live.start(refresh=True)
        try:
            while True:
                await anyio.sleep(EVERY_SECONDS)
                self._live.update(picture(stats, title, self._console.size), refresh=True)
        finally:
            self._live.update(picture(stats, title, self._console.size), refresh=True)
            self.close()

    def close(self) -> None:
        """Gives the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def picture(stats: RunStats, title: str, place: ConsoleDimensions) -> RenderableType:
    """The board as it stands, in at most `place.height` lines, however many rows it has."""
    shown, hidden = _busiest(stats, max(3, min(MOST_ROWS, place.height - _AROUND_ROWS)))
    slowest = stats.slowest()
    wide = place.width >= _WIDE
    table = Table(box=None, padding=(0, 2, 0, 0) if wide else (0, 1, 0, 0), header_style="bold")
    table.add_column("account", no_wrap=True)
    table.add_column("product", no_wrap=True)
    table.add_column("", no_wrap=True, justify="right")
    for name in ("owed", "waiting", "collected", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("size", justify="right", no_wrap=True)
    table.add_column("slowest", justify="right", no_wrap=True)
    for row in shown:
        table.add_row(*_cells(row, slowest.get((row.account_id, row.product)), wide=wide))
    parts: list[RenderableType] = [Text(title, style="bold cyan"), table]
    if hidden:
        parts.append(Text(f"and {hidden:,} more", style="dim"))
    parts.append(_whole(stats))
    return Group(*parts)


def _busiest(stats: RunStats, most: int) -> tuple[list[RowStats], int]:
    """The rows worth a line, in their order: those at work first, then those with work left."""
    rows = list(stats.rows())
    if len(rows) <= most:
        return rows, 0
    ranked = sorted(
        range(len(rows)),
        key=lambda at: (not rows[at].is_busy, rows[at].is_complete, at),
    )
    return [rows[at] for at in sorted(ranked[:most])], len(rows) - most


def _cells(row: RowStats, slowest: timedelta | None, *, wide: bool) -> list[RenderableType]:
    cells: list[RenderableType] = [
        row.account_id,
        row.product,
        _bar(row, 14) if wide else f"{_percent(row):.0f} %",
        calendar_length(row.owed_seconds),
        f"{row.waiting:,}" + (f"+{row.fetching}" if row.fetching else ""),
        Text.assemble(
            f"{row.collected:,}", (f" !{row.ended_badly:,}", "red") if row.ended_badly else ""
        ),
        f"{row.rows:,}",
    ]
    if wide:
        cells.append(size_words(row.size_bytes))
    return [*cells, length(slowest) if slowest is not None else ""]


def _percent(row: RowStats) -> float:
    """The share of the wanted time that is collected; a row that wants nothing is complete."""
    return 100 * row.collected_seconds / row.wanted_seconds if row.wanted_seconds else 100.0


def _bar(row: RowStats, width: int) -> ProgressBar:
    return ProgressBar(total=100.0, completed=_percent(row), width=width)


def _whole(stats: RunStats) -> RenderableType:
    whole = stats.sum()
    elapsed = stats.elapsed.total_seconds()
    pace = 60 * whole.collected / elapsed if elapsed else 0.0
    left = stats.remaining()
    when = [length(elapsed)]
    if left is not None and whole.collected_seconds < whole.wanted_seconds:
        when.append(f"about {length(left)} left")
    what = [
        f"{counted(whole.collected, 'report')} ({pace:,.0f} a minute)",
        counted(whole.rows, "row"),
        size_words(whole.size_bytes),
        counted(stats.requests(), "request"),
    ]
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(f"{_percent(whole):3.0f} %", style="bold"), _bar(whole, 30), _DOT.join(when))
    return Group(Text(), grid, Text(f"      {_DOT.join(what)}"))
