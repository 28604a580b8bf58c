"""Looks whether something is there, and says so where it may not look.

From Python 3.14 on the methods of `Path` answer False then. But a ledger in a folder that is closed
to us is not a ledger that is not there.
"""

import errno
import stat
from pathlib import Path
from typing import Final

_NOTHING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""What the system answers where a path leads to nothing, be it by links."""


def exists(path: Path) -> bool:
    """Whether something is there; links are followed.

    Raises:
        OSError: it cannot be told, for instance since a folder above it may not be entered.
    """
    return bool(_mode(path))


def is_file(path: Path) -> bool:
    """Whether a regular file is there; as `exists`."""
    return stat.S_ISREG(_mode(path))


def is_dir(path: Path) -> bool:
    """Whether a directory is there; as `exists`."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _NOTHING:
            return 0
        raise
    except ValueError:  # a zero byte in the path: nothing has such a name
        return 0
