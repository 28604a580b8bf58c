"""Standard streams that may be closed, full or abandoned: no line that is lost stops a command.

What a command does matters more than what it says. Only where the answer itself was lost does the
exit code tell so; a reader who has had enough (``| head``) is no error at all.
"""

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO, cast

_STANDARD: Final = (0, 1, 2)


class GuardedStream:
    """A text stream whose writes never fail; everything else is the stream's own.

    Args:
        lost: a first reason why nothing of it can be seen; it was closed from the beginning.
    """

    def __init__(self, stream: TextIO, *, lost: bool = False) -> None:
        self._stream = stream
        self._is_off = False
        # whether something could not be written, other than because the reader went away
        self.lost = False
        self._closed_from_the_beginning = lost

    def write(self, text: str) -> int:
        """Writes what can be written; the length of the text."""
        self.lost |= self._closed_from_the_beginning
        if not self._is_off:
            try:
                return self._stream.write(text)
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes each."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hands on what has been written, as far as anybody takes it."""
        if not self._is_off:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Lets the rest go nowhere, the bytes included that the interpreter still holds."""
        if isinstance(error, UnicodeEncodeError):
            raise error
        self._is_off = True
        self.lost |= not isinstance(error, BrokenPipeError)
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard() -> tuple[GuardedStream, GuardedStream]:
    """Guards standard output and standard error; closed streams become streams to nowhere.

    A descriptor that is closed would be given to the next file that is opened, such as the ledger,
    and what is said would be written into it.
    """
    closed = {number for number in _STANDARD if _is_closed(number)}
    for number in sorted(closed):
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
    output = GuardedStream(_text(sys.stdout, 1), lost=1 in closed)
    errors = GuardedStream(_text(sys.stderr, 2), lost=2 in closed)
    sys.stdout = cast("TextIO", output)
    sys.stderr = cast("TextIO", errors)
    return output, errors


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def _text(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None:
        return stream
    return os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
