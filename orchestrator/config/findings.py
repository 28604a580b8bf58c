"""Where the reading of one file puts what it finds: mistakes, and warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from orchestrator.config.yaml_tree import MAX_FINDINGS, bounded

if TYPE_CHECKING:
    from orchestrator.config.parsers import InvalidValue
    from orchestrator.config.yaml_tree import Document, KeyPath
    from orchestrator.errors import Mistake

_MOST_KEPT: Final = 10 * MAX_FINDINGS
"""Of each kind; the first of them by lines are told, in whatever order they were found."""


@dataclass(slots=True)
class Findings:
    """Collects what is found in a document, each thing once, in the order of the lines."""

    document: Document
    _mistakes: dict[Mistake, None] = field(default_factory=dict)
    _warnings: dict[Mistake, None] = field(default_factory=dict)

    def mistake(self, path: KeyPath, what: str, remedy: str = "", *, at_key: bool = False) -> None:
        """Something that must be repaired before anything is sent."""
        if len(self._mistakes) < _MOST_KEPT:
            self._mistakes.setdefault(self.document.mistake(path, what, remedy, at_key=at_key))

    def unfit(self, path: KeyPath, unfit: InvalidValue) -> None:
        """A value that could not be read."""
        self.mistake(path, unfit.what, unfit.remedy)

    def warning(self, path: KeyPath, what: str, remedy: str = "", *, at_key: bool = False) -> None:
        """Something that is probably not meant so, and is done all the same."""
        if len(self._warnings) < _MOST_KEPT:
            self._warnings.setdefault(self.document.mistake(path, what, remedy, at_key=at_key))

    @property
    def mistakes(self) -> list[Mistake]:
        """All mistakes, those of the YAML itself included."""
        return self._in_order([*self.document.mistakes, *self._mistakes])

    @property
    def warnings(self) -> list[Mistake]:
        """All warnings."""
        return self._in_order(list(self._warnings))

    def _in_order(self, found: list[Mistake]) -> list[Mistake]:
        found.sort(key=lambda mistake: (mistake.line, mistake.column))
        return bounded(found, self.document.file)
