"""Lengths of time and moments, as short as a display needs them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400


def length(span: timedelta | float) -> str:
    """A length of time in its two largest units: ``31 s``, ``2 min 05 s``, ``3 h 20 min``."""
    seconds = round(span.total_seconds() if isinstance(span, timedelta) else span)
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min {seconds % _MINUTE:02} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE:02} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def calendar_length(seconds: float) -> str:
    """Time that is asked for, in days or hours: ``31 d``, ``12 h``; ``0`` where there is none."""
    if seconds <= 0:
        return "0"
    if seconds < _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:,.0f} d"
