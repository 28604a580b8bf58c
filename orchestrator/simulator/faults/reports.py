"""Faults of a report for good or of one download of it, and of the whole server."""

from datetime import timedelta
from typing import Annotated

from orchestrator.simulator.faults.bad_archives import EVIL
from orchestrator.simulator.faults.bad_csv import ODDITIES
from orchestrator.simulator.faults.options import (
    AnyNumber,
    Flag,
    HttpStatus,
    Number,
    OptionalText,
    OptionalWhole,
    Scalar,
    Share,
    Text,
    Whole,
    one_of,
)
from orchestrator.simulator.faults.places import FILE, FaultOfReport, FaultOfServer, Server
from orchestrator.simulator.ranges import WRONG
from orchestrator.simulator.reports import CallbackQuirk, Phase, ReportFaults


class Outcome(FaultOfReport, do="outcome"):
    """It ends with this status: ``FAILED``, ``ABORTED``, ``TRUNCATED`` or any other word."""

    status: Text

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.outcome = self.status


class Truncated(FaultOfReport, do="truncated"):
    """It ends ``TRUNCATED``, with at most so many `rows` (default: half); maybe without a count."""

    rows: OptionalWhole = None
    counted: Flag = True

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.outcome = "TRUNCATED"
        report_faults.cut_to = self.rows
        report_faults.uncounted = not self.counted


class Unlisted(FaultOfReport, do="unlisted"):
    """No list ever shows it; asked for by its id, it is there."""

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.unlisted = True


class Stuck(FaultOfReport, do="stuck"):
    """It never leaves a phase."""

    phase: Annotated[str, one_of("PENDING", "PROCESSING")] = "PENDING"

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.stuck = Phase(self.phase)


class WrongCount(FaultOfReport, do="wrong_count"):
    """Its `items_count` is wrong in every answer."""

    by: Whole = 1

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.count_by = self.by


class WrongEcho(FaultOfReport, do="wrong_echo"):
    """A field is echoed with another value."""

    field: Text = "product"
    value: Scalar

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.echo[self.field] = self.value


class BadCrc(FaultOfReport, do="bad_crc", places=FILE):
    """The archive's checksum is wrong."""

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.wrong_crc = True


class CutFile(FaultOfReport, do="cut_file", places=FILE):
    """The archive lacks its end, though the answer is complete."""

    share: Share = 0.5

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.keep = self.share


class Part(FaultOfReport, do="part", places=FILE):
    """A request for the rest of the file is answered wrongly: see `parts.WRONG`."""

    form: Annotated[str, one_of(*WRONG)]

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.part = self.form


class Gone(FaultOfReport, do="gone", places=FILE):
    """The download link answers 404."""

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.gone = True


class Zip(FaultOfReport, do="zip", places=FILE):
    """The archive is built in another way than real ones: see `evil.EVIL`."""

    form: Annotated[str, one_of(*EVIL)]

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.evil = self.form


class Csv(FaultOfReport, do="csv", places=FILE):
    """The CSV is written in another way than real ones: see `oddities.ODDITIES`."""

    form: Annotated[str, one_of(*ODDITIES)]

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.oddity = self.form


class Link(FaultOfReport, do="link"):
    """The link to the file is of another form.

    `to` is ``relative``, ``foreign`` (the file on a host of another name, which wants no
    credentials), ``missing``, or the link itself, in which ``{own}`` is the address of the API,
    ``{other}`` the same by a name of another host, and ``{file}`` the id of the file.
    """

    to: Text

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.link = self.to


class Hidden(FaultOfReport, do="hidden"):
    """Its id answers 404 for so many world seconds, from `late` seconds after its request on.

    With ``listed: false`` lists do not show it meanwhile either.
    """

    seconds: Number
    late: Number = 0.0
    listed: Flag = True

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.hidden = (self.late, self.seconds)
        report_faults.hidden_in_lists = not self.listed


class LateFile(FaultOfReport, do="late_file"):
    """Its file answers 404 for so many world seconds after its end."""

    seconds: Number

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.late_file = self.seconds


class Signed(FaultOfReport, do="signed"):
    """Each answer has another link to its file, good for so many world seconds.

    After that the link answers `status`.
    """

    seconds: Number
    status: HttpStatus = 403

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.signed = (self.seconds, self.status)


class KeepsOn(FaultOfReport, do="keeps_on"):
    """A cancel is answered with 200 and what the report is, and changes nothing."""

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.keeps_on = True


class Cancelled(FaultOfReport, do="cancelled"):
    """Somebody else cancels it so many world seconds after its request, if it is still open."""

    seconds: Number

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.cancelled_after = self.seconds


class Callback(FaultOfReport, do="callback"):
    """Its callback comes never or twice (`copies`), `late` by so many seconds of the loop.

    With `forged`, one more comes at once, from nowhere, and claims this status and a false link.
    """

    copies: Whole = 1
    late: Number = 0.0
    forged: OptionalText = None

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.callback = CallbackQuirk(self.copies, self.late, self.forged)


# --- of the whole server --------------------------------------------------------------------------


class Restart(FaultOfServer, do="restart"):
    """The server dies and comes back after so many seconds of the loop; the world survives."""

    seconds: Number = 0.0

    async def strike(self, server: Server) -> None:
        await server.restart(self.seconds)


class Clock(FaultOfServer, do="clock"):
    """The server's clock jumps by so many seconds, ``Date`` and `receive_time` with it."""

    by: AnyNumber

    async def strike(self, server: Server) -> None:
        server.clock.advance(timedelta(seconds=self.by))
