"""The end of a file in an object store, which cannot grow there: a local copy does.

The copy is synced with every block, and uploaded at intervals and at the end. After a crash it
holds more than the store, and whoever opens the file reads the copy.
"""

import hashlib
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import disk, safe_open
from orchestrator.collect.stores.cloud_objects import Head, Objects, Replaced, content_of
from orchestrator.errors import OutputError
from orchestrator.fsync import sync_folder

_UPLOAD_SECONDS: Final = 60.0  # Between two uploads: what is lost with this machine's disk.
_UPLOAD_SHARE: Final = 50  # An upload takes at most this part of the time, for large files.


def continues(copy: Path, head: Head) -> bool:
    """Whether a local copy begins with what the store has, and goes on: a crash left it.

    Raises:
        OSError: the copy cannot be read.
    """
    if not safe_open.is_file(copy) or copy.stat().st_size <= head.size_bytes:
        return False
    rest, digest = head.size_bytes, hashlib.sha256()
    with safe_open.read(copy) as file:
        while rest and (block := file.read(min(rest, safe_open.READ_BLOCK))):
            digest.update(block)
            rest -= len(block)
    return digest.hexdigest() == head.sha256


class CloudAppender:
    """See `Appender`.

    Args:
        copy: where it grows.
        size_bytes: the bytes of it that count.
    """

    def __init__(self, objects: Objects, key: str, copy: Path, size_bytes: int) -> None:
        self._objects = objects
        self._key = key
        self._copy = copy
        self._size_bytes = size_bytes
        self._file: BinaryIO | None = None
        self._base: Head | None = None  # What the copy goes on from.
        self._digest = hashlib.sha256()
        self._is_broken = False
        self._is_uploaded = True
        self._upload_at = 0.0
        self._uploads: ThreadPoolExecutor | None = None
        self._running: Future[Head] | None = None
        self._running_bytes = 0

    def append(self, block: bytes) -> None:
        if self._is_broken:
            raise OutputError(
                f"{self._objects.location(self._key)} could not be appended to; run again"
            )
        self._is_broken = True
        if self._running is not None and self._running.done():
            self.settle()
        with disk.translate_os_errors(self._copy, "write"):
            file = self._file or self._begin()
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        self._digest.update(block)
        self._size_bytes += len(block)
        self._is_uploaded = False
        if self._running is None and time.monotonic() >= self._upload_at:
            # Whoever appends has reports to record, and the store may be slow.
            self._uploads = self._uploads or ThreadPoolExecutor(1, "upload")
            content = (self._size_bytes, self._digest.hexdigest())
            self._running = self._uploads.submit(self._upload_aside, *content, self._base)
            self._running_bytes = self._size_bytes
        self._is_broken = False

    def settle(self) -> None:
        """Waits for the upload that runs. One that fails is made up for by the next.

        Raises:
            Replaced: by another writer, whose work ends this one's.
        """
        if self._running is None:
            return
        upload, self._running = self._running, None
        try:
            self._base = upload.result()
            self._is_uploaded = self._running_bytes == self._size_bytes
        except Replaced:
            raise
        except OutputError:
            pass  # The copy is safe on the disk.

    def replaced(self) -> None:
        """The file has a new content as a whole: what was appended does not belong to it."""
        with suppress(OutputError):
            self.settle()
        self._is_broken = True
        self._is_uploaded = True

    def _begin(self) -> BinaryIO:
        """Makes the local copy end where it is gone on."""
        seen = self._objects.seen(self._key)
        if seen is None:
            raise OutputError(f"{self._objects.location(self._key)} is not there; run again")
        if not continues(self._copy, seen):
            self._download(seen)
        if self._copy.stat().st_size < self._size_bytes:
            raise self._objects.changed(self._key)
        self._base = seen
        self._digest = hashlib.sha256()
        file = safe_open.append(self._copy)
        try:
            os.ftruncate(file.fileno(), self._size_bytes)
            with safe_open.read(self._copy) as content:
                for piece in safe_open.read_blocks(content):
                    self._digest.update(piece)
        except BaseException:
            file.close()
            raise
        self._file = file
        self._upload_at = time.monotonic() + _UPLOAD_SECONDS
        return file

    def _download(self, seen: Head) -> None:
        part = self._copy.with_name(f"{self._copy.name}.new")
        part.parent.mkdir(parents=True, exist_ok=True)
        with safe_open.create(part, private=True) as file:
            with self._objects.open(self._key, seen) as content:
                file.writelines(safe_open.read_blocks(content))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._copy)
        sync_folder(self._copy.parent)

    def _upload_aside(self, size_bytes: int, sha256: str, base: Head | None) -> Head:
        began = time.monotonic()
        try:
            return self._upload(size_bytes, sha256, base)
        finally:
            ended = time.monotonic()
            self._upload_at = ended + max(_UPLOAD_SECONDS, _UPLOAD_SHARE * (ended - began))

    def _upload(self, size_bytes: int, sha256: str, base: Head | None) -> Head:
        with disk.translate_os_errors(self._copy, "read"), safe_open.read(self._copy) as file:
            content = content_of(file, size_bytes)
        try:
            return self._objects.write_over(self._key, content, sha256, base)
        except Replaced:
            # By an upload of this copy whose answer was lost, or by somebody else.
            with self._objects.translated(self._key, "write"):
                head = self._objects.head(self._key)
                if head is None or not continues(self._copy, head):
                    raise
            return self._objects.write_over(self._key, content, sha256, head)

    def _remove_useless_copy(self) -> None:
        """Removes what a crash after the last upload has left: the store has the newer file."""
        with disk.translate_os_errors(self._copy, "remove"):
            if safe_open.is_file(self._copy):
                seen = self._objects.seen(self._key)
                if seen is not None and not continues(self._copy, seen):
                    disk.remove(self._copy)

    def close(self) -> None:
        if self._file is None:
            self._remove_useless_copy()
            return
        self._file.close()
        self._file = None
        try:
            self.settle()
            if not self._is_uploaded:
                self._upload(self._size_bytes, self._digest.hexdigest(), self._base)
        finally:
            if self._uploads is not None:
                self._uploads.shutdown(wait=False)
        disk.remove(self._copy)
