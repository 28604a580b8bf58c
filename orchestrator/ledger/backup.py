"""Copies a ledger into one file, also while a run writes to it. Must never change the ledger."""

import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.errors import InputError, LedgerError, OutputError
from orchestrator.fsync import sync_and_close, sync_folder
from orchestrator.ledger import hardening, integrity
from orchestrator.ledger.creation import files_of, refuse_empty, remove_ledger
from orchestrator.ledger.events import EventTable, Identity
from orchestrator.ledger.lock import lock_of
from orchestrator.ledger.schema import APPLICATION_ID, check
from orchestrator.ledger.sqlite_errors import explain
from orchestrator.presence import exists, is_dir, is_file

_UNFINISHED: Final = ".unfinished"  # What the name of a copy ends in until it is complete.
_HEAD_BYTES: Final = 100  # The header of every file of SQLite.


@dataclass(frozen=True, slots=True)
class LedgerBackup:
    """A complete copy of a ledger."""

    path: Path  # of the copy, absolute
    size_bytes: int  # its size
    events: int  # the number of the latest event that it has; 0 in a ledger without events


def copy_ledger(path: Path, target: Path, *, replace: bool) -> LedgerBackup:
    """See `back_up_ledger`. The copy has the identity of the ledger.

    It is one file that only its owner may read. A ledger of an older version is copied as it is.
    """
    target = target.absolute()
    unfinished: Path | None = None
    try:
        _refuse_target(path, target, replace=replace)
        handle, name = tempfile.mkstemp(_UNFINISHED, f".{target.name}.", target.parent)
        os.close(handle)
        unfinished = Path(name)
        events = _copy(path, unfinished)
        size_bytes = unfinished.stat().st_size
        sync_and_close(os.open(unfinished, os.O_RDONLY))
        _refuse_target(path, target, replace=replace)  # something may have come there since
        if replace:
            unfinished.replace(target)
        else:
            _give_free_name(unfinished, target)
        sync_folder(target.parent)
    except sqlite3.Error as error:
        raise LedgerError(f"cannot back up to {target}: {explain(error, path)}") from error
    except OSError as error:
        raise OutputError(f"cannot write the backup {target}: {error.strerror}") from error
    finally:
        if unfinished is not None:
            remove_ledger(unfinished)
    return LedgerBackup(target, size_bytes, events)


def _refuse_target(path: Path, target: Path, *, replace: bool) -> None:
    """Refuses a name at which a copy would do harm.

    Raises:
        InputError: see `back_up_ledger`.
        OSError: it cannot be looked at.
        sqlite3.Error: the ledger cannot be opened.
    """
    if not is_dir(target.parent):
        raise InputError(
            f"cannot back up to {target}: there is no directory {target.parent}; make it, or mount "
            "the disk that it should be on"
        )
    if os.path.realpath(target) in map(os.path.realpath, files_of(path.resolve())):
        raise InputError(f"{target} is the ledger itself; name another file for the backup")
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not is_file(target):
        raise InputError(f"{target} is no plain file; name another file for the backup")
    for beside in (*files_of(target)[1:], lock_of(target)):
        if exists(beside):
            raise InputError(
                f"{target} is used as a ledger ({beside.name} stands beside it); name another "
                "file for the backup"
            )
    if not replace:
        raise InputError(f"{target} exists; name another file, or replace it with --force")
    if not _is_ledger(target):
        raise InputError(
            f"{target} is no backup of a ledger, so it is not replaced; name another file"
        )
    if target.stat().st_size:
        _refuse_more(path, target)


def _refuse_more(path: Path, target: Path) -> None:
    """Refuses a target that is of another ledger, or knows what this one does not.

    Raises:
        InputError: it is, or does.
        sqlite3.Error: the ledger cannot be opened.
    """
    another = InputError(
        f"{target} is not a backup of {path} but of another ledger, or that ledger itself, or "
        "it does not say of which it is, so it is not replaced; name another file"
    )
    with closing(hardening.open_file(path, "mode=ro")) as newer:
        try:
            with closing(hardening.open_file(target, "immutable=1")) as older:
                theirs = Identity(older, EventTable(older)).point()
            ours = Identity(newer, EventTable(newer)).point()
            last_event = EventTable(newer).checksum(theirs.events)
        except (sqlite3.Error, LedgerError):  # damaged, or of a version without
            raise another from None
    if theirs.ledger != ours.ledger:
        raise another
    if theirs.generation < ours.generation:
        return  # what it knew was given up with the rebuild
    if (
        theirs.generation > ours.generation
        or theirs.changes > ours.changes
        or theirs.last_event != last_event
    ):
        raise InputError(
            f"{target} knows what {path} does not: it is newer, or a copy that was used by itself,"
            " so it is not replaced; name another file"
        )


def _is_ledger(path: Path) -> bool:
    """Whether a file begins as ledgers do, or is empty: nothing else may be replaced.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    mark = APPLICATION_ID.to_bytes(4, "big")  # https://www.sqlite.org/fileformat.html
    return not head or (head.startswith(b"SQLite format 3\0") and head[68:72] == mark)


def _copy(path: Path, unfinished: Path) -> int:
    """Fills an empty file with the ledger, checked; the number of its latest event."""
    refuse_empty(path)
    with closing(hardening.open_file(path, "mode=ro")) as source:
        reached = check(source, str(path))
        hardening.refuse_tampered(source, path, reached)
        # Nobody else knows the file, and a network file system may have no locks.
        with closing(hardening.open_file(unfinished, "mode=rw&vfs=unix-none")) as copy:
            copy.execute("PRAGMA locking_mode = EXCLUSIVE")
            source.backup(copy)  # in one step: a run that goes on meanwhile does not change it
            copy.execute("PRAGMA journal_mode = DELETE")  # all in the one file
            integrity.refuse_damage(copy, path)
            (events,) = copy.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
            return int(events)


def _give_free_name(unfinished: Path, target: Path) -> None:
    """Gives a copy its name, where nothing may have taken that in the meantime.

    Raises:
        InputError: something has.
        OSError: the disk.
    """
    try:
        os.link(unfinished, target)
    except FileExistsError:
        raise InputError(
            f"{target} exists; name another file, or replace it with --force"
        ) from None
    except OSError:
        # No second names on this file system (FAT, some network disks): the look just before
        # must do.
        unfinished.replace(target)
    else:
        unfinished.unlink()
