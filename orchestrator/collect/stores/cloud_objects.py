"""The objects of a bucket, by the library obstore: S3 and what speaks its protocol, GCS, Azure.

All calls of the library are synchronous: its asynchronous ones ended processes with SIGABRT.
"""

import io
import mmap
import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, BinaryIO, Final, NamedTuple

from orchestrator.collect import disk, layout, safe_open
from orchestrator.collect.stores import cloud_connection
from orchestrator.collect.stores.cloud_connection import told
from orchestrator.errors import InputError, NameTaken, OutputError

_CHUNK_BYTES: Final = 8 * 1024 * 1024  # Of an upload in parts: few requests, little memory.
_CONCURRENT_CHUNKS: Final = 4  # Per file; four downloads hold 128 MB at most.
_READ_BYTES: Final = 4 * 1024 * 1024  # Of one request for a part of an object.
_LISTED: Final = 1000  # Keys of one answer.
_HASH: Final = "sha256"  # The attribute that holds an object's SHA-256, in hex.
_PROBE: Final = ".orchestrator-probe"
_PROBES: Final = 10
_PROBE_SECONDS: Final = 0.2  # The longest wait between two.
_PROBE_CONTENT: Final = b"written to find out whether files can be written here\n"


Content = bytes | mmap.mmap
"""What one request sends as a whole."""


def content_of(file: BinaryIO, size_bytes: int) -> Content:
    """The first bytes of a file, which stands at its beginning and does not get shorter.

    A large file is mapped: the library sends it from there, and no copy of it is in memory. The
    manifest of a million reports has 800 MB, and only one request can replace it on a condition.

    Raises:
        OSError: it cannot be read, or mapped.
    """
    if size_bytes <= _CHUNK_BYTES:
        return file.read(size_bytes)
    return mmap.mmap(file.fileno(), size_bytes, access=mmap.ACCESS_READ)


class Replaced(OutputError):
    """Another version of an object stands there than the one that this process has seen."""


class Head(NamedTuple):
    """What a store tells of an object.

    Attributes:
        sha256: as it was written; empty for an object of somebody else.
        e_tag: another one whenever the content is another one.
        version: of stores that number the versions of an object; else empty.
    """

    size_bytes: int
    sha256: str
    e_tag: str
    version: str

    @property
    def mode(self) -> dict[str, str]:
        """The condition that this version is the one that is replaced."""
        return {"e_tag": self.e_tag} | ({"version": self.version} if self.version else {})


class Objects:
    """The objects below an address.

    Args:
        url: of the bucket, and the prefix of all keys. The environment says how it is reached.

    Raises:
        InputError: the library is missing, or takes neither the address nor the environment.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._library = cloud_connection.library()
        self._errors = self._library.exceptions
        self._variables = cloud_connection.environment()
        self._remote = self._reached_for(0)
        # What was last seen here of the files at the top, such as the manifest: only that version
        # is replaced, so that another writer's is never overwritten unseen.
        self._seen: dict[str, Head | None] = {}

    def _reached_for(self, size_bytes: int) -> Any:
        """The library's store, whose requests may take as long as a body of this size needs."""
        seconds = cloud_connection.request_seconds(size_bytes)
        return cloud_connection.connect(self._library, self.url, self._variables, seconds)

    def location(self, key: str) -> str:
        """The address of an object."""
        return f"{self.url}/{key}"

    def head(self, key: str) -> Head | None:
        """What the store has under a key; None: nothing.

        Raises:
            OSError: it cannot be asked.
        """
        with self._os_errors():
            try:
                result = self._library.get(self._remote, key, options={"head": True})
            except FileNotFoundError:
                return None
            meta = result.meta
            return Head(
                meta["size"],
                result.attributes.get(_HASH, ""),
                meta["e_tag"] or "",
                meta["version"] or "",
            )

    def see(self, key: str) -> Head | None:
        """As `head`; of a file at the top it is remembered that this process has seen it."""
        head = self.head(key)
        self.remember(key, head)
        return head

    def remember(self, key: str, head: Head | None) -> None:
        """As if it had just been seen."""
        if "/" not in key:
            self._seen[key] = head

    def seen(self, key: str) -> Head | None:
        """The version that this process has seen; of a file that it has not looked at: of now."""
        return self._seen[key] if key in self._seen else self.see(key)

    def read_range(self, key: str, start: int, end: int, head: Head) -> bytes:
        """Bytes of a version of an object.

        Raises:
            OSError: they cannot be had, or the object was replaced.
        """
        options: dict[str, object] = {"range": (start, end)}
        if head.e_tag:
            options["if_match"] = head.e_tag
        with self._os_errors():
            return bytes(self._library.get(self._remote, key, options=options).bytes())

    def open(self, key: str, head: Head) -> BinaryIO:
        """A version of an object, for reading from any position; raises `OSError`."""
        return io.BufferedReader(_RemoteFile(self, key, head), _READ_BYTES)

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix; raises `OSError`."""
        folder, _, _ = prefix.rpartition("/")
        with self._os_errors():
            for batch in self._library.list(self._remote, folder or None, chunk_size=_LISTED):
                for item in batch:
                    key = item["path"]
                    if key.startswith(prefix) and layout.is_inside(key):
                        yield key

    def delete(self, key: str) -> bool:
        """Removes an object; True if it was there.

        Raises:
            OutputError: the store refuses it.
        """
        with self.translated(key, "remove"):
            if self.see(key) is None:
                return False
            self._library.delete(self._remote, key)
            self.remember(key, None)
            return True

    def upload(
        self, file: BinaryIO, key: str, sha256: str, is_cancelled: Callable[[], bool]
    ) -> Head:
        """Uploads a file, and reads back what the store then has under the key.

        It takes the place of no object: a small file for certain, and a large one of none that was
        there before its last part was sent, since an upload in parts knows no conditions.

        Raises:
            NameTaken: an object appeared while a large file was sent.
            OutputError: what was written is not there; or `is_cancelled`, and nothing is.
            OSError: the file.
        """
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes <= _CHUNK_BYTES:
            with suppress(self._errors.AlreadyExistsError):  # the caller compares it
                self._put(key, file.read(), sha256, "create")
        else:
            self._library.put(
                self._reached_for(_CONCURRENT_CHUNKS * _CHUNK_BYTES),
                key,
                chain(_blocks(file, size_bytes, is_cancelled), self._unless_taken(key)),
                attributes={_HASH: sha256},
                chunk_size=_CHUNK_BYTES,
                max_concurrency=_CONCURRENT_CHUNKS,
            )
        head = self.head(key)
        if head is None or (head.sha256 == sha256 and head.size_bytes != size_bytes):
            raise OutputError(
                f"{self.location(key)} was written, and is not there as it was written; run again"
            )
        return head

    def _unless_taken(self, key: str) -> Iterator[bytes]:
        """No bytes; raises if there is an object by now, so that the library aborts the upload."""
        with ThreadPoolExecutor(1) as another:  # The library is busy with the upload in this one.
            head = another.submit(self.head, key).result()
        if head is not None:
            raise NameTaken(f"another file appeared at {self.location(key)}, and stays")
        yield from ()

    def _put(self, key: str, content: Content, sha256: str, mode: object) -> None:
        self._library.put(
            self._reached_for(len(content)),
            key,
            content,
            attributes={_HASH: sha256},
            mode=mode,
            use_multipart=False,
        )

    def write_over(self, key: str, content: Content, sha256: str, seen: Head | None) -> Head:
        """Replaces a version of a file, or makes it where there was none; what stands then.

        Raises:
            OutputError: the store refuses it.
            Replaced: another version stands there.
        """
        with self.translated(key, "write"):
            # A request that was repeated since its answer was lost finds its own work there.
            with suppress(self._errors.PreconditionError, self._errors.AlreadyExistsError):
                self._put(key, content, sha256, "create" if seen is None else seen.mode)
            head = self.head(key)
            if head is None or (head.sha256, head.size_bytes) != (sha256, len(content)):
                raise self.changed(key)
            self.remember(key, head)
            return head

    def changed(self, key: str) -> Replaced:
        """The error of a writer that finds another one's work."""
        return Replaced(f"{self.location(key)} was changed by somebody else; run again")

    # --- whether it can be used -------------------------------------------------------------------

    def probe(self) -> None:
        """Writes a small object, reads it back and removes it; buys nothing.

        Raises:
            InputError: the bucket is not there, or the credentials may not do that.
            OutputError: the store does not answer as it should.
        """
        try:
            # Runs that begin together remove each other's object: what is shown once counts.
            shown: set[str] = set()
            for _ in range(_PROBES):
                self._show(shown)
                if shown == {"conditions", "content"}:
                    break
                time.sleep(random.uniform(0, _PROBE_SECONDS))  # noqa: S311 - no secret
            else:
                raise InputError(
                    f"output.directory {self.url}: the store takes no conditional writes"
                    " (If-None-Match), or does not keep what is written, so two runs could"
                    " overwrite each other's manifest; use another store"
                )
            # Whoever may not list a bucket is denied what is not there, instead of told so.
            with suppress(FileNotFoundError):
                self._library.get(self._remote, _PROBE, options={"head": True})
            next(iter(self._library.list(self._remote, _PROBE)), None)
        except FileNotFoundError as error:
            raise InputError(
                f"output.directory {self.url}: there is no such bucket or container; make it, or "
                "name another"
            ) from error
        except (self._errors.PermissionDeniedError, self._errors.UnauthenticatedError) as error:
            raise InputError(
                f"output.directory {self.url}: the credentials of the environment may not write, "
                f"read and delete there ({told(error)})"
            ) from error
        except self._errors.BaseError as error:
            raise OutputError(f"{self.url} cannot be used: {told(error)}") from error

    def _show(self, shown: set[str]) -> None:
        """Adds whether an object is not made anew while it is there, and whether it can be read."""
        self._library.put(self._remote, _PROBE, _PROBE_CONTENT, use_multipart=False)
        try:
            self._library.put(self._remote, _PROBE, _PROBE_CONTENT, mode="create")
        except self._errors.AlreadyExistsError:
            shown.add("conditions")
        with suppress(FileNotFoundError):
            if bytes(self._library.get(self._remote, _PROBE).bytes()) != _PROBE_CONTENT:
                raise OutputError(f"{self.url} gives back other bytes than were written there")
            shown.add("content")
        try:
            with suppress(FileNotFoundError):
                self._library.delete(self._remote, _PROBE)
        except self._errors.BaseError as error:
            # S3 answers 200, and says in the body that it is denied.
            denied = isinstance(error, self._errors.PermissionDeniedError)
            if not denied and "AccessDenied" not in told(error):
                raise
            raise InputError(
                f"output.directory {self.url}: the credentials of the environment may write, but"
                f" not delete there; {self.location(_PROBE)} stays, and may be removed"
                f" ({told(error)})"
            ) from error

    # --- errors -----------------------------------------------------------------------------------

    @contextmanager
    def _os_errors(self) -> Iterator[None]:
        try:
            yield
        except self._errors.BaseError as error:
            raise disk.RemoteError(told(error)) from error

    @contextmanager
    def translated(self, key: str, action: str) -> Iterator[None]:
        """What the store refuses inside becomes an `OutputError`."""
        try:
            yield
        except self._errors.BaseError as error:
            text = f"cannot {action} {self.location(key)}: {told(error)}"
            raise OutputError(text) from error
        except OSError as error:
            if error.errno is not None and not isinstance(error, disk.RemoteError):
                raise  # of the local disk; the library's own have no number
            text = f"cannot {action} {self.location(key)}: {error.strerror or told(error)}"
            raise OutputError(text) from error


def _blocks(file: BinaryIO, size_bytes: int, is_cancelled: Callable[[], bool]) -> Iterator[bytes]:
    """The bytes of a file; raises when the run ends, so that the library aborts the upload."""
    rest = size_bytes
    for block in safe_open.read_blocks(file):
        if is_cancelled():
            raise OutputError("the upload was aborted, since the run ends")
        rest -= len(block)
        yield block
    if rest:
        raise OutputError("the file changed while it was uploaded")


class _RemoteFile(io.RawIOBase):
    """A version of an object, for reading from any position."""

    def __init__(self, objects: Objects, key: str, head: Head) -> None:
        self._objects = objects
        self._key = key
        self._head = head
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = (0, self._position, self._head.size_bytes)[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._head.size_bytes)
        if end <= self._position:
            return 0
        content = self._objects.read_range(self._key, self._position, end, self._head)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def readall(self) -> bytes:
        """The rest, by as few requests as its parts need."""
        return b"".join(iter(lambda: self.read(_READ_BYTES) or b"", b""))
