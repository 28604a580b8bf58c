"""Makes folders, and syncs them and files, so that a power cut cannot take them away."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from orchestrator.presence import is_dir

_NO_SYNC_OF_FOLDERS: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
"""What file systems answer that cannot sync a directory: there is nothing more to be done."""


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, for us alone; each new one is synced in its parent.

    SQLite syncs the names inside the ledger's folder, but not the folder's own.

    Raises:
        OSError: the disk.
    """
    if is_dir(folder):
        return
    make_folder(folder.parent)
    folder.mkdir(0o700, exist_ok=True)
    # A parent that we may enter but not read cannot be synced.
    with suppress(PermissionError):
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Returns once the names in a folder would survive a power cut.

    Raises:
        OSError: the disk.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync_and_close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC_OF_FOLDERS:
            raise


def sync_and_close(descriptor: int) -> None:
    """Closes an open file once its content would survive a power cut.

    Raises:
        OSError: the disk.
    """
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
