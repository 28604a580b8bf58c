"""Chooses smaller windows where the API refuses the dates of a window (422).

A refused create costs nothing, so a refused window is cut at the border of what the API keeps, then
halved, down to a day, before anything of it is given up. What was learned in a run is used for the
rest of it: how long a window may be, and where the oldest records end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from orchestrator.core.chunks import even
from orchestrator.core.intervals import Window, subtract
from orchestrator.core.next_steps import ALWAYS, Buy, GiveUp

_DAY: Final = timedelta(days=1)

IN_VAIN: Final = 200
"""Refused windows of a series in a run, without one that passes, after which the run leaves it.

Whole years can be found to be too old with fewer, so the dates are not what is wrong then.
"""


@dataclass(slots=True)
class RefusedDates:
    """Which dates of one series the API has refused in this run, and which passed."""

    # the oldest moment of which it keeps records, by its clock; None until it refused one
    edge: datetime | None = None
    # by window, the reason and the report
    _refused: dict[Window, tuple[str, int]] = field(default_factory=dict)
    _passed: list[Window] = field(default_factory=list)
    _longest: timedelta = timedelta()
    _too_long: timedelta | None = None

    def __bool__(self) -> bool:
        """Whether any window was refused."""
        return bool(self._refused)

    @property
    def in_vain(self) -> bool:
        """Whether so many were refused, and none passed, that the series is left for this run."""
        return not self._longest and len(self._refused) >= IN_VAIN

    def refuse(self, window: Window, reason: str, report_id: int, edge: datetime) -> None:
        """A window was refused, for its dates.

        Args:
            edge: the oldest moment of which the API keeps records of the series.
        """
        self.edge = edge
        self._refused[window] = reason, report_id

    def passed(self, window: Window) -> None:
        """A report of a window was made."""
        self._longest = max(self._longest, window.length)
        around = [refused for refused in self._refused if _holds(refused, window)]
        if around:
            self._passed.append(window)
        for refused in around:
            # All of it has passed in pieces: it was its length that was refused.
            if not subtract((refused,), self._passed):
                self._too_long = min(refused.length, self._too_long or refused.length)

    @property
    def number(self) -> int:
        """Number of refused windows."""
        return len(self._refused)

    @property
    def borders(self) -> frozenset[datetime]:
        """Where chunks have to end, so that each lies inside a refused window or beside it."""
        return frozenset(
            moment for window in self._refused for moment in (window.start, window.end)
        )

    def touches(self, chunk: Window) -> bool:
        """Whether a chunk lies inside a window that was refused."""
        return any(_holds(window, chunk) for window in self._refused)

    def pieces(self, chunk: Window) -> Iterator[Buy | GiveUp]:
        """What to do about a chunk that ends at the `borders`, the newest piece first.

        Inside a refused window one piece at a time is asked for, until one has passed; and no other
        window of that length meanwhile, for it may be refused as well.
        """
        around = [window for window in self._refused if _holds(window, chunk)]
        if not around:
            yield from (Buy(piece, self._alone(piece)) for piece in self._short(chunk))
            return
        refused = min(around, key=lambda window: window.length)
        alone = None if self._any_passed_in(refused) else refused
        if self._is_too_old(chunk) or (chunk == refused and refused.length <= _DAY):
            reason, report_id = self._refused[refused]
            yield GiveUp(chunk, f"the API refuses it: {reason}", report_id)
        elif chunk != refused:
            yield from (Buy(piece, alone) for piece in reversed(list(self._short(chunk))))
        else:
            yield from (Buy(piece, refused) for piece in self._parts(refused, around))

    def _parts(self, refused: Window, around: list[Window]) -> Iterator[Window]:
        """What to ask for of a window that was refused as a whole."""
        assert self.edge is not None
        if refused.start < self.edge < refused.end:
            yield Window(self.edge, refused.end)
            yield Window(refused.start, self.edge)
        elif refused.end <= self.edge and not any(map(self._any_passed_in, around)):
            # Likely all of it is too old: its newest day tells.
            yield Window(refused.end - _DAY, refused.end)
        else:
            half = -(-refused.length // (2 * _DAY)) * _DAY
            for piece in reversed(list(even(refused, max(half, _DAY)))):
                yield from reversed(list(self._short(piece)))

    def _is_too_old(self, chunk: Window) -> bool:
        """Whether a newer day was refused by itself that is older than the API keeps records."""
        assert self.edge is not None
        return any(
            chunk.end <= window.start and window.length <= _DAY and window.end <= self.edge
            for window in self._refused
        )

    def _short(self, chunk: Window) -> Iterator[Window]:
        """A chunk in pieces that are no longer than what has passed, where longer ones did not."""
        if self._too_long is None or chunk.length < self._too_long:
            yield chunk
        else:
            lengths = (window.length for window in self._passed if window.length < self._too_long)
            yield from even(chunk, max(lengths))

    def _alone(self, piece: Window) -> Window | None:
        """Whether a piece that was not refused is better not asked for beside any other."""
        shortest = min((window.length for window in self._refused), default=piece.length)
        is_long = piece.length >= shortest and piece.length > 2 * self._longest
        return ALWAYS if is_long else None

    def _any_passed_in(self, refused: Window) -> bool:
        return any(_holds(refused, window) for window in self._passed)


def _holds(outer: Window, window: Window) -> bool:
    return outer.start <= window.start and window.end <= outer.end
