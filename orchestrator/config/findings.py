"""Where the reading of one file puts what it finds: mistakes, and warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from orchestrator.errors import Mistake

if TYPE_CHECKING:
    from orchestrator.config.nodes import Document, KeyPath
    from orchestrator.config.values import Unfit

MAX_FINDINGS: Final = 200
"""Of each kind and file; a file that has more is not repaired line by line."""


@dataclass(slots=True)
class Findings:
    """Collects what is found in a document, each thing once, in the order of the lines."""

    document: Document
    _mistakes: dict[Mistake, None] = field(default_factory=dict)
    _warnings: dict[Mistake, None] = field(default_factory=dict)

    def mistake(self, path: KeyPath, what: str, remedy: str = "", *, at_key: bool = False) -> None:
        """Something that must be repaired before anything is sent."""
        self._mistakes.setdefault(self.document.mistake(path, what, remedy, at_key=at_key))

    def unfit(self, path: KeyPath, unfit: Unfit) -> None:
        """A value that could not be read."""
        self.mistake(path, unfit.what, unfit.remedy)

    def warning(self, path: KeyPath, what: str, remedy: str = "", *, at_key: bool = False) -> None:
        """Something that is probably not meant so, and is done all the same."""
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
        if len(found) > MAX_FINDINGS:
            rest = "and more of this kind in this file"
            return [*found[:MAX_FINDINGS], Mistake(self.document.file, 0, 0, "", rest)]
        return found
