"""Opens files below the output directory; what would lead elsewhere, or be waited for, is refused.

Whoever may write into one of our folders could put a link, a pipe or a device where we read or
write, and so have us read, overwrite or remove other files of ours.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, cast

_SAFELY: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A pipe without a reader or writer would be waited for; regular files are as ever."""

READ_BLOCK: Final = 1024 * 1024  # Bytes of a file that are read at once.

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
_LINK: Final = frozenset({errno.ELOOP, errno.EMLINK})
"""What systems answer to `O_NOFOLLOW` where a link stands."""

NO_FILE: Final = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR})
"""How `read` fails where a link, a pipe, a device or a folder stands: somebody has put it there."""

_LINK_WORDS: Final = "a symbolic link, which is not followed"
_NO_FILE_WORDS: Final = "not a file, but a pipe or a device"


def create(path: Path, *, private: bool = False, buffering: int = -1) -> BinaryIO:
    """A new file, open for writing; a file or a link that stands under its name gives way.

    Args:
        path: where; its folder has been looked at (`disk.DurableDirectories`).
        private: for us alone, whatever `output.mode` says; the umask holds in any case.
        buffering: as of `open`.

    Raises:
        OSError: the disk.
    """
    mode = 0o600 if private else 0o640
    try:
        descriptor = os.open(path, _CREATE, mode)
    except FileExistsError:
        path.unlink()
        descriptor = os.open(path, _CREATE, mode)
    return os.fdopen(descriptor, "wb", buffering)


def append(path: Path) -> BinaryIO:
    """A regular file that is there, open for writing at its end.

    Raises:
        OSError: it is not there, or is a link, or no file; or it has another name (a hard link),
            which could be that of a file of somebody else.
    """
    descriptor = descriptor_of(path, os.O_WRONLY | os.O_APPEND)
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.ENXIO, "a file that has another name (a hard link), too", str(path))
    return os.fdopen(descriptor, "ab")


def read(path: Path, *, buffering: int = -1) -> BufferedReader:
    """A regular file, open for reading.

    Raises:
        IsADirectoryError: it is a directory.
        OSError: it is not there, or is a link, or a pipe or a device.
    """
    return cast("BufferedReader", os.fdopen(descriptor_of(path, os.O_RDONLY), "rb", buffering))


def descriptor_of(path: Path, flags: int) -> int:
    """The descriptor of a regular file that is there; `flags` as of `os.open`.

    Raises:
        IsADirectoryError: it is a directory.
        OSError: it is not there, or is a link, or a pipe or a device.
    """
    try:
        descriptor = os.open(path, flags | _SAFELY)
    except OSError as error:
        if error.errno in _LINK:
            raise OSError(errno.ELOOP, _LINK_WORDS, str(path)) from error
        if error.errno == errno.ENXIO:  # a socket, or a pipe that nobody reads
            raise OSError(errno.ENXIO, _NO_FILE_WORDS, str(path)) from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.ENXIO, _NO_FILE_WORDS, str(path))


def read_blocks(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file from where it stands, in blocks of at most `READ_BLOCK`."""
    while block := file.read(READ_BLOCK):
        yield block


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex.

    Raises:
        OSError: as `read`, or the disk.
    """
    with read(path) as file:
        return hash_of(file)


def hash_of(file: BinaryIO) -> str:
    """The SHA-256 of an open file, in hex, from its first byte."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def is_file(path: Path) -> bool:
    """Whether a regular file stands there, as far as we may see, and not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False


def refuse_links(directory: Path, folder: Path) -> None:
    """Refuses a folder below the output directory that is a link, or has one on the way to it.

    The output directory itself, and what is above it, may be links.

    Raises:
        OSError: one of them is a link, or cannot be looked at.
    """
    place = directory
    for part in folder.relative_to(directory).parts:
        place /= part
        try:
            if stat.S_ISLNK(place.lstat().st_mode):
                raise OSError(errno.ELOOP, _LINK_WORDS, str(place))
        except (FileNotFoundError, NotADirectoryError):
            return
