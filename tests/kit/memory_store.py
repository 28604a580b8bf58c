"""An `OutputStore` in memory, for tests; as strict as a remote one."""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from orchestrator.collect.layout import is_inside
from orchestrator.errors import NameTaken, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO


class MemoryStore:
    """See `OutputStore`. Files cannot grow here: what is appended replaces them on `close`."""

    is_remote: Final = False

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def probe(self) -> None:
        pass

    def location(self, key: str) -> str:
        return f"memory:{key}"

    def _checked(self, key: str) -> str:
        if not is_inside(key):
            raise OutputError(f"the key {key!r} leads out of the store")
        return key

    def put(
        self,
        local: Path,
        key: str,
        sha256: str,
        *,
        hashed: bool = False,
        synced: bool = False,
        is_cancelled: Callable[[], bool] = bool,
    ) -> bool:
        content = local.read_bytes() if local.exists() else None
        if content is not None and not hashed and hashlib.sha256(content).hexdigest() != sha256:
            local.unlink()
            content = None
        stands = self.files.get(self._checked(key))
        is_same = stands is not None and hashlib.sha256(stands).hexdigest() == sha256
        if content is None:
            return is_same
        if stands is not None and not is_same:
            raise NameTaken(f"another file stands at {self.location(key)}")
        self.files[key] = content
        local.unlink()
        return True

    def size(self, key: str) -> int | None:
        content = self.files.get(self._checked(key))
        return None if content is None else len(content)

    def open(self, key: str) -> BinaryIO:
        if self._checked(key) not in self.files:
            raise FileNotFoundError(key)
        return io.BytesIO(self.files[key])

    def list(self, prefix: str) -> Iterator[str]:
        return iter([key for key in self.files if key.startswith(prefix)])

    def delete(self, key: str) -> bool:
        return self.files.pop(self._checked(key), None) is not None

    @contextmanager
    def replace(self, key: str) -> Iterator[BinaryIO]:
        file = io.BytesIO()
        self._checked(key)
        yield file
        self.files[key] = file.getvalue()

    def append_to(self, key: str, size_bytes: int) -> _MemoryAppender:
        return _MemoryAppender(self, self._checked(key), size_bytes)


class _MemoryAppender:
    def __init__(self, store: MemoryStore, key: str, size_bytes: int) -> None:
        self._store = store
        self._key = key
        self._size_bytes = size_bytes
        self._local: bytearray | None = None

    def append(self, block: bytes) -> None:
        if self._local is None:
            if self._key not in self._store.files:
                raise OutputError(f"{self._store.location(self._key)} is not there")
            self._local = bytearray(self._store.files[self._key][: self._size_bytes])
        self._local += block

    def close(self) -> None:
        if self._local is not None:
            self._store.files[self._key] = bytes(self._local)
            self._local = None
