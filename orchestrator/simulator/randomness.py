"""What follows from the seed: ids, durations, styles."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.simulator.settings import Settings


class SeededRandom:
    """The draws of one world, begun at one moment (in seconds since 1970)."""

    def __init__(self, settings: Settings, began: float) -> None:
        self._settings = settings
        self._began = began

    def _drawn(self, what: str, number: int) -> bytes:
        return blake2b(f"{self._settings.seed}:{what}:{number}".encode(), digest_size=16).digest()

    def style(self, number: int) -> int:
        """Picks a dialect, where the world mixes them: 0 to 255."""
        return self._drawn("style", number)[0]

    def uuid(self, what: str, number: int) -> str:
        """An id; of another world, or of the same one begun at another moment, it is another."""
        text = self._drawn(f"{self._settings.salt}:{self._began}:{what}", number).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def duration(self, rows: float, number: int) -> float:
        """How many seconds a report of about so many rows takes."""
        settings = self._settings
        mean = (
            settings.processing_time.total_seconds()
            + settings.processing_time_per_row.total_seconds() * rows
        )
        drawn = int.from_bytes(self._drawn("duration", number)[:4], "big") / 2**32
        return mean * (1 + settings.processing_jitter * (2 * drawn - 1))
