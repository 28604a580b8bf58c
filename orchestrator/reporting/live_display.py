"""Draws how a run goes on a terminal: a row for each account and product, and the totals."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final

import anyio
from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.core.events import Facts
from orchestrator.reporting.phrases import calendar_length, counted, length, size_words
from orchestrator.reporting.run_stats import RowStats, RunStats
from orchestrator.reporting.wrapping import wrapped
from orchestrator.texts import printable

EVERY_SECONDS: Final = 0.25  # Seconds between two drawings.

MAX_ROWS: Final = 24
"""Maximum number of accounts and products that are drawn, on the tallest terminal."""

_OTHER_LINES: Final = 8
"""Lines of the terminal that the rows leave free: headers, totals, what is printed above."""

_WIDE: Final = 104  # Columns of a terminal that has room for a bar and a size in each row.

_DOT: Final = "  ·  "
_STYLES: Final = {"warning": "yellow", "error": "bold red"}


class LiveDisplay:
    """Draws a table on a terminal, a few times a second, and prints notes above it, masked."""

    def __init__(self, console: Console, mask: Callable[[str], str]) -> None:
        self._console = console
        self._mask = mask
        self._live: Live | None = None

    def note(self, level: str, text: str, _facts: Facts) -> None:
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
            last = picture(stats, title, self._console.size, has_ended=True)
            self._live.update(last, refresh=True)
            self.close()

    def close(self) -> None:
        """Gives the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def picture(
    stats: RunStats, title: str, size: ConsoleDimensions, *, has_ended: bool = False
) -> RenderableType:
    """The table as it stands, in at most `size.height` lines, however many rows there are."""
    rows, hidden = _busiest(stats, max(3, min(MAX_ROWS, size.height - _OTHER_LINES)))
    slowest = stats.slowest()
    has_failed = any(row.ended_badly for row in rows)
    wide = size.width >= _WIDE + (len("failed  ") if has_failed else 0)
    table = Table(box=None, padding=(0, 2, 0, 0) if wide else (0, 1, 0, 0), header_style="bold")
    table.add_column("account", no_wrap=True)
    table.add_column("product", no_wrap=True)
    table.add_column("done", no_wrap=True, justify="right")
    if wide:
        table.add_column("", no_wrap=True)
    names = ["to ask", "waiting", "collected", *(["failed"] if has_failed else []), "rows"]
    for name in [*names, *(["size"] if wide else []), "slowest"]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        oldest = slowest.get((row.account_id, row.product))
        table.add_row(*_cells(row, oldest, wide=wide, has_failed=has_failed))
    parts: list[RenderableType] = [Text(title, style="bold cyan"), table]
    if hidden:
        parts.append(Text(f"and {hidden:,} more", style="dim"))
    parts.append(_totals(stats, has_ended=has_ended))
    return Group(*parts)


def _busiest(stats: RunStats, limit: int) -> tuple[list[RowStats], int]:
    """At most `limit` rows in their order, those with open reports first; how many are hidden."""
    rows = list(stats.rows())
    if len(rows) <= limit:
        return rows, 0
    ranked = sorted(
        range(len(rows)), key=lambda at: (not rows[at].is_busy, rows[at].is_complete, at)
    )
    return [rows[at] for at in sorted(ranked[:limit])], len(rows) - limit


def _cells(
    row: RowStats, oldest: timedelta | None, *, wide: bool, has_failed: bool
) -> Iterator[RenderableType]:
    yield row.account_id
    yield row.product
    yield f"{_percent(row):.0f} %"
    if wide:
        yield _bar(row, 14)
    yield calendar_length(row.owed_seconds)
    yield f"{row.waiting:,}" + (f"+{row.fetching}" if row.fetching else "")
    yield f"{row.collected:,}"
    if has_failed:
        yield Text(f"{row.ended_badly:,}", style="red" if row.ended_badly else "")
    yield f"{row.rows:,}"
    if wide:
        yield size_words(row.size_bytes)
    yield length(oldest) if oldest is not None else ""


def _percent(row: RowStats) -> float:
    """The share of the wanted time that is collected; a row that wants nothing is complete."""
    return 100 * row.collected_seconds / row.wanted_seconds if row.wanted_seconds else 100.0


def _bar(row: RowStats, width: int) -> ProgressBar:
    # Rich's own colour for what is under way is a red that looks like an alarm.
    return ProgressBar(total=100.0, completed=_percent(row), width=width, complete_style="cyan")


def _totals(stats: RunStats, *, has_ended: bool) -> RenderableType:
    total = stats.sum()
    elapsed = stats.elapsed.total_seconds()
    per_minute = 60 * total.collected / elapsed if elapsed else 0.0
    remaining = None if has_ended else stats.remaining()
    times = [length(elapsed)]
    if remaining is not None and total.collected_seconds < total.wanted_seconds:
        times.append(f"about {length(remaining)} left")
    numbers = [
        f"{counted(total.collected, 'report')} ({per_minute:,.0f} a minute)",
        counted(total.rows, "row"),
        size_words(total.size_bytes),
        counted(stats.requests(), "request"),
    ]
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(f"{_percent(total):3.0f} %", style="bold"), _bar(total, 30), _DOT.join(times))
    return Group(Text(), grid, Text(f"      {_DOT.join(numbers)}"))
