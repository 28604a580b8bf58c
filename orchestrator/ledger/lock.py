"""One run per ledger: a lock that the kernel holds, and drops if the process dies."""

import errno
import fcntl
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import anyio

from orchestrator.errors import InputError, LedgerError, LedgerLocked
from orchestrator.fsync import make_folder

_PAUSE_SECONDS: Final = 0.25  # Between two attempts to take a lock that another run holds.
_NOT_A_FILE: Final = frozenset({errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO})
"""What opening a link, a folder, a pipe or a device ends with."""

NETWORK_FILE_SYSTEMS: Final = frozenset(
    "nfs nfs4 cifs smb2 smb3 smbfs afs ncpfs ceph lustre gpfs beegfs fuse.sshfs fuse.glusterfs"
    " fuse.s3fs fuse.rclone".split()
)
"""Where neither the lock nor SQLite's own locks can be trusted."""


@asynccontextmanager
async def run_lock(ledger: Path, wait: timedelta) -> AsyncIterator[None]:
    """Holds the run lock of a ledger; waits for it no longer than `wait`.

    The lock is on a file of its own beside the ledger (a lock on the ledger itself would be lost
    whenever SQLite closes a file handle of it): beside the file itself, whatever links lead to it.

    Raises:
        LedgerLocked: another run holds it.
        LedgerError: the directory cannot be made or written, or is on a network file system.
        InputError: the ledger has more than one name.
    """
    path = lock_of(ledger)
    try:
        make_folder(path.parent)
        refuse_network(path.parent)
        handle = _open(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        owner = "check who owns it, or " if isinstance(error, PermissionError) else ""
        raise LedgerError(
            f"cannot make the ledger's lock {path}: {error.strerror}; {owner}give `state` a "
            "directory that can be written"
        ) from error
    try:
        deadline = anyio.current_time() + wait.total_seconds()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                remaining = deadline - anyio.current_time()
                if remaining <= 0:
                    raise LedgerLocked(_who(handle, path)) from None
                await anyio.sleep(min(_PAUSE_SECONDS, remaining))
            except OSError as error:
                raise LedgerError(
                    f"the file system does not lock {path}: {error.strerror}; point `state` at a "
                    "local disk"
                ) from error
        with suppress(OSError):  # only for people; on a full disk the ledger itself has the words
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        refuse_hard_links(ledger)
        yield
    finally:
        os.close(handle)


def holder(ledger: Path) -> str | None:
    """Who holds the run lock of a ledger now, such as ``process 4711``; None if it is free.

    Makes nothing, and holds the lock itself for no longer than it takes to ask.

    Raises:
        LedgerError: the lock's file is there, but cannot be opened.
    """
    path = lock_of(ledger)
    try:
        handle = _open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LedgerError(
            f"cannot open the ledger's lock {path}: {error.strerror}; check its owner and mode"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _name_of(handle)
    finally:
        os.close(handle)
    return None


def _open(path: Path, flags: int) -> int:
    """Opens the lock's file, which is no link, pipe or device that somebody else has put there.

    Raises:
        LedgerError: it is.
        OSError: the disk.
    """
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _NOT_A_FILE:
            raise
    else:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
    raise LedgerError(
        f"the ledger's lock {path} is a link, a folder or a device, where a file must be: look who "
        f"made it, and remove it; nobody else should be able to write in {path.parent}"
    )


def lock_of(ledger: Path) -> Path:
    """The file that is locked for a ledger.

    Raises:
        LedgerError: the ledger's links lead in a circle.
    """
    real = real_path(ledger)
    return real.with_name(real.name + ".lock")


def real_path(ledger: Path) -> Path:
    """Where the ledger itself is, or would be, at the end of all links.

    Raises:
        LedgerError: the links lead in a circle.
    """
    try:
        return ledger.resolve()
    except (OSError, RuntimeError) as error:
        raise LedgerError(
            f"{ledger}: its links lead nowhere; point `state` at the ledger"
        ) from error


def refuse_hard_links(ledger: Path) -> None:
    """Refuses a ledger that has a second name: SQLite keeps its log beside the name in use.

    Opened under the other name, the ledger would lack what stands in the log of this one.

    Raises:
        InputError: it has.
    """
    try:
        status = ledger.stat()
    except OSError:
        return
    names = status.st_nlink
    if stat.S_ISREG(status.st_mode) and names > 1:
        raise InputError(
            f"the ledger {ledger} has {names} names (hard links), and its log stands beside one "
            "of them only: opened under another name it would lack what is in the log. Remove the "
            "other names, once no run is active; a backup made of links is no backup: use `cp`"
        )


def _name_of(handle: int) -> str:
    pid = os.pread(handle, 32, 0).decode(errors="replace").strip()
    return f"process {pid}" if pid.isdigit() else "another process"


def _who(handle: int, path: Path) -> str:
    return (
        f"{_name_of(handle)} is running on this ledger (it holds {path}); wait for it, or give "
        "--lock-wait 10m"
    )


def refuse_network(directory: Path, mounts: str | None = None) -> None:
    """Refuses a directory on a network file system, where the system says so (Linux).

    Args:
        mounts: the text of ``/proc/self/mountinfo``; read if None.

    Raises:
        LedgerError: it is on one.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
    real = directory.resolve()
    nearest: tuple[int, str] = (-1, "")  # length and file system of the closest mount point above
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = fields[4].replace("\\040", " ")
        if real.is_relative_to(point) and len(point) >= nearest[0]:
            nearest = (len(point), after.split()[0])
    if nearest[1] in NETWORK_FILE_SYSTEMS:
        raise LedgerError(
            f"{directory} is on a network file system ({nearest[1]}), where a ledger is not safe; "
            "point `state` at a local disk (the reports themselves may stay where they are)"
        )
