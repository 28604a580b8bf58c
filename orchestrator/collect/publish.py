"""Gives a verified file its final name, so that neither a crash nor a power cut loses it.

The order is the promise: content synced, renamed, folder synced. Whatever stops it in between,
`publish` called again either finishes the work or says that the file must be fetched again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.collect import disk, layout, safe_open
from orchestrator.errors import NameTaken

if TYPE_CHECKING:
    from pathlib import Path


def publish(
    verified: Path,
    folders: disk.DurableDirectories,
    target: str,
    sha256: str,
    *,
    fresh: bool,
    synced: bool = False,
) -> bool:
    """Moves a verified file to its name under the output directory; True if it stands there.

    Args:
        verified: the file aside.
        folders: whose root is the output directory.
        target: the name, relative to it.
        sha256: what the file must hash to.
        fresh: this very process wrote the file and took its hash; otherwise it is hashed again,
            since a power cut may have left a name without its bytes.
        synced: its content has been synced, too.

    Returns:
        False if the file is not there, neither aside nor under its name.

    Raises:
        NameTaken: another file stands under the name.
        OutputError: the disk.
    """
    place = layout.target_path(folders.root, target)
    with disk.translate_os_errors(verified, "publish"):
        if not folders.knows(place.parent):
            safe_open.refuse_links(folders.root, place.parent)
        if not fresh and not _is_sound(verified, sha256):
            disk.remove(verified)
            return _stands(place, sha256, folders)
        if _is_taken(place) and not _has_hash(place, sha256):
            other = "another file stands at {}, with other content, and is not overwritten"
            if place.is_symlink():
                other = "a symbolic link stands at {}, which is neither followed nor overwritten"
            raise NameTaken(other.format(place))
        try:
            if not synced:
                disk.sync_file(verified)
            _move(verified, place, folders)
        except FileNotFoundError:
            return _stands(place, sha256, folders)
        folders.sync(place.parent)
        return True


def _move(verified: Path, place: Path, folders: disk.DurableDirectories) -> None:
    """Renames; each system call lets another thread take over, so none is made to be sure."""
    if folders.knows(place.parent):
        try:
            verified.replace(place)
        except FileNotFoundError:
            pass  # the file, or the folder: somebody may have removed either
        else:
            return
    folders.make(place.parent)
    verified.replace(place)


def _is_sound(verified: Path, sha256: str) -> bool:
    try:
        return safe_open.hash_file(verified) == sha256
    except FileNotFoundError:
        return False


def _stands(place: Path, sha256: str, folders: disk.DurableDirectories) -> bool:
    """Whether the file is published already; makes sure that this is so for good."""
    if not _is_taken(place) or not _has_hash(place, sha256):
        return False
    folders.make(place.parent)
    disk.sync_file(place)
    folders.sync(place.parent)
    return True


def _is_taken(place: Path) -> bool:
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _has_hash(place: Path, sha256: str) -> bool:
    return safe_open.is_file(place) and safe_open.hash_file(place) == sha256
