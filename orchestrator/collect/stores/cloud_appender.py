"""The end of a file in an object store, which cannot grow there: a local copy does.

The copy is synced with every block, and uploaded at intervals and at the end. After a crash it
holds more than the store, and whoever opens the file reads the copy.
"""

import hashlib
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class CloudAppender:
    """See `Appender`."""

    objects: Objects
    key: str
    copy: Path  # where it grows
    size_bytes: int  # of it, that count
    _file: BinaryIO | None = None
    _base: Head | None = None  # what the copy goes on from
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _is_broken: bool = False
    _is_uploaded: bool = True
    _upload_at: float = 0.0
    _uploads: ThreadPoolExecutor | None = None
    _running: Future[Head] | None = None
    _running_bytes: int = 0

    def append(self, block: bytes) -> None:
        if self._is_broken:
            raise OutputError(
                f"{self.objects.location(self.key)} could not be appended to; run again"
            )
        self._is_broken = True
        if self._running is not None and self._running.done():
            self.settle()
        with disk.translate_os_errors(self.copy, "write"):
            file = self._file or self._begin()
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        self._digest.update(block)
        self.size_bytes += len(block)
        self._is_uploaded = False
        if self._running is None and time.monotonic() >= self._upload_at:
            # Whoever appends has reports to record, and the store may be slow.
            self._uploads = self._uploads or ThreadPoolExecutor(1, "upload")
            content = (self.size_bytes, self._digest.hexdigest())
            self._running = self._uploads.submit(self._upload_aside, *content, self._base)
            self._running_bytes = self.size_bytes
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
            self._is_uploaded = self._running_bytes == self.size_bytes
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
        seen = self.objects.seen(self.key)
        if seen is None:
            raise OutputError(f"{self.objects.location(self.key)} is not there; run again")
        if not continues(self.copy, seen):
            self._download(seen)
        if self.copy.stat().st_size < self.size_bytes:
            raise self.objects.changed(self.key)
        self._base = seen
        self._digest = hashlib.sha256()
        file = safe_open.append(self.copy)
        try:
            os.ftruncate(file.fileno(), self.size_bytes)
            with safe_open.read(self.copy) as content:
                for piece in safe_open.read_blocks(content):
                    self._digest.update(piece)
        except BaseException:
            file.close()
            raise
        self._file = file
        self._upload_at = time.monotonic() + _UPLOAD_SECONDS
        return file

    def _download(self, seen: Head) -> None:
        part = self.copy.with_name(f"{self.copy.name}.new")
        part.parent.mkdir(parents=True, exist_ok=True)
        with safe_open.create(part, private=True) as file:
            with self.objects.open(self.key, seen) as content:
                file.writelines(safe_open.read_blocks(content))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.copy)
        sync_folder(self.copy.parent)

    def _upload_aside(self, size_bytes: int, sha256: str, base: Head | None) -> Head:
        began = time.monotonic()
        try:
            return self._upload(size_bytes, sha256, base)
        finally:
            ended = time.monotonic()
            self._upload_at = ended + max(_UPLOAD_SECONDS, _UPLOAD_SHARE * (ended - began))

    def _upload(self, size_bytes: int, sha256: str, base: Head | None) -> Head:
        with disk.translate_os_errors(self.copy, "read"), safe_open.read(self.copy) as file:
            content = content_of(file, size_bytes)
        try:
            return self.objects.write_over(self.key, content, sha256, base)
        except Replaced:
            # By an upload of this copy whose answer was lost, or by somebody else.
            with self.objects.translated(self.key, "write"):
                head = self.objects.head(self.key)
                if head is None or not continues(self.copy, head):
                    raise
            return self.objects.write_over(self.key, content, sha256, head)

    def _remove_useless_copy(self) -> None:
        """Removes what a crash after the last upload has left: the store has the newer file."""
        with disk.translate_os_errors(self.copy, "remove"):
            if safe_open.is_file(self.copy):
                seen = self.objects.seen(self.key)
                if seen is not None and not continues(self.copy, seen):
                    disk.remove(self.copy)

    def close(self) -> None:
        if self._file is None:
            self._remove_useless_copy()
            return
        self._file.close()
        self._file = None
        try:
            self.settle()
            if not self._is_uploaded:
                self._upload(self.size_bytes, self._digest.hexdigest(), self._base)
        finally:
            if self._uploads is not None:
                self._uploads.shutdown(wait=False)
        disk.remove(self.copy)
