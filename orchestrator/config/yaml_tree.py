"""Reads YAML text into a plain tree of text, with the place of every key and value.

Nothing is converted: ``00123456`` stays an account and ``NO`` a country. Only an unquoted empty
value, ``~`` and ``null`` become None. The tree is built from the parser's events, one by one and to
a bounded depth, so neither aliases nor deep nesting can cost more than the file's own size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import yaml

from orchestrator.config.document import (
    MAX_FINDINGS,
    Document,
    KeyPath,
    Plain,
    SourcePosition,
    bounded,
    spelled,
)
from orchestrator.config.messages import nearest
from orchestrator.config.regular_files import why_unreadable
from orchestrator.errors import InputError, Mistake
from orchestrator.presence import is_file

MAX_BYTES: Final = 2 * 1024 * 1024
"""Ten thousands of accounts fit; what is larger is some other file."""

MAX_DEPTH: Final = 16  # The deepest key of a job or config file stands at 5.


LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_QUOTE: Final = "write the value out, in quotes if it begins with that sign"


_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def read_document(
    path: Path, *, name: str | None = None, opened: Callable[[Path], BinaryIO] = _open
) -> Document:
    """The YAML file's tree.

    Args:
        name: what messages call it where it cannot even be opened; None: its path.
        opened: opens it. By default a pipe is waited for: ``run <(make-job)``.

    Raises:
        InputError: it cannot be read, or is not one YAML document of keys and values.
    """
    return parse_document(_read_text(path, name or str(path), opened), str(path))


def _fail(file: str, what: str, remedy: str, line: int = 0, column: int = 0) -> InputError:
    return InputError([Mistake(file, line, column, "", what, remedy)])


def _similar(path: Path) -> str:
    """A remedy for a file that is not there: one of nearly its name that is."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if is_file(entry)]
    except OSError:
        return "check the path"
    same_stem = [name for name in names if name.split(".")[0].lower() == path.stem.lower()]
    guess = nearest(path.name, same_stem or names)
    return f"did you mean {path.with_name(guess)}?" if guess else "check the path"


def _read_text(path: Path, name: str, opened: Callable[[Path], BinaryIO]) -> str:
    file = str(path)
    try:
        with opened(path) as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        remedy = "check the path" if name != file else _similar(path)
        raise _fail(name, "there is no such file", remedy) from None
    except (OSError, ValueError) as error:
        raise _fail(name, *why_unreadable(error)) from None
    if len(content) > MAX_BYTES:
        what = f"is larger than {MAX_BYTES // 1024 // 1024} MB: surely not a file for this program"
        raise _fail(file, what, "check the path, or split it into several files")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A byte-order mark shifts positions by three bytes that the decoder does not count.
        start = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        before = content[:start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8-sig", "replace")) + 1
        what = f"is not UTF-8 text (byte 0x{content[start]:02x})"
        raise _fail(file, what, "save it as UTF-8", line, column) from None


def parse_document(text: str, file: str, loader: Any = LOADER) -> Document:
    """The tree of a YAML text; `file` is its name in messages.

    Raises:
        InputError: it is not one YAML document of keys and values.
    """
    if control := _CONTROL.search(text):
        before = text[: control.start()]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        what = f"holds the control character U+{ord(control[0]):04X}"
        raise _fail(file, what, "remove it", line, column)
    document = Document(file)
    builder = _Builder(document)
    try:
        builder.build(text, loader)
    except yaml.YAMLError as error:
        _refuse_depth_ahead(builder, error, text, loader)
        # What the builder refused before may well be the cause, so it comes first.
        syntax = _syntax_mistake(error, text, file)
        raise InputError([*builder.mistakes, syntax]) from None
    if builder.refused:
        raise InputError(builder.mistakes)
    if builder.root is None:
        raise _fail(file, "is empty", "see the examples in jobs/ and config.example.yaml")
    if not isinstance(builder.root, dict):
        kind = "a list" if isinstance(builder.root, list) else "a single text"
        place = document.values[()]
        what = f"the file holds {kind}, not keys with values"
        remedy = "begin with lines such as `accounts:`"
        raise _fail(file, what, remedy, place.line, place.column)
    document.content = builder.root
    return document


class _Builder:
    """Takes the parser's events in turn and fills the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.root: Plain = None
        self.refused: list[Mistake] = []
        self.depth = 0  # how many lists and mappings are open
        self.read = 0  # how many characters of the text lie behind
        self._events: Iterator[Any] = iter(())

    @property
    def mistakes(self) -> list[Mistake]:
        """What is wrong so far, of each kind what was noted first."""
        refused = bounded(self.refused, self.document.file)
        return [*bounded(self.document.mistakes, self.document.file), *refused]

    def build(self, text: str, loader: Any) -> None:
        """Takes all of a text.

        Raises:
            InputError: it is nested deeper than `MAX_DEPTH` levels.
            yaml.YAMLError: it is not YAML, or more than the parser takes.
        """
        self._events = self._counted(text, loader)
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    remedy = "keep one document to a file, without ---"
                    self._refuse(event, (), "a second document begins", remedy)
                content = self._node(next(self._events), ())
                if documents == 1:
                    self.root = content

    def _counted(self, text: str, loader: Any) -> Iterator[Any]:
        event: Any
        for event in yaml.parse(text, Loader=loader):
            self.read = event.end_mark.index
            yield event

    def _place(self, event: Any) -> SourcePosition:
        return SourcePosition(event.start_mark.line + 1, event.start_mark.column + 1)

    def _mistake(self, event: Any, path: KeyPath, what: str, remedy: str) -> Mistake:
        place = self._place(event)
        return Mistake(self.document.file, place.line, place.column, spelled(path), what, remedy)

    def _refuse(self, event: Any, path: KeyPath, what: str, remedy: str) -> None:
        if len(self.refused) <= MAX_FINDINGS:
            self.refused.append(self._mistake(event, path, what, remedy))

    def _node(self, event: Any, path: KeyPath, *, ignored: bool = False) -> Plain:
        """What begins with an event; if it is ignored, no place in it is noted."""
        if not ignored:
            self.document.values.setdefault(path, self._place(event))
        if isinstance(event, yaml.AliasEvent):
            # Their names are not shown: an unquoted secret may begin with one of these signs.
            self._refuse(event, path, "* begins a YAML alias", _QUOTE)
            return None
        if event.anchor is not None:
            self._refuse(event, path, "& begins a YAML anchor", _QUOTE)
        if event.tag is not None:
            self._refuse(event, path, "! begins a YAML tag", _QUOTE)
        if isinstance(event, yaml.ScalarEvent):
            is_empty = event.style in (None, "") and event.value in _NULLS
            return None if is_empty else str(event.value)
        if self.depth == MAX_DEPTH:
            what = f"is nested deeper than {MAX_DEPTH} levels"
            raise InputError([self._mistake(event, (), what, "no key stands so deep")])
        self.depth += 1
        read = self._list if isinstance(event, yaml.SequenceStartEvent) else self._mapping
        content = read(path, ignored=ignored)
        self.depth -= 1
        return content

    def _list(self, path: KeyPath, *, ignored: bool) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items)), ignored=ignored))
        return items

    def _mapping(self, path: KeyPath, *, ignored: bool) -> dict[str, Any]:
        """A mapping; of a key that stands twice the first value."""
        content: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            below = (*path, key)
            repeated = key in content
            if not ignored:
                self._note_key(event, below, repeated=repeated)
            value = self._node(next(self._events), below, ignored=ignored or repeated)
            if not repeated:
                content[key] = value
        return content

    def _key(self, event: Any, path: KeyPath) -> str:
        """A key of the mapping at `path`; empty where something else stands in its place."""
        if isinstance(event, yaml.CollectionStartEvent):
            what = "a list or a mapping stands where a key belongs"
            self._refuse(event, path, what, "name a key")
        self._node(event, path, ignored=True)
        return event.value if isinstance(event, yaml.ScalarEvent) else ""

    def _note_key(self, event: Any, path: KeyPath, *, repeated: bool) -> None:
        if not repeated:
            self.document.keys[path] = self._place(event)
        elif len(self.document.mistakes) <= MAX_FINDINGS:
            first = self.document.keys.get(path)
            what = "the key stands twice" + (f", first in line {first.line}" if first else "")
            self.document.mistakes.append(self._mistake(event, path, what, "keep one of them"))


def _refuse_depth_ahead(builder: _Builder, error: yaml.YAMLError, text: str, loader: Any) -> None:
    """Refuses a depth at which the parser gave up before the builder saw it.

    Some versions of PyYAML have a limit of their own, and the parser reads ahead of its events, by
    up to a line. Cut behind the first bracket that may be too deep, the text is within that limit;
    if that bracket is in fact one of YAML (and not of a quoted text), the builder refuses it.

    Raises:
        InputError: the text is nested deeper than `MAX_DEPTH` levels.
    """
    mark = getattr(error, "problem_mark", None)
    depth, start = builder.depth, builder.read
    for at, letter in enumerate(text[start : mark.index if mark else None], start + 1):
        depth += (letter in "[{") - (letter in "]}")
        if depth > MAX_DEPTH:
            with suppress(yaml.YAMLError):
                _Builder(Document(builder.document.file)).build(text[:at], loader)
            return


_SYNTAX: Final = {
    "mapping values are not allowed": (
        "a colon stands where no key can be",
        "check the indentation, and put quotes around a value that holds a colon",
    ),
    "expected ':'": (
        "the line before is neither `key: value` nor an entry of a list",
        "check its colon and the space after it",
    ),
    "unknown escape": (
        "a backslash in double quotes begins no escape that YAML knows",
        "use single quotes",
    ),
    "quoted scalar": (
        "this quote is never closed",
        "close it, or put the whole value in the other quotes",
    ),
    "or ']'": ("this list is not closed", "add ] or the missing comma"),
    "or '}'": ("this mapping is not closed", "add } or the missing comma"),
    "sequence entries are not allowed": (
        "a list cannot begin behind its key",
        "put its first entry on the next line, or write [one, two]",
    ),
    "node content": ("a value is missing here", "check the brackets and commas"),
    "cannot start any token": (
        "this character cannot begin a value",
        "put quotes around the value",
    ),
    "block end|expected key|'-' indicator|document start": (
        "the indentation does not fit the lines above",
        "begin the entries of one list or mapping in one column",
    ),
}
"""What the parser's words hold, and ours for it."""

_AT_OPENING: Final = ("quoted scalar", "or ']'", "or '}'")
"""Of these the place where it opens tells more than the one where the parser gave up."""


def _syntax_mistake(error: yaml.YAMLError, text: str, file: str) -> Mistake:
    """The parser's complaint in our words, at its place."""
    mark: Any = getattr(error, "problem_mark", None)
    at_fault = text.splitlines()[mark.line : mark.line + 1] if mark else []
    if any("\t" in line[: len(line) - len(line.lstrip())] for line in at_fault):
        what = "a tab stands in the indentation"
        return Mistake(file, mark.line + 1, mark.column + 1, "", what, "indent with spaces")
    words = f"{getattr(error, 'context', '')} {getattr(error, 'problem', '')}"
    what, remedy = "cannot be read as YAML here", "check this line"
    for patterns, ours in _SYNTAX.items():
        if any(pattern in words for pattern in patterns.split("|")):
            what, remedy = ours
            if patterns in _AT_OPENING:
                mark = getattr(error, "context_mark", None) or mark
            break
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return Mistake(file, line, column, "", what, remedy)
