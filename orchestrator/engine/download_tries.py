"""Decides what to do after a failed download of one report: again, later, or not at all. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from orchestrator.core.lifespans import LAST_LOOKS
from orchestrator.core.model import RemoteReport
from orchestrator.core.vonage import Status
from orchestrator.errors import (
    ApiError,
    CollectError,
    CorruptArchive,
    FileRefused,
    NotFound,
    ServerFault,
    Throttled,
    TooLong,
    TransportError,
    WrongCount,
)

SAME_COUNT: Final = 3
"""Downloads with the same wrong count that are enough: more would bring the same bytes again.

The same holds for downloads that are longer than they can be.
"""


class Next(Enum):
    """What follows from the downloads so far."""

    DOWNLOAD = "download"
    """Another download, after a pause."""
    NEXT_RUN = "next run"
    """The next run goes on."""
    DISPUTE = "dispute"
    """What comes is not what was promised; a person decides."""
    FILE_GONE = "file gone"
    """The life of the file is over, and it cannot be had."""
    REPORT_LOST = "report lost"
    """The lives of report and file are over, and neither is there."""


@dataclass(slots=True)
class DownloadTries:
    """The downloads of one report in this run."""

    number: int = 0
    refused: int = 0  # how many of the last in a row were refused: the link may have died
    broken: int = 0  # how many of the last in a row broke on their way
    # how many of the last in a row held the same wrong number of records, or had no end
    same_count: int = 0
    problem: ApiError | CollectError | None = None
    since: float | None = None  # when the first one began, by the loop's clock

    def begin(self, now: float) -> None:
        """A download has begun, or could not."""
        if self.since is None:
            self.since = now

    def met(self, problem: ApiError | CollectError) -> None:
        """One more download failed."""
        self.number += 1
        self.refused = self.refused + 1 if is_refusal(problem) else 0
        self.broken = self.broken + 1 if _is_broken(problem) else 0
        self.same_count = self.same_count + 1 if self._is_the_same(problem) else 1
        self.problem = problem

    def _is_the_same(self, problem: ApiError | CollectError) -> bool:
        before = self.problem
        if isinstance(problem, TooLong):
            return isinstance(before, TooLong)
        return (
            isinstance(problem, WrongCount)
            and isinstance(before, WrongCount)
            and (problem.rows, problem.promised) == (before.rows, before.promised)
        )

    @property
    def must_ask(self) -> bool:
        """Whether the API is asked how the report stands before the next download.

        A stream that broke once says nothing of the report, nor of its link.
        """
        return not self.broken or self.broken > 1

    def next(
        self,
        attempts: int,
        asked: RemoteReport | ApiError | None,
        *,
        is_file_gone: bool,
        is_forgotten: bool,
    ) -> Next:
        """What follows.

        Args:
            asked: what the API said of the report after the last download; None: it was not asked.
            is_file_gone: the life of the file is over by the API's clock.
            is_forgotten: that of the report too.
        """
        is_last = self.number >= attempts
        finished = isinstance(asked, RemoteReport) and asked.status is Status.SUCCESS
        unknown = isinstance(asked, NotFound)
        if isinstance(self.problem, WrongCount):
            # A count that only a list has shown, or that cannot be asked for again, proves nothing.
            enough = is_last or self.same_count >= SAME_COUNT
            if enough and (finished or (unknown and is_forgotten)):
                return Next.DISPUTE
        elif isinstance(self.problem, CorruptArchive):
            enough = is_last or (
                isinstance(self.problem, TooLong) and self.same_count >= SAME_COUNT
            )
            if enough and (finished or unknown):
                return Next.DISPUTE
        elif _cannot_tell(self.problem):
            # Whatever the file's place is like: a new report may well get the same.
            if is_last and ((finished and is_file_gone) or (unknown and is_forgotten)):
                return Next.DISPUTE
        elif self.refused >= min(LAST_LOOKS, attempts):
            if finished and is_file_gone:
                return Next.FILE_GONE
            if unknown and is_forgotten:
                return Next.REPORT_LOST
        return Next.NEXT_RUN if is_last else Next.DOWNLOAD


def is_refusal(problem: ApiError | CollectError) -> bool:
    """Whether a download was refused in so many words: 404, 410 or another 4xx of its address."""
    return isinstance(problem, ApiError) and not isinstance(
        problem, TransportError | ServerFault | Throttled
    )


def _cannot_tell(problem: ApiError | CollectError | None) -> bool:
    """Whether a failed download tells nothing of the file: it may be there all the same."""
    link_is_odd = isinstance(problem, FileRefused) and problem.status is None
    return link_is_odd or isinstance(problem, TransportError | ServerFault)


def _is_broken(problem: ApiError | CollectError) -> bool:
    return isinstance(problem, TransportError) and problem.maybe_sent
