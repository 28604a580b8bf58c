"""Reads files that a person names: never a pipe or a device, which would be waited for."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, cast


class NotRegularError(OSError):
    """The name is that of a pipe, a device or a socket."""


def why_unreadable(
    error: OSError | ValueError,
    *,
    missing: str = "check the path",
    folder: str = "name the file in it",
) -> tuple[str, str]:
    """What stands in a message behind the name of a file that cannot be read, and what to do.

    Args:
        missing: what to do where there is no such file.
        folder: what to do where it is a directory.
    """
    match error:
        case NotRegularError():
            return "is not a regular file", "name a file"
        case FileNotFoundError():
            return "is not there", missing
        case IsADirectoryError():
            return "is a directory", folder
        case PermissionError():
            return "may not be read", "let the user who runs this read it"
        case _:
            words = getattr(error, "strerror", None) or "the system refuses its name"
            return f"cannot be read ({words})", "check the path"


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading; links are followed.

    Raises:
        OSError: it cannot be opened, or is none: a `NotRegularError` or an `IsADirectoryError`.
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
