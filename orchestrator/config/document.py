"""A YAML file that has been read: its tree, the place of each key, and what is wrong with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from orchestrator.config.messages import shown
from orchestrator.config.parsers import InvalidValue
from orchestrator.errors import Mistake

T = TypeVar("T")
V = TypeVar("V")

KeyPath = tuple[str | int, ...]
"""The way to a key: names of keys, and numbers of list entries from 0."""

Plain = str | list[Any] | dict[str, Any] | None

MAX_FINDINGS: Final = 200
"""Mistakes, or warnings, of a file that are told; one that has more is not repaired by lines."""

_CREDENTIALS: Final = "credentials"
"""At the top of a config: a misplaced secret may stand as a key below it."""

_SHOWN_BELOW: Final = frozenset({"api_key", "api_secret"})

_SHOWN_NAMES: Final = frozenset({"default", *_SHOWN_BELOW})
"""As names of credentials; another is one only where a key of ours stands below it."""


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """A file's content and where each part of it stands."""

    file: str  # as the user named it
    # dictionaries, lists, text and None; at the top always a dictionary
    content: dict[str, Any] = field(default_factory=dict)
    values: dict[KeyPath, SourcePosition] = field(default_factory=dict)  # the place of each value
    keys: dict[KeyPath, SourcePosition] = field(default_factory=dict)  # the place of each key
    # what is wrong with the file and yet leaves it readable: keys given twice
    mistakes: list[Mistake] = field(default_factory=list)

    def mistake(
        self, path: KeyPath, what: str, remedy: str = "", *, at_key: bool = False
    ) -> Mistake:
        """A mistake at the value (or the key) of `path`, or at the nearest thing around it.

        A path that the file does not hold is cut to what it holds, since short forms have less.
        """
        while path and path not in self.values:
            path = path[:-1]
        place = self.keys.get(path) if at_key else None
        place = place or self.values.get(path)
        line, column = (place.line, place.column) if place else (0, 0)
        return Mistake(self.file, line, column, spelled(path), what, remedy)

    def place(self, path: KeyPath) -> str:
        """``line 12``, for naming a second place in a message."""
        line = self.mistake(path, "").line
        return f"line {line}" if line else "the top"


def spelled(path: KeyPath) -> str:
    """``windows[2].to``; what stands below ``credentials`` and is not known is not shown."""
    text = ""
    for depth, part in enumerate(path):
        if depth > 0 and path[0] == _CREDENTIALS and not _may_be_shown(path, depth):
            return f"{text}.…"
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{shown(part)}" if text else shown(part)
    return text


def _may_be_shown(path: KeyPath, depth: int) -> bool:
    """Whether a part of a path below ``credentials`` is surely no secret in the wrong place."""
    if depth > 1:
        return path[depth] in _SHOWN_BELOW
    return path[1] in _SHOWN_NAMES or path[2:3] in {(part,) for part in _SHOWN_BELOW}


def bounded(found: Sequence[Mistake], file: str) -> list[Mistake]:
    """The first `MAX_FINDINGS` of them, and a word where there are more."""
    if len(found) <= MAX_FINDINGS:
        return list(found)
    return [*found[:MAX_FINDINGS], Mistake(file, 0, 0, "", "and more of this kind in this file")]


_MOST_KEPT: Final = 10 * MAX_FINDINGS
"""Of each kind; the first of them by lines are told, in whatever order they were found."""


@dataclass(slots=True)
class Findings:
    """Collects what is found in a document, each thing once, in the order of the lines."""

    document: Document
    _mistakes: dict[Mistake, None] = field(default_factory=dict)
    _warnings: dict[Mistake, None] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many mistakes there are so far: whether it grows says if a part is sound."""
        return len(self._mistakes)

    def mistake(self, path: KeyPath, what: str, remedy: str = "", *, at_key: bool = False) -> None:
        """Something that must be repaired before anything is sent."""
        if len(self._mistakes) < _MOST_KEPT:
            self._mistakes.setdefault(self.document.mistake(path, what, remedy, at_key=at_key))

    def read(self, path: KeyPath, parse: Callable[[V], T], value: V) -> T | None:
        """What is made of a value; None where it is not what belongs there, which is noted."""
        try:
            return parse(value)
        except InvalidValue as unfit:
            self.mistake(path, unfit.what, unfit.remedy)
            return None

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
