"""The disk, with words for what it refuses, and with care for what a power cut may take."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.collect.layout import ASIDE, PARTIAL
from orchestrator.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_NO_SYNC_OF_FOLDERS: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
"""What file systems answer that cannot sync a directory: there is nothing more to be done."""


_ALWAYS_PRIVATE: Final = frozenset({PARTIAL, ASIDE})
"""Folders for this program alone, whoever may read the collected files."""

_EARLY: Final = 16 * 1024 * 1024
"""Bytes that are sent to the disk together, before anybody asks for it."""

_WORDS: Final = {
    errno.ENOSPC: "the disk is full; make room and run again, nothing collected so far is lost",
    errno.EDQUOT: "the disk quota is used up; raise it or make room, and run again",
    errno.EFBIG: (
        "a file may not grow that large here; raise `ulimit -f`, or point output.directory at a"
        " file system that takes large files"
    ),
    errno.EROFS: (
        "the file system is read-only; mount it writable, or point output.directory elsewhere"
    ),
    errno.EACCES: (
        "permission denied; give the user who runs this the right to write in {folder}, or point"
        " output.directory elsewhere"
    ),
    errno.EXDEV: (
        "it lies on another file system than the output directory's .partial folder; keep both on"
        " one"
    ),
    errno.EEXIST: "a file stands where a folder must be, or the other way round; move it away",
    errno.EMFILE: "too many open files; lower limits.downloads, or raise `ulimit -n`",
}
_LIKE: Final = {
    errno.EPERM: errno.EACCES,
    errno.ENOTDIR: errno.EEXIST,
    errno.EISDIR: errno.EEXIST,
    errno.ENFILE: errno.EMFILE,
}


def explain(error: OSError, path: Path, action: str) -> str:
    """What the disk refused, where, and what to do about it, in one sentence."""
    place = Path(error.filename) if isinstance(error.filename, str) else path
    number = error.errno or 0
    words = _WORDS.get(_LIKE.get(number, number))
    if words is None:
        words = f"{error.strerror or type(error).__name__}; look at the disk, then run again"
    return f"cannot {action} {place}: {words.replace('{folder}', str(place.parent))}"


@contextlib.contextmanager
def in_words(path: Path, action: str) -> Iterator[None]:
    """Turns what the operating system refuses inside into an `OutputError` for people.

    Args:
        path: named where the error itself names none.
        action: the verb, such as ``write``.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(explain(error, path, action)) from error


def sync_file(path: Path) -> None:
    """Returns once the file's content would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Returns once the names in a folder would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC_OF_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def remove(*paths: Path) -> int:
    """Removes the files that are there; how many there were."""
    removed = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            removed += 1
    return removed


class EarlyWriter:
    """Sends what has been written to a file on to the disk early, and out of the page cache.

    So the last sync of a large file is short, and the memory of the machine is not filled with
    bytes that nobody reads soon. Nothing waits here, and nothing is promised: that is for `fsync`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._written = 0
        self._sent = 0

    def wrote(self, size_bytes: int) -> None:
        """So many bytes more have been written."""
        self._written += size_bytes
        if self._written - self._sent < _EARLY or not hasattr(os, "posix_fadvise"):
            return
        # Dirty pages are only sent on their way; those that were sent before are let go.
        begin = max(0, self._sent - _EARLY)
        with contextlib.suppress(OSError):
            os.posix_fadvise(
                self._file.fileno(), begin, self._written - begin, os.POSIX_FADV_DONTNEED
            )
        self._sent = self._written


class _Round:
    """One sync of a folder, and those who wait for it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.error: OSError | None = OSError(errno.EIO, os.strerror(errno.EIO))


class SharedSyncs:
    """Syncs folders for threads that ask at the same time: one sync serves all that wait for it.

    A sync that has begun already serves nobody else: it may have missed what they have done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begins: dict[Path, _Round] = {}
        self._busy: dict[Path, threading.Lock] = {}

    def sync(self, folder: Path) -> None:
        """Returns once the names in a folder as they are now would survive a power cut."""
        with self._lock:
            known = self._begins.get(folder)
            mine = known or self._begins.setdefault(folder, _Round())
            busy = self._busy.setdefault(folder, threading.Lock())
        if known is not None:
            known.over.wait()
            if known.error is not None:
                raise OSError(known.error.errno, known.error.strerror, str(folder))
            return
        with busy:
            with self._lock:
                del self._begins[folder]
            try:
                sync_folder(folder)
                mine.error = None
            except OSError as error:
                mine.error = error
                raise
            finally:
                mine.over.set()


class Folders:
    """Makes folders under one root so that they survive a power cut.

    A folder counts as safe only once its parent has been synced by this very object: whoever
    finds it made, by another thread or by a run that crashed, syncs the parent again first.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._safe: set[Path] = set()
        self._syncs = SharedSyncs()

    def sync(self, folder: Path) -> None:
        """Returns once the names in a folder would survive a power cut; shared by threads."""
        self._syncs.sync(folder)

    def knows(self, folder: Path) -> bool:
        """Whether it was made, or found, by this object; it may be gone again."""
        return folder in self._safe

    def make(self, folder: Path) -> None:
        """Makes a folder at or under the root, with what lies between."""
        if folder in self._safe and folder.is_dir():
            return
        missing = [folder]
        while missing[-1] != self.root:
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            if path == self.root:
                self._make_root()
            else:
                self._make_one(path)

    def _make_root(self) -> None:
        if self.root.is_dir() and self.root in self._safe:
            return
        above = [path for path in self.root.parents if not path.exists()]
        for path in [*reversed(above), self.root]:
            path.mkdir(exist_ok=True)
            # A parent that we may enter but not read cannot be synced, and was not made by us.
            with contextlib.suppress(PermissionError):
                sync_folder(path.parent)
        self._safe.add(self.root)

    def _make_one(self, path: Path) -> None:
        try:
            path.mkdir(0o700 if path.name in _ALWAYS_PRIVATE else 0o777)
        except FileExistsError:
            if not path.is_dir():
                raise
            if path in self._safe:
                return
        sync_folder(path.parent)
        self._safe.add(path)
