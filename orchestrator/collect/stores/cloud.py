"""The `OutputStore` in an object store: S3 and what speaks its protocol, GCS, Azure.

An object appears whole or not at all; its size and its SHA-256 are read back before a file counts
as published.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import disk, layout, safe_open
from orchestrator.collect.stores.cloud_appender import CloudAppender, continues
from orchestrator.collect.stores.cloud_objects import Head, Objects, content_of
from orchestrator.errors import NameTaken, OutputError


def cloud_store(url: str, work_area: Path) -> CloudStore:
    """A store at an address.

    It replaces a manifest only as it has last seen it itself: a writer keeps to one store, whatever
    others in its process read.

    Raises:
        InputError: the library is missing, or takes neither the address nor the environment.
    """
    return CloudStore(Objects(url), work_area)


class CloudStore:
    """See `OutputStore`."""

    is_remote: Final = True

    def __init__(self, objects: Objects, work_area: Path) -> None:
        self._objects = objects
        self._work_area = work_area
        self._ends: dict[str, CloudAppender] = {}

    def location(self, key: str) -> str:
        return self._objects.location(key)

    def _checked(self, key: str) -> str:
        if not layout.is_inside(key):
            raise OutputError(
                f"the file name {key!r} leads out of the output directory {self._objects.url};"
                " nothing was written: check who changed the ledger"
            )
        return key

    def probe(self) -> None:
        self._objects.probe()

    def put(
        self,
        local: Path,
        key: str,
        sha256: str,
        *,
        hashed: bool = False,
        synced: bool = False,  # noqa: ARG002 - the upload is what makes it last
        is_cancelled: Callable[[], bool] = bool,
    ) -> bool:
        self._checked(key)
        with disk.translate_os_errors(local, "publish"), self._objects.translated(key, "write"):
            if not hashed and safe_open.is_file(local) and safe_open.hash_file(local) != sha256:
                disk.remove(local)
            head = self._objects.head(key)
            size_bytes = local.stat().st_size if safe_open.is_file(local) else None
            if head is None:
                if size_bytes is None:
                    return False
                with safe_open.read(local) as file:
                    head = self._objects.upload(file, key, sha256, is_cancelled)
            if self._has_content(key, head, sha256, size_bytes):
                disk.remove(local)
                return True
            if size_bytes is None:
                return False
            raise NameTaken(
                f"another file stands at {self.location(key)}, with other content, and is not "
                "overwritten"
            )

    def _has_content(self, key: str, head: Head, sha256: str, size_bytes: int | None) -> bool:
        """Whether an object is the file; read where what is known of it does not tell.

        That is so of an object that another program has copied, and of one whose file is gone.
        """
        if head.sha256 and size_bytes is not None:
            return (head.sha256, head.size_bytes) == (sha256, size_bytes)
        with self._objects.open(key, head) as file:
            return safe_open.hash_of(file) == sha256

    def size(self, key: str) -> int | None:
        head = self._objects.see(self._checked(key))
        return None if head is None else head.size_bytes

    def open(self, key: str) -> BinaryIO:
        head = self._objects.see(self._checked(key))
        if head is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", self.location(key))
        copy = self._copy(key)
        return safe_open.read(copy) if continues(copy, head) else self._objects.open(key, head)

    def list(self, prefix: str) -> Iterator[str]:
        return self._objects.list(prefix)

    def delete(self, key: str) -> bool:
        removed = self._objects.delete(self._checked(key))
        self._forget_copy(key)
        return removed

    @contextmanager
    def replace(self, key: str) -> Iterator[BinaryIO]:
        part = self._work_area / layout.PARTIAL / f"{self._checked(key).rpartition('/')[2]}.part"
        with disk.translate_os_errors(part, "write"):
            disk.DurableDirectories(self._work_area).make(part.parent)
            try:
                with safe_open.create(part, private=True) as file:
                    yield file
                with safe_open.read(part) as written:
                    content = content_of(written, os.fstat(written.fileno()).st_size)
                if key in self._ends:
                    self._ends[key].settle()
                with self._objects.translated(key, "write"):
                    seen = self._objects.seen(key)
                sha256 = hashlib.sha256(content).hexdigest()
                self._objects.write_over(key, content, sha256, seen)
                self._forget_copy(key)
            finally:
                disk.remove(part)

    def append_to(self, key: str, size_bytes: int) -> CloudAppender:
        end = CloudAppender(self._objects, self._checked(key), self._copy(key), size_bytes)
        self._ends[key] = end
        return end

    def _copy(self, key: str) -> Path:
        """Where a file grows before it is uploaded."""
        return self._work_area / key.replace("/", "_")

    def _forget_copy(self, key: str) -> None:
        end = self._ends.pop(key, None)
        if end is not None:
            end.replaced()
        disk.remove(self._copy(key))
