"""Opens files that a person names: never a pipe or a device, which would be waited for."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, cast


class NotRegularError(OSError):
    """The name is that of a pipe, a device or a socket."""


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading; links are followed.

    Raises:
        NotRegularError: it is a pipe, a device or a socket.
        IsADirectoryError: it is a directory.
        OSError: it cannot be opened.
    """
    # A pipe without a writer would be waited for; the flag does nothing to regular files.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return cast("BinaryIO", os.fdopen(descriptor, "rb"))
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a directory")
    raise NotRegularError(f"{path} is not a regular file")
