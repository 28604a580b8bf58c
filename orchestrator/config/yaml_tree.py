"""Reads YAML text into a plain tree of text, with the place of every key and value.

Nothing is converted: ``00123456`` stays an account and ``NO`` a country. Only an unquoted empty
value, ``~`` and ``null`` become None. The tree is built from the parser's events, one by one and
without recursion, so neither aliases nor deep nesting can cost more than the file's own size.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import yaml

from orchestrator.config import config_trust
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
from orchestrator.config.regular_files import open_regular, why_unreadable
from orchestrator.errors import InputError, Mistake
from orchestrator.presence import is_file

MAX_BYTES: Final = 2 * 1024 * 1024
"""Ten thousands of accounts fit; what is larger is some other file."""

MAX_DEPTH: Final = 16  # The deepest key of a job or config file stands at 5.


LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_QUOTE: Final = "write the value out, in quotes if it begins with that sign"


_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


def read_document(
    path: Path,
    *,
    name: str | None = None,
    regular: bool = False,
    distrust: Callable[[os.stat_result], str | None] | None = None,
) -> Document:
    """The YAML file's tree.

    Args:
        path: the file.
        name: what messages call it where it cannot even be opened; None: its path.
        regular: refuse pipes and devices. A job may be one: ``run <(make-job)``.
        distrust: says of the open file why it must not be used; None where it may.

    Raises:
        InputError: it cannot be read, must not be used, or is not one YAML document of keys and
            values.
    """
    text = _read_text(path, name or str(path), open_regular if regular else _open, distrust)
    return parse_document(text, str(path))


def _fail(file: str, what: str, remedy: str, line: int = 0, column: int = 0) -> InputError:
    return InputError([Mistake(file, line, column, "", what, remedy)])


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _similar(path: Path) -> str:
    """A remedy for a file that is not there: one of nearly its name that is."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if is_file(entry)]
    except OSError:
        return "check the path"
    same_stem = [name for name in names if name.split(".")[0].lower() == path.stem.lower()]
    guess = nearest(path.name, same_stem or names)
    return f"did you mean {path.with_name(guess)}?" if guess else "check the path"


def _read_text(
    path: Path,
    name: str,
    opened: Callable[[Path], BinaryIO],
    distrust: Callable[[os.stat_result], str | None] | None,
) -> str:
    file = str(path)
    try:
        with opened(path) as stream:
            why = distrust(os.fstat(stream.fileno())) if distrust is not None else None
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        remedy = "check the path" if name != file else _similar(path)
        raise _fail(name, "there is no such file", remedy) from None
    except (OSError, ValueError) as error:
        raise _fail(name, *why_unreadable(error)) from None
    if why is not None:
        raise _fail(file, why, config_trust.REMEDY)
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
        self._open: list[_Frame] = []
        self._documents = 0
        self._read = 0

    @property
    def mistakes(self) -> list[Mistake]:
        """What is wrong so far, of each kind what was noted first."""
        refused = bounded(self.refused, self.document.file)
        return [*bounded(self.document.mistakes, self.document.file), *refused]

    @property
    def reached(self) -> tuple[int, int]:
        """How many levels are open, and how many characters of the text lie behind."""
        return len(self._open), self._read

    def build(self, text: str, loader: Any) -> None:
        """Takes all of a text.

        Raises:
            InputError: it is nested deeper than `MAX_DEPTH` levels.
            yaml.YAMLError: it is not YAML, or more than the parser takes.
        """
        event: Any
        for event in yaml.parse(text, Loader=loader):
            self._take(event)
            self._read = event.end_mark.index

    def _take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents == 2:
                    remedy = "keep one document to a file, without ---"
                    self._refuse(event, "a second document begins", remedy)
            case yaml.AliasEvent():
                # Their names are not shown: an unquoted secret may begin with one of these signs.
                self._refuse(event, "* begins a YAML alias", _QUOTE)
                self._add(None, event)
            case yaml.ScalarEvent():
                self._check_node(event)
                empty = event.style in (None, "") and event.value in _NULLS
                self._add(None if empty else event.value, event)
            case yaml.SequenceStartEvent():
                self._check_node(event)
                self._descend([], event)
            case yaml.MappingStartEvent():
                self._check_node(event)
                self._descend({}, event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._open.pop()
            case _:
                pass

    def _place(self, event: Any) -> SourcePosition:
        return SourcePosition(event.start_mark.line + 1, event.start_mark.column + 1)

    def _mistake(self, event: Any, path: KeyPath, what: str, remedy: str) -> Mistake:
        place = self._place(event)
        return Mistake(self.document.file, place.line, place.column, spelled(path), what, remedy)

    def _refuse(self, event: Any, what: str, remedy: str) -> None:
        if len(self.refused) <= MAX_FINDINGS:
            self.refused.append(self._mistake(event, self._path(), what, remedy))

    def _path(self) -> KeyPath:
        """The path of the node that is read now; of the mapping around it, if it is a key."""
        if not self._open:
            return ()
        frame = self._open[-1]
        if isinstance(frame.container, list):
            return (*frame.path, len(frame.container))
        return frame.path if frame.key is None else (*frame.path, frame.key)

    def _check_node(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(event, "& begins a YAML anchor", _QUOTE)
        if event.tag is not None:
            self._refuse(event, "! begins a YAML tag", _QUOTE)

    def _descend(self, container: list[Any] | dict[str, Any], event: Any) -> None:
        frame = self._open[-1] if self._open else None
        ignored = frame is not None and (
            # What stands as a key, or under a key that stood already, has no path of its own.
            frame.ignored
            or frame.repeated
            or (isinstance(frame.container, dict) and frame.key is None)
        )
        path = self._add(container, event)
        if len(self._open) == MAX_DEPTH:
            what = f"is nested deeper than {MAX_DEPTH} levels"
            raise InputError([self._mistake(event, (), what, "no key stands so deep")])
        self._open.append(_Frame(container, path, ignored))

    def _add(self, value: Plain, event: Any) -> KeyPath:
        """Puts a key or a value where it belongs; the path of it."""
        if not self._open:
            if self._documents == 1:
                self.root = value
                self.document.values[()] = self._place(event)
            return ()
        frame = self._open[-1]
        if isinstance(frame.container, list):
            path = (*frame.path, len(frame.container))
            frame.container.append(value)
        elif frame.key is None:
            self._add_key(frame, event)
            return frame.path
        else:
            path = (*frame.path, frame.key)
            repeated, frame.key, frame.repeated = frame.repeated, None, False
            if repeated:
                return path
            frame.container[str(path[-1])] = value
        if not frame.ignored:
            self.document.values.setdefault(path, self._place(event))
        return path

    def _add_key(self, frame: _Frame, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            key = event.value
        else:
            key = ""
            if not isinstance(event, yaml.AliasEvent):
                self._refuse(event, "a list or a mapping stands where a key belongs", "name a key")
        path = (*frame.path, key)
        frame.key, frame.repeated = key, key in frame.container
        if not frame.repeated:
            if not frame.ignored:
                self.document.keys[path] = self._place(event)
        elif not frame.ignored and len(self.document.mistakes) <= MAX_FINDINGS:
            first = self.document.keys.get(path)
            what = "the key stands twice" + (f", first in line {first.line}" if first else "")
            self.document.mistakes.append(self._mistake(event, path, what, "keep one of them"))


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is being filled; `key` waits for its value."""

    container: list[Any] | dict[str, Any]
    path: KeyPath
    ignored: bool = False
    key: str | None = None
    repeated: bool = False


def _refuse_depth_ahead(builder: _Builder, error: yaml.YAMLError, text: str, loader: Any) -> None:
    """Refuses a depth at which the parser gave up before the builder saw it.

    Some versions of PyYAML have a limit of their own, and the parser reads ahead of its events, by
    up to a line. Cut behind the first bracket that may be too deep, the text is within that limit;
    if that bracket is in fact one of YAML (and not of a quoted text), the builder refuses it.

    Raises:
        InputError: the text is nested deeper than `MAX_DEPTH` levels.
    """
    mark = getattr(error, "problem_mark", None)
    depth, start = builder.reached
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
