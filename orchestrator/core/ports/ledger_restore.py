"""A ledger that is being made from what is left of a lost one: `LedgerRestore`.

`orchestrator.ledger.restored_ledger` opens one. All of it is one transaction: where it fails,
there is no ledger.
"""

from typing import Protocol

from orchestrator.core.file_columns import FileColumns
from orchestrator.core.lifecycle import VerifiedFile
from orchestrator.core.model import GivenUp, Report, Resolution, Series
from orchestrator.core.ports.ledger_reader import LedgerReader


class Contradiction(ValueError):
    """Two lines of a manifest cannot both be true.

    Attributes:
        key: of the manifest's line, which has the contradicting value.
        line: of the later one; 0 where it is not known.
    """

    def __init__(self, key: str, text: str, line: int) -> None:
        super().__init__(text)
        self.key = key
        self.line = line


class LedgerRestore(Protocol):
    """Takes what a manifest says of a lost ledger, in the manifest's order, and files besides."""

    @property
    def reader(self) -> LedgerReader:
        """Reads what has been restored so far."""

    def put(
        self,
        report: Report,
        line: int,
        *,
        failed: int | None = None,
        foreign: tuple[tuple[str, int], ...] = (),
        again: bool = False,
    ) -> None:
        """Puts a report back, under its number; under a new one where that is 0.

        A report whose download had begun is submitted again: the API tells its link anew.

        Args:
            failed: the event by which it came to nothing.
            foreign: records of other accounts in its file.
            again: it may replace the report of an earlier line.

        Raises:
            Contradiction: another line has its number or its request id.
        """

    def put_columns(self, number: int, columns: FileColumns, line: int) -> None:
        """Puts a list of columns back, under its number.

        Raises:
            Contradiction: another line has these columns under another number.
        """

    def give_up(self, number: int, given_up: GivenUp | None) -> None:
        """Puts a given-up entry back; None removes it."""

    def forgive(self, series: Series, retried: int) -> None:
        """Failures up to that event no longer count."""

    def remember(self, job: str, series: Series, resolution: Resolution) -> None:
        """Puts back what a job's relative windows had become for a series."""

    def take_up(self, report: Report, file: VerifiedFile) -> None:
        """Makes an open report collected whose file was found under its final name.

        Where it is a newer edition, the report that it replaces is superseded.
        """

    def check(self) -> None:
        """Must be called once all lines have been put.

        Raises:
            Contradiction: two reports have a part of one window, or one refers to another, or to
                columns, that are not there.
        """
