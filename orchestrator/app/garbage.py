"""Python's search for garbage in cycles, made rare: each full one stops the event loop."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_THRESHOLDS: Final = (50_000, 20, 50)
"""New objects before the youngest are searched, and how often the older ones are.

A run makes hardly any cycles, and what it keeps is bounded. By default the search comes every 700
objects and a full one every few seconds, which stops the loop for some 50 ms and takes a tenth of
a busy run's CPU.
"""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Searches rarely while inside, and never again what was there before: modules, mostly."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
