"""How long reports take: what finished before says when to look at what is open."""

from __future__ import annotations

from typing import NamedTuple


class Taken(NamedTuple):
    """How long one report took.

    Attributes:
        rows: records in its file.
        seconds: from when its id was known to when it was seen finished.
    """

    rows: int
    seconds: float
