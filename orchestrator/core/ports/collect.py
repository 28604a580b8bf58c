"""The collector as the engine sees it: makes a verified file of a download, and publishes it."""

from collections.abc import Sequence
from typing import Protocol

from orchestrator.core.echo import EchoDifference
from orchestrator.core.lifecycle import VerifiedFile
from orchestrator.core.model import Report
from orchestrator.core.ports.api import Download, Resume


class Collector(Protocol):
    """Makes a verified file of a download, and publishes it. Idempotent at every step."""

    async def fetch(self, report: Report, download: Download) -> VerifiedFile:
        """Takes the archive, checks it against the report, writes the file aside.

        A download that begins where an earlier one of this report broke (`resumable`) goes on
        from there; any other begins anew. After a `TransportError`, and when cancelled, what came
        stays where it can be gone on with; `release` sets it aside for the next run.

        Raises:
            TransportError: the stream broke; fetch it again.
            WrongCount: it is sound, and holds another number of records; as below.
            CorruptArchive: structure, length or CRC are wrong; the archive stays for `recheck`
                and `quarantine`, until it is fetched again.
            TooLong: it is longer than its records can be; nothing stays of it.
            NoRoom: it would leave too little room on the disk; nothing stays of it.
            OutputError: the disk.
        """

    @property
    def lacks_room(self) -> str:
        """Why nothing more should be begun, in words; empty while the disk has room."""

    async def recheck(self, report: Report) -> VerifiedFile | None:
        """Checks the archive that the last refused `fetch` has left, against the report of now.

        None: there is none, or it does not fit either; it stays for `quarantine`.

        Raises:
            OutputError: the disk.
        """

    async def empty(self, report: Report) -> VerifiedFile:
        """Makes the file of a report that has no records, and for which the API has no file.

        Raises:
            OutputError: the disk.
        """

    async def refutes(self, report: Report, differences: Sequence[EchoDifference]) -> bool:
        """Whether the file that `fetch` has made shows that a wrong echo is a slip of the API.

        Raises:
            OutputError: the disk.
        """

    def resumable(self, report: Report) -> Resume | None:
        """Where the next download of a report may go on; None: from the beginning."""

    async def release(self, report: Report) -> None:
        """Sets aside what a broken download has left behind, for the next run to go on with."""

    async def publish(self, report: Report) -> bool:
        """Gives a verified report's file its final name, synced; True if it stands there.

        What was kept aside of the report is removed then. Uses its `target` and `sha256`. False if
        neither the file aside nor one of that hash under its name is there: it must be fetched
        again.

        Raises:
            NameTaken: another file, with other content, stands under that name.
            OutputError: the disk.
        """

    async def quarantine(self, report: Report, reason: str) -> None:
        """Keeps whatever has been fetched of a report outside the data, with a note that says why.

        Raises:
            OutputError: the disk.
        """

    async def accept(self, report: Report) -> VerifiedFile:
        """Makes the file that was kept aside ready for `publish`, whatever its count.

        Raises:
            CollectError: there is no such file.
            CorruptArchive: structure, packed bytes or CRC are wrong: it cannot be accepted.
            OutputError: the disk.
        """

    async def withdraw(self, report: Report) -> None:
        """Removes the published file of a superseded or erased report; it may be gone already.

        Raises:
            OutputError: the disk.
        """

    async def discard(self, report: Report) -> None:
        """Removes what was fetched of a report and is not published, kept aside or not.

        Raises:
            OutputError: the disk.
        """
