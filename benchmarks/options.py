"""What a user says on the command line about how benchmarks are run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.worlds import Case


@dataclass(frozen=True, slots=True)
class Options:
    """How benchmarks are run.

    Attributes:
        sizes: how many reports; None: each benchmark's own choice.
        only: cases whose name does not hold this are left out.
        quick: sizes at which everything runs through in seconds; the figures then mean nothing.
        folder: for large files that are worth keeping between runs; None: a temporary one.
    """

    sizes: tuple[int, ...] | None = None
    only: str = ""
    quick: bool = False
    folder: Path | None = None

    def chosen(self, cases: Iterable[Case]) -> list[Case]:
        """Those that are not left out."""
        return [case for case in cases if self.only in case.name]
