"""The seam `OutputStore`: where published files and the manifest stand.

The work area is another thing and always local: files that are unfinished, verified and not yet
published, or kept for a person (`collect.work_area.WorkFiles`). No reader of a store sees them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol


class Appender(Protocol):
    """The end of a file that grows. Used by one thread at a time."""

    def append(self, block: bytes) -> None:
        """Adds to the end; returns once a power cut can no longer take it away.

        A folder writes and syncs the file itself. A store whose files cannot grow appends to a
        local copy in the work area, syncs that, and replaces the file of the store at intervals
        and in `close`; it takes up a copy that a crash has left when the file is next opened.

        Raises:
            OutputError: it was not added, and nothing may be appended from then on.
        """

    def close(self) -> None:
        """Everything appended stands in the store now; may be called again.

        Raises:
            OutputError: the store refuses it.
        """


class OutputStore(Protocol):
    """Files by their keys: relative paths with forward slashes, such as ``a=1/b=2/x.csv``.

    Methods may be called in any thread, for different keys at the same time. Only the run that
    holds the ledger's lock writes, so no store needs a lock of its own. A key that leads out of
    the store is refused with `OutputError` by every method.
    """

    @property
    def is_remote(self) -> bool:
        """Whether `put` sends a file over the network: it may take long, and can be cancelled."""

    def probe(self) -> None:
        """Shows that files can be written, read and deleted; leaves nothing behind.

        Raises:
            InputError: there is no such place, or it may not be used.
            OutputError: it does not answer as it should.
        """

    def location(self, key: str) -> str:
        """Where a file stands, for people: a path or an address."""

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
        """Moves a local file into the store; True if it stands there whole and for good.

        Readers see the whole file under its key or none. May be called again after a crash at any
        moment: it finishes the work, or finds that nothing is left to do.

        Args:
            local: is gone afterwards; may be gone already.
            key: of the file.
            sha256: that the content must have, in hex.
            hashed: this process wrote the file and took its hash, so it is not read again; else
                it is, since a power cut may have left a name without its bytes.
            synced: its content has been synced, too.
            is_cancelled: asked while a large file is sent; once it is true, nothing stands there,
                and `OutputError` is raised.

        Returns:
            False if the content is neither in the local file nor in the store.

        Raises:
            NameTaken: another content stands under the key; it stays, and so does the local file.
            OutputError: the store refuses it.
        """

    def size(self, key: str) -> int | None:
        """The size of a file in bytes; None where there is none.

        Raises:
            OSError: the store cannot be asked.
        """

    def open(self, key: str) -> BinaryIO:
        """A file, open for reading from any position.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read, or is no file.
        """

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, in no order; nothing of the work area.

        Raises:
            OSError: the store cannot be listed.
        """

    def delete(self, key: str) -> bool:
        """Removes a file for good; True if it was there.

        Raises:
            OutputError: the store refuses it.
        """

    def replace(self, key: str) -> AbstractContextManager[BinaryIO]:
        """A new content for a file: what the block writes stands there once the block has ended.

        The old content stays until then, and for good if the block raises.

        Args:
            key: of the file; it need not be there.

        Raises:
            OutputError: the store refuses it, or another writer has replaced the file since this
                process has seen it.
        """

    def append_to(self, key: str, size_bytes: int) -> Appender:
        """Goes on with a file behind so many of its bytes; what follows them is cut off.

        Nothing is opened before the first `Appender.append`.
        """
