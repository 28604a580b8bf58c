"""Plots as SVG, drawn by hand: a chart of lines is not worth a dependency."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Points = Sequence[tuple[float, float]]

_WIDTH: Final = 760
_HEIGHT: Final = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 50
_COLOURS: Final = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Points],
    *,
    log_x: bool = False,
    log_y: bool = False,
    floor: float = 0.0,
) -> str:
    """A chart of lines with marks, as an SVG document.

    Args:
        title: above the chart.
        x_label: below it.
        y_label: beside it.
        series: points by the name of their line.
        log_x: the x axis is logarithmic; so are all its values above zero.
        log_y: the y axis too.
        floor: where a y axis that is not logarithmic begins.
    """
    points = [point for line in series.values() for point in line]
    x_axis = _Axis([x for x, _ in points], log=log_x, floor=None)
    y_axis = _Axis([y for _, y in points], log=log_y, floor=floor)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + x_axis.share(x) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - y_axis.share(y) * (_HEIGHT - _TOP - _BOTTOM),
        )

    drawn = [_text(_WIDTH / 2, 20, title, size=15), *_grid(x_axis, y_axis, at)]
    drawn.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, x_label))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    drawn.append(_text(16, middle, y_label, more=f' transform="rotate(-90 16 {middle:.0f})"'))
    for number, (name, line) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [at(x, y) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(places) <= 40:
            drawn += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places
            ]
        y = _TOP + 14 + 16 * number
        x = _WIDTH - _RIGHT + 14
        drawn.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        drawn.append(_text(x + 16, y, name, anchor="start"))
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


class _Axis:
    """Where values stand between the two ends of an axis, and what is written at it."""

    def __init__(self, values: Sequence[float], *, log: bool, floor: float | None) -> None:
        low, high = min(values, default=0.0), max(values, default=1.0)
        self._log = log
        if log:
            self.ticks = _powers(low, high)
        else:
            self.ticks = _steps(low if floor is None else min(floor, low), high)
        self._low, self._high = self._scaled(self.ticks[0]), self._scaled(self.ticks[-1])

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        return (self._scaled(value) - self._low) / (self._high - self._low)


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten around the values; two of them at the least."""
    first = math.floor(math.log10(low) + 1e-9)
    last = max(first + 1, math.ceil(math.log10(high) - 1e-9))
    return [10.0**power for power in range(first, last + 1)]


def _steps(low: float, high: float) -> list[float]:
    """Round numbers around the values, five or so; two of them at the least."""
    rough = (high - low or abs(high) or 1.0) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * size for size in (1, 2, 5, 10) if power * size >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    return [step * number for number in range(first, last + 1)]


def _grid(
    x_axis: _Axis, y_axis: _Axis, at: Callable[[float, float], tuple[float, float]]
) -> list[str]:
    drawn = []
    for tick in x_axis.ticks:
        x, bottom = at(tick, y_axis.ticks[0])
        _, top = at(tick, y_axis.ticks[-1])
        drawn += [_line(x, bottom, x, top), _text(x, bottom + 18, _number(tick))]
    for tick in y_axis.ticks:
        left, y = at(x_axis.ticks[0], tick)
        right, _ = at(x_axis.ticks[-1], tick)
        drawn += [_line(left, y, right, y), _text(left - 6, y + 4, _number(tick), anchor="end")]
    return drawn


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#d0d7de"/>'


def _text(
    x: float, y: float, words: str, *, size: int = 12, anchor: str = "middle", more: str = ""
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="#24292f"{more}>{escape(words)}</text>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
