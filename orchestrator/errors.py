"""The errors that reach a caller of the program, by their cause.

::

    OrchestratorError
    ├── InputError               a job file, the config or the command line     exit 2
    ├── ApiError                 a call of the Reports API failed
    │   ├── TransportError       no complete answer: refused, reset, timed out
    │   ├── Throttled            429, or a 403 whose type ends in #rate-limit
    │   ├── Unauthorized         401, 403: this key, or this account
    │   ├── NotFound             404, 410
    │   ├── FileRefused          another 4xx of a file's address, or an invalid link
    │   ├── Rejected             400, 409, 422: the request itself is wrong
    │   └── ServerFault          5xx, or an answer that cannot be read
    │       └── TooLarge         an answer that is too long to be read
    ├── LedgerError              the ledger cannot be read or written           exit 74
    │   ├── LedgerLocked         another run has the lock                       exit 3
    │   ├── OldLedgerVersion     only a run brings it up to date
    │   ├── RequestIdConflict    another report has this request_id
    │   ├── WindowTaken          another report has this window by now
    │   └── InvalidTransition    an event that the report's state does not allow  exit 70
    ├── CollectError             a finished report could not be made into a file
    │   ├── CorruptArchive       the archive or its CSV is not what was promised
    │   │   ├── WrongCount       it is intact, but holds another number of records
    │   │   └── TooLong          it is longer than its records can be, or does not end
    │   ├── NoRoom               it would leave too little room on the disk
    │   └── NameTaken            another file has the name of the published one
    └── OutputError              the disk: full, read-only, not writable        exit 74

``str()`` of each is one sentence or more for people: what was wrong, where, what to do.
Attributes carry the facts. No error text ever holds a secret.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestrator.texts import MAX_REASON, short


class OrchestratorError(Exception):
    """The base class of all errors that the program raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by what it holds, since constructors take other things: pools hand errors on."""
        return Exception.__new__, (type(self), *self.args), self.__dict__


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in an input, and where it is.

    Attributes:
        file: the file as the user named it; empty for the command line.
        line: 1-based; 0 where there is no line.
        column: 1-based; 0 where there is no column.
        key: the path of the key, such as ``windows[2].to``; empty for the whole file.
        what: what is wrong, in words.
        remedy: what to do about it; may be empty.
    """

    file: str
    line: int
    column: int
    key: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        """``file:line:column: key: what is wrong; what to do``."""
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        text = ": ".join(part for part in (place, self.key, self.what) if part)
        return f"{text}; {self.remedy}" if self.remedy else text


class InputError(OrchestratorError):
    """Invalid input, with all mistakes that it has. Nothing was sent."""

    def __init__(self, mistakes: Sequence[Mistake] | str) -> None:
        if isinstance(mistakes, str):
            mistakes = (Mistake(file="", line=0, column=0, key="", what=mistakes),)
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 7807 problem object, as far as the API has filled it in.

    ``invalid_parameters`` are (name, reason) pairs, which a 422 may carry.
    """

    status: int
    type: str = ""
    title: str = ""
    detail: str = ""
    invalid_parameters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """The API's own words, shortened."""
        text = ": ".join(part for part in (self.title, self.detail) if part) or "no words"
        named = "; ".join(f"{name}: {reason}" for name, reason in self.invalid_parameters)
        return f"HTTP {self.status} {short(text)}" + (f" ({short(named)})" if named else "")


class ApiError(OrchestratorError):
    """A call of the Reports API failed.

    Attributes:
        call: the call in words, such as ``POST /v2/reports``; never a secret in it.
        problem: what the API says about it; None where it says nothing.
        is_about_file: only a file cannot be had; it says nothing about the state of the API.
    """

    def __init__(
        self,
        message: str,
        *,
        call: str = "",
        problem: Problem | None = None,
        is_about_file: bool = False,
    ) -> None:
        super().__init__(short(message, MAX_REASON))
        self.call = call
        self.problem = problem
        self.is_about_file = is_about_file

    def hide(self, hidden: Callable[[str], str]) -> None:
        """Takes the secrets out of its texts."""
        self.args = (hidden(str(self)),)
        self.call = hidden(self.call)


class TransportError(ApiError):
    """No complete answer came.

    Attributes:
        maybe_sent: False only where the request surely did not reach the server (connection
            refused, name not found, TLS failure). It decides whether a create is sent again or
            looked for at the API.
    """

    def __init__(
        self, message: str, *, call: str = "", maybe_sent: bool, is_about_file: bool = False
    ) -> None:
        super().__init__(message, call=call, is_about_file=is_about_file)
        self.maybe_sent = maybe_sent


class _MayAskToWait(ApiError):
    """An answer that may say when to try again.

    Attributes:
        retry_after: the wait that ``Retry-After`` asks for; None without that header.
    """

    def __init__(
        self,
        message: str,
        *,
        call: str = "",
        problem: Problem | None = None,
        retry_after: timedelta | None = None,
        is_about_file: bool = False,
    ) -> None:
        super().__init__(message, call=call, problem=problem, is_about_file=is_about_file)
        self.retry_after = retry_after


class Throttled(_MayAskToWait):
    """This API key makes too many requests."""


class Unauthorized(ApiError):
    """The API does not accept this key (401), or not for this account (403).

    Attributes:
        status: 401 or 403.
    """

    def __init__(
        self, message: str, *, status: int, call: str = "", problem: Problem | None = None
    ) -> None:
        super().__init__(message, call=call, problem=problem)
        self.status = status


class NotFound(ApiError):
    """The report or the file is not there (404, 410): it never was, is too old, or is not ours."""


class FileRefused(ApiError):
    """A file cannot be had at its address: an expired signature, a rule of the host, a bad link.

    The link is to blame, never the key; a new status answer may bring a better link.

    Attributes:
        status: the HTTP status, a 4xx other than 404 and 410; None: the link cannot be followed.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        call: str = "",
        problem: Problem | None = None,
        is_about_file: bool = False,
    ) -> None:
        super().__init__(message, call=call, problem=problem, is_about_file=is_about_file)
        self.status = status


class Rejected(ApiError):
    """The API read the request and refuses it (400, 409, 422 and other 4xx).

    Attributes:
        status: the HTTP status.
        names_a_date: a 422 that blames the date range, so another window may pass.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        call: str = "",
        problem: Problem | None = None,
        names_a_date: bool = False,
    ) -> None:
        super().__init__(message, call=call, problem=problem)
        self.status = status
        self.names_a_date = names_a_date


class ServerFault(_MayAskToWait):
    """The server failed (5xx), or its answer cannot be read as what the call promises."""


class TooLarge(ServerFault):
    """An answer is longer than what is read of one; asking again would not make it shorter."""


class LedgerError(OrchestratorError):
    """The ledger cannot be opened, read or written."""


class LedgerLocked(LedgerError):
    """Another run has the lock of the ledger."""


class OldLedgerVersion(LedgerError):
    """The ledger is of an older version, which a command that only reads cannot use."""


class RequestIdConflict(LedgerError):
    """Another report in the ledger has this request_id: the API gave one id to two reports."""


class WindowTaken(LedgerError):
    """A failed report cannot be taken up again: another one has a part of its window by now."""


class InvalidTransition(LedgerError):
    """An event came that the report's state does not allow. This is always a bug."""


class CollectError(OrchestratorError):
    """A finished report could not be made into a file."""

    def __init__(self, message: str) -> None:
        super().__init__(short(message, MAX_REASON))


class CorruptArchive(CollectError):
    """The archive, or the CSV in it, is not what was promised: structure, length, CRC, count."""


class WrongCount(CorruptArchive):
    """The archive is intact, but holds another number of records than the API promised.

    Attributes:
        rows: counted in the file.
        promised: by the API.
    """

    def __init__(self, rows: int, promised: int) -> None:
        super().__init__(f"the CSV holds {rows:,} records, the API promised {promised:,}")
        self.rows = rows
        self.promised = promised


class TooLong(CorruptArchive):
    """The download is longer than its records can be; nothing of it is kept."""


class NoRoom(CollectError):
    """A download would leave too little room on the disk; the next run tries it again."""


class NameTaken(CollectError):
    """Another file, with other content, already has the name of a verified file."""


class OutputError(OrchestratorError):
    """The disk cannot be written to: full, read-only, no permission."""
