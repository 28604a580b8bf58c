"""Syncs, removes and makes files and folders so that a power cut loses none; explains OS errors."""

import contextlib
import errno
import os
import pwd
import shlex
import stat
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import safe_open
from orchestrator.collect.layout import PARTIAL, QUARANTINE
from orchestrator.errors import OutputError
from orchestrator.fsync import sync_and_close, sync_folder
from orchestrator.presence import exists

_ALWAYS_PRIVATE: Final = frozenset({PARTIAL, QUARANTINE})
"""Folders for this program alone, whoever may read the collected files."""

_WRITEBACK_BYTES: Final = 16 * 1024 * 1024  # Written bytes after which the disk is told to begin.

_KEPT_FOLDERS: Final = 4096
"""Folders that are known to be safe at a time: more than a run writes to at a time."""

_SYNC_LOCKS: Final = 256  # Far more than threads that sync.

_EXPLANATIONS: Final = {
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
    errno.ELOOP: (
        "it is a symbolic link, which could lead out of output.directory and is not followed; put"
        " the folder or the file itself in its place"
    ),
    errno.ENXIO: "it is {what}; look who made it, and remove it",
}
_EXPLAINED_AS: Final = {
    errno.EPERM: errno.EACCES,
    errno.ENOTDIR: errno.EEXIST,
    errno.EISDIR: errno.EEXIST,
    errno.ENFILE: errno.EMFILE,
}


class RemoteError(OSError):
    """An object store refuses something; what the store says is the `strerror`."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EIO, text)


def explain(error: OSError, path: Path | str, action: str) -> str:
    """What the disk refused, where, and what to do about it, in one sentence."""
    if isinstance(error, RemoteError):
        return f"cannot {action} {path}: {error.strerror}"
    place = Path(error.filename) if isinstance(error.filename, str) else path
    renamed = error.filename2
    if isinstance(renamed, str) and not os.access(Path(renamed).parent, os.W_OK | os.X_OK):
        place = Path(renamed)  # of the two folders, the one that refuses
    number = error.errno or 0
    number = _EXPLAINED_AS.get(number, number)
    text = _EXPLANATIONS.get(number)
    if number == errno.EACCES and action == "read":
        text = "permission denied; give the user who runs this the right to read it"
    if text is None:
        text = f"{error.strerror or type(error).__name__}; look at the disk, then run again"
    text = text.replace("{folder}", str(Path(place).parent)).replace("{what}", str(error.strerror))
    return f"cannot {action} {place}: {text}"


@contextlib.contextmanager
def translate_os_errors(path: Path | str, action: str) -> Iterator[None]:
    """Turns what the operating system refuses inside into an `OutputError` for people.

    Args:
        path: or address, named where the error itself names none.
        action: the verb, such as ``write``.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(explain(error, path, action)) from error


def sync_file(path: Path) -> None:
    """Returns once the file's content would survive a power cut."""
    sync_and_close(safe_open.descriptor_of(path, os.O_RDONLY))


def remove(*paths: Path) -> int:
    """Removes the files that are there; how many there were."""
    removed = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            removed += 1
    return removed


@dataclass(slots=True)
class WritebackFile:
    """Sends what has been written to a file on to the disk early, and out of the page cache.

    So the last sync of a large file is short, and the memory of the machine is not filled with
    bytes that are not read soon. Nothing waits here, and nothing is promised: that is for `fsync`.
    """

    file: BinaryIO
    _written: int = 0
    _sent: int = 0

    def wrote(self, size_bytes: int) -> None:
        """Must be called after each write, with the number of bytes."""
        self._written += size_bytes
        if self._written - self._sent < _WRITEBACK_BYTES or not hasattr(os, "posix_fadvise"):
            return
        # Dirty pages are only sent on their way; those that were sent before are let go.
        begin = max(0, self._sent - _WRITEBACK_BYTES)
        with contextlib.suppress(OSError):
            os.posix_fadvise(
                self.file.fileno(), begin, self._written - begin, os.POSIX_FADV_DONTNEED
            )
        self._sent = self._written


class FsyncCoalescer:
    """Syncs folders for threads that ask at the same time: one sync serves all that wait for it.

    A sync that has begun already serves nobody else: it may have missed what they have done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begins: dict[Path, Future[None]] = {}  # the sync for which others may still wait
        # By hash of the folder: there may be very many.
        self._busy = tuple(threading.Lock() for _ in range(_SYNC_LOCKS))

    def sync(self, folder: Path) -> None:
        """Returns once the names in a folder as they are now would survive a power cut."""
        with self._lock:
            own = Future[None]()
            sync = self._begins.setdefault(folder, own)
        if sync is own:
            with self._busy[hash(folder) % _SYNC_LOCKS]:
                with self._lock:
                    del self._begins[folder]
                try:
                    sync_folder(folder)
                    own.set_result(None)
                except BaseException as error:  # noqa: BLE001 - raised by `result`, to all that wait
                    own.set_exception(error)
        sync.result()


_Identity = tuple[int, int, int, int]
"""Device, number, kind and owner of a folder."""


class DurableDirectories:
    """Makes folders under one root so that they survive a power cut, and looks at those there are.

    A folder counts as safe only once its parent has been synced by this very object: whoever
    finds it made, by another thread or by a run that crashed, syncs the parent again first. And
    only if it is no link, and belongs to nobody who could put another in its place.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._safe: dict[Path, _Identity] = {}
        self._syncs = FsyncCoalescer()
        self._owners: frozenset[int] = frozenset({0, os.geteuid()})
        self._knows_owners = False

    def sync(self, folder: Path) -> None:
        """Returns once the names in a folder would survive a power cut; shared by threads."""
        self._syncs.sync(folder)

    def knows(self, folder: Path) -> bool:
        """Whether it was made, or found, by this object; it may be gone again."""
        return folder in self._safe

    def make(self, folder: Path) -> None:
        """Makes a folder at or under the root, with what lies between.

        Raises:
            OutputError: one of them belongs to another user.
            OSError: one of them is a link, or no folder; or the disk.
        """
        if self._is_as_it_was(folder):
            return
        missing = [folder]
        while missing[-1] != self.root:
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            if path == self.root:
                self._make_root()
            else:
                self._make_one(path)

    def _is_as_it_was(self, folder: Path) -> bool:
        """Whether a folder is the very one that this object has looked at."""
        identity = self._safe.get(folder)
        if identity is None:
            return False
        try:
            # The root may be a link of whoever runs this; nothing below it may.
            return identity == _identity(folder.stat() if folder == self.root else folder.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _make_root(self) -> None:
        if self._is_as_it_was(self.root):
            return
        above = [path for path in self.root.parents if not exists(path)]
        for path in [*reversed(above), self.root]:
            path.mkdir(0o750, exist_ok=True)
            # A parent that we may enter but not read cannot be synced, and was not made by us.
            with contextlib.suppress(PermissionError):
                sync_folder(path.parent)
        self._remember(self.root, self.root.stat())

    def _make_one(self, path: Path) -> None:
        made = False
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700 if path.name in _ALWAYS_PRIVATE else 0o750)
            made = True
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        if not made and self._safe.get(path) == _identity(status):
            return
        if not self._is_trusted(status.st_uid):
            raise OutputError(
                f"{path} belongs to another user ({_user(status.st_uid)}; this is"
                f" {_user(os.geteuid())}), who could put anything in its place; make it yours with"
                f" `chown -R {os.geteuid()} {shlex.quote(str(path))}`, or move it away"
            )
        sync_folder(path.parent)
        self._remember(path, status)

    def _remember(self, path: Path, status: os.stat_result) -> None:
        if len(self._safe) >= _KEPT_FOLDERS:
            self._safe.clear()  # what is forgotten is looked at, and synced, once more
        self._safe[path] = _identity(status)

    def _is_trusted(self, owner: int) -> bool:
        """Whether a folder of this owner is as good as ours.

        Whoever owns the output directory may rename what is in it anyway. Some file systems
        (shares, squashed exports) give what we make to somebody else.
        """
        if owner not in self._owners and not self._knows_owners:
            self._knows_owners = True
            self._owners |= {self.root.stat().st_uid}
            with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=self.root) as file:
                self._owners |= {os.fstat(file.fileno()).st_uid}
        return owner in self._owners


def _identity(status: os.stat_result) -> _Identity:
    # A link that takes the place of a folder may get its number, too.
    return status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode), status.st_uid


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
