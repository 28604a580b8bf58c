"""The `OutputStore` on a local disk, or one on a network: a folder.

A file gets its name so that neither a crash nor a power cut loses it. The order is the promise:
content synced, renamed, folder synced. No link below the folder is followed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import disk, layout, safe_open
from orchestrator.errors import NameTaken, OutputError
from orchestrator.fsync import sync_folder
from orchestrator.presence import is_dir

_BUFFER_BYTES: Final = 1024 * 1024  # Of a file that is replaced, which is written in small pieces.
_SYNC: Final = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class FolderStore:
    """See `OutputStore`. Local files that are put must lie on the same file system.

    Args:
        root: made by the first file, if it is not there; it may be a link itself.
    """

    is_remote: Final = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = disk.DurableDirectories(root)

    def probe(self) -> None:
        pass  # `require_output` looks at the folder, and explains what is wrong

    def location(self, key: str) -> str:
        return str(self._root / key)

    def _path(self, key: str) -> Path:
        return layout.target_path(self._root, key)

    def put(
        self,
        local: Path,
        key: str,
        sha256: str,
        *,
        hashed: bool = False,
        synced: bool = False,
        is_cancelled: Callable[[], bool] = bool,  # noqa: ARG002 - it takes no time
    ) -> bool:
        place = self._path(key)
        with disk.translate_os_errors(local, "publish"):
            if not self._folders.knows(place.parent):
                safe_open.refuse_links(self._root, place.parent)
            if not hashed and not _is_sound(local, sha256):
                disk.remove(local)
                return self._stands(place, sha256)
            if _is_taken(place) and not _has_hash(place, sha256):
                other = "another file stands at {}, with other content, and is not overwritten"
                if place.is_symlink():
                    other = (
                        "a symbolic link stands at {}, which is neither followed nor overwritten"
                    )
                raise NameTaken(other.format(place))
            try:
                if not synced:
                    disk.sync_file(local)
                self._move(local, place)
            except FileNotFoundError:
                return self._stands(place, sha256)
            self._folders.sync(place.parent)
            return True

    def _move(self, local: Path, place: Path) -> None:
        """Renames; each system call lets another thread take over, so none is made to be sure."""
        if self._folders.knows(place.parent):
            try:
                local.replace(place)
            except FileNotFoundError:
                pass  # the file, or the folder: somebody may have removed either
            else:
                return
        self._folders.make(place.parent)
        local.replace(place)

    def _stands(self, place: Path, sha256: str) -> bool:
        """Whether the file is published already; makes sure that this is so for good."""
        if not _is_taken(place) or not _has_hash(place, sha256):
            return False
        self._folders.make(place.parent)
        disk.sync_file(place)
        self._folders.sync(place.parent)
        return True

    def size(self, key: str) -> int | None:
        path = self._path(key)
        return path.lstat().st_size if safe_open.is_file(path) else None

    def open(self, key: str) -> BinaryIO:
        path = self._path(key)
        safe_open.refuse_links(self._root, path.parent)
        return safe_open.read(path, buffering=_BUFFER_BYTES)

    def list(self, prefix: str) -> Iterator[str]:
        folder, _, begin = prefix.rpartition("/")
        place = self._root / folder
        safe_open.refuse_links(self._root, place)
        return self._keys_in(place, f"{folder}/" if folder else "", begin)

    def _keys_in(self, place: Path, prefix: str, begin: str = "") -> Iterator[str]:
        try:
            names = os.listdir(place)  # noqa: PTH208 - there may be very many
        except (FileNotFoundError, NotADirectoryError):
            return
        if begin or not prefix:  # at the top there is the work area, too
            names = [name for name in names if name.startswith(begin) and name[0] != "."]
        yield from [prefix + name for name in names if "=" not in name]
        for name in names:
            # Folders are levels such as `report_product=SMS`; one under another name is in the way
            # of a file, so it is listed above, as a file that cannot be opened.
            if "=" in name:
                path = place / name
                if is_dir(path) and not path.is_symlink():
                    yield from self._keys_in(path, f"{prefix}{name}/")
                else:
                    yield prefix + name

    def delete(self, key: str) -> bool:
        place = self._path(key)
        with disk.translate_os_errors(place, "remove"):
            safe_open.refuse_links(self._root, place.parent)
            removed = disk.remove(place)
            if removed:
                sync_folder(place.parent)
            return bool(removed)

    @contextmanager
    def replace(self, key: str) -> Iterator[BinaryIO]:
        place = self._path(key)
        part = self._root / layout.PARTIAL / f"{place.name}.part"
        with disk.translate_os_errors(place, "write"):
            self._folders.make(part.parent)
            try:
                with safe_open.create(part, buffering=_BUFFER_BYTES) as file:
                    yield file
                disk.sync_file(part)
                self._folders.make(place.parent)
                part.replace(place)
                self._folders.sync(place.parent)
            finally:
                disk.remove(part)

    def append_to(self, key: str, size_bytes: int) -> _FolderAppender:
        return _FolderAppender(self._path(key), size_bytes)


@dataclass(slots=True)
class _FolderAppender:
    path: Path
    size_bytes: int
    _handle: int | None = None
    _broken: bool = False

    def append(self, block: bytes) -> None:
        if self._broken:
            raise OutputError(f"{self.path} could not be appended to; run again")
        with disk.translate_os_errors(self.path, "write"):
            self._broken = True
            handle = self._open()
            try:
                _write(handle, block)
                _SYNC(handle)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(handle, self.size_bytes)
                raise
            self._broken = False
        self.size_bytes += len(block)

    def _open(self) -> int:
        if self._handle is None:
            self._handle = safe_open.descriptor_of(self.path, os.O_WRONLY)
            os.ftruncate(self._handle, self.size_bytes)
            os.lseek(self._handle, self.size_bytes, os.SEEK_SET)
        return self._handle

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _write(handle: int, block: bytes) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _is_sound(local: Path, sha256: str) -> bool:
    try:
        return safe_open.hash_file(local) == sha256
    except FileNotFoundError:
        return False


def _is_taken(place: Path) -> bool:
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _has_hash(place: Path, sha256: str) -> bool:
    return safe_open.is_file(place) and safe_open.hash_file(place) == sha256
