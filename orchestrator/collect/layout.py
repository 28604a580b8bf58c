"""Makes and reads the names of published files, and lists those that the output directory has.

Nothing that comes from a server or a job file can name a place outside: every part of a path is
made of ``A-Z a-z 0-9 . _ -`` and percent signs, and is never ``.`` or ``..``.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from orchestrator.core.intervals import Window
from orchestrator.core.settings import Format
from orchestrator.errors import OutputError
from orchestrator.presence import exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.collect.stores.base import OutputStore
    from orchestrator.core.model import Series

PARTIAL: Final = ".partial"
"""The folder of unfinished files: on the same file system, so that a rename is atomic."""

QUARANTINE: Final = ".aside"
"""The folder of the files that a person must look at."""

MANIFEST: Final = "manifest.jsonl"
SUCCESS: Final = "_SUCCESS"
"""Tells of the last run that has collected all that its jobs want."""

MANIFEST_PART: Final = "manifest.jsonl.part"

_ODD: Final = re.compile(rb"[^A-Za-z0-9._-]")
_EDITION: Final = re.compile(r"_e([1-9][0-9]{0,8})\.[a-z.]+\Z")
_FIRST_FOLDER: Final = "report_account="
_FOLDERS: Final = 4  # Levels of folders above a published file.
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_MAX_PART_LENGTH: Final = 120  # Characters; with our prefixes it stays below the usual 255.

SUFFIXES: Final = "|".join(re.escape(name.value) for name in Format)

_NAME: Final = re.compile(
    r"(?P<start>[0-9]{8}T[0-9]{6}Z)_(?P<end>[0-9]{8}T[0-9]{6}Z)"
    r"(?:_e(?P<edition>[1-9][0-9]{0,8}))?\.(?P<format>" + SUFFIXES + ")"
)


def safe(text: str) -> str:
    """The text as a part of a path: odd bytes percent-encoded, shortened where it is long.

    Different texts give different parts (where they are long: as surely as SHA-256 differs).
    """
    encoded = text.encode("utf-8", "surrogatepass")
    if not encoded.strip(b"."):
        # Nothing, `.` and `..` are names that mean something else to the operating system.
        part = encoded.replace(b".", b"%2E").decode() or "%"
    else:
        part = _ODD.sub(lambda odd: b"%%%02X" % odd[0][0], encoded).decode()
    if len(part) > _MAX_PART_LENGTH:
        part = f"{part[:_MAX_PART_LENGTH]}-{hashlib.sha256(encoded).hexdigest()[:16]}"
    return part


def target(series: Series, window: Window, file_format: Format, edition: int = 1) -> str:
    """The published file's path, relative to the output directory, with forward slashes.

    Editions have names of their own, so that one can stand before the other is removed.
    """
    name = f"{window.start.strftime(_STAMP)}_{window.end.strftime(_STAMP)}"
    if edition > 1:
        name += f"_e{edition}"
    return f"{series_folder(series)}/{name}.{file_format.value}"


def series_folder(series: Series) -> str:
    """Where the published files of a series stand, relative to the output directory."""
    return "/".join(
        (
            f"{_FIRST_FOLDER}{safe(series.account_id)}",
            f"report_product={safe(series.product)}",
            f"report_direction={'any' if series.direction is None else safe(series.direction)}",
            f"report_filter={safe(series.filter_id)}",
        )
    )


@dataclass(frozen=True, slots=True)
class Published:
    """A file that stands where a published one would."""

    target: str  # relative to the output directory, with forward slashes
    window: Window  # that its name tells
    edition: int
    file_format: Format


def published(
    store: OutputStore, series: Series, within: Sequence[Window] | None = None
) -> Iterator[Published]:
    """The files in the folder of a series, if it is there, that have the names of published ones.

    Args:
        within: only those that hold a moment of one of these windows.

    Raises:
        OSError: the folder cannot be read, or a link leads to it.
    """
    folder = series_folder(series)
    keys = store.list(f"{folder}/")
    at = len(folder) + 1
    if within is None:
        names = [key[at:] for key in keys]
    else:
        # Compared as they are written: of a hundred thousand names only a few are read.
        stamps = [(span.start.strftime(_STAMP), span.end.strftime(_STAMP)) for span in within]
        first, last = min(stamps, default=("", ""))[0], max((end for _, end in stamps), default="")
        names = [
            name
            for key in keys
            if (name := key[at:])[17:33] > first
            and name < last
            and any(name[:16] < end and name[17:33] > start for start, end in stamps)
        ]
    for name in sorted(names):
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        try:
            window = Window(_parse_stamp(match["start"]), _parse_stamp(match["end"]))
        except ValueError:
            continue  # a name of somebody else's, after all
        edition = int(match["edition"] or 1)
        yield Published(f"{folder}/{name}", window, edition, Format(match["format"]))


def _parse_stamp(stamp: str) -> datetime:
    day, clock = stamp[:8], stamp[9:15]  # `strptime` takes ten times as long
    return datetime(
        int(day[:4]), int(day[4:6]), int(day[6:]),
        int(clock[:2]), int(clock[2:4]), int(clock[4:]), tzinfo=UTC,
    )  # fmt: skip


def folders_with_files(store: OutputStore) -> list[tuple[str, int]]:
    """Every folder of a series, and how many files it holds.

    Raises:
        OSError: the store cannot be listed.
    """
    numbers: Counter[str] = Counter()
    for key in store.list(_FIRST_FOLDER):
        folder, _, name = key.rpartition("/")
        if folder.count("/") == _FOLDERS - 1 and _NAME.fullmatch(name):
            numbers[folder] += 1
    return sorted(numbers.items())


def first_folder(store: OutputStore) -> str | None:
    """The name at the top of a store below which there is a published file; None: there is none.

    Raises:
        OSError: the store cannot be listed.
    """
    key = next(iter(store.list(_FIRST_FOLDER)), None)
    return None if key is None else key.partition("/")[0]


def edition_of(path: str) -> int:
    """The edition of a published file, by its name."""
    match = _EDITION.search(path)
    return int(match[1]) if match else 1


def is_inside(path: str) -> bool:
    """Whether a relative path with forward slashes stays inside and out of our own folders."""
    parts = path.split("/")
    return (
        not any(part.startswith(".") or not part for part in parts)
        and not {"\\", "\0"} & set(path)
        and path.isprintable()
    )


def target_path(directory: Path, path: str) -> Path:
    """The place of a published file.

    Raises:
        OutputError: the path leads out of the output directory.
    """
    if not is_inside(path):
        raise OutputError(
            f"the file name {path!r} in the ledger leads out of the output directory {directory};"
            " nothing was written: check who changed the ledger"
        )
    return directory / path


def format_of(path: str) -> Format:
    """The format of a published file, by the end of its name.

    Raises:
        OutputError: it is none that we write.
    """
    for file_format in Format:
        if path.endswith(f".{file_format.value}"):
            return file_format
    suffixes = ", ".join(f".{name.value}" for name in Format)
    raise OutputError(f"the file name {path!r} ends in none of {suffixes}; check the ledger")


def holds_files(directory: Path) -> str | None:
    """What tells that a directory holds collected files: a manifest, or a folder; None if none."""
    if exists(directory / MANIFEST):
        return MANIFEST
    return min((path.name for path in directory.glob(f"{_FIRST_FOLDER}*")), default=None)
