"""Faults of a report for good or of one download of it, and of the whole server."""

from datetime import timedelta
from typing import Annotated

from orchestrator.simulator.faults.bad_archives import ARCHIVE_FORMS
from orchestrator.simulator.faults.bad_csv import CSV_FORMS
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
from orchestrator.simulator.reports import CallbackFault, Phase, ReportFaults


class Outcome(FaultOfReport, do="outcome"):
    """Ends the report with this `status`: ``FAILED``, ``ABORTED``, ``TRUNCATED`` or any word."""

    status: Text

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.outcome = self.status


class Truncated(FaultOfReport, do="truncated"):
    """Ends the report as ``TRUNCATED`` with at most `rows` records (default: half of them).

    With `counted: false` no answer has an `items_count`.
    """

    rows: OptionalWhole = None
    counted: Flag = True

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.outcome = "TRUNCATED"
        report_faults.cut_to = self.rows
        report_faults.uncounted = not self.counted


class Unlisted(FaultOfReport, do="unlisted"):
    """Hides the report from every list; a status call by its id answers."""

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.unlisted = True


class Stuck(FaultOfReport, do="stuck"):
    """Keeps the report in a `phase` for ever."""

    phase: Annotated[str, one_of("PENDING", "PROCESSING")] = "PENDING"

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.stuck = Phase(self.phase)


class WrongCount(FaultOfReport, do="wrong_count"):
    """Changes `items_count` `by` this number in every answer."""

    by: Whole = 1

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.count_by = self.by


class WrongEcho(FaultOfReport, do="wrong_echo"):
    """Repeats a `field` of the request with another `value`."""

    field: Text = "product"
    value: Scalar

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.echo[self.field] = self.value


class BadCrc(FaultOfReport, do="bad_crc", places=FILE):
    """Gives the archive a wrong checksum."""

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.wrong_crc = True


class CutFile(FaultOfReport, do="cut_file", places=FILE):
    """Cuts the end off the archive, so that a `share` is left; the answer itself is complete."""

    share: Share = 0.5

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.keep = self.share


class Part(FaultOfReport, do="part", places=FILE):
    """Answers a request for the rest of the file wrongly, and gives files an ETag."""

    form: Annotated[str, one_of(*WRONG)]

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.part = self.form


class Gone(FaultOfReport, do="gone", places=FILE):
    """Answers 404 to the download link."""

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.gone = True


class Zip(FaultOfReport, do="zip", places=FILE):
    """Builds the archive in a `form` that real archives do not have."""

    form: Annotated[str, one_of(*ARCHIVE_FORMS)]

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.archive_form = self.form


class Csv(FaultOfReport, do="csv", places=FILE):
    """Writes the CSV in a `form` that real files do not have."""

    form: Annotated[str, one_of(*CSV_FORMS)]

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.csv_form = self.form


class Link(FaultOfReport, do="link"):
    """Gives the link to the file another form.

    `to` is ``relative``, ``foreign`` (the file on a host of another name, which refuses
    credentials), ``missing``, or the link itself, in which ``{own}`` is the address of the API,
    ``{other}`` the same under another host name, and ``{file}`` the id of the file.
    """

    to: Text

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.link = self.to


class Hidden(FaultOfReport, do="hidden"):
    """Answers 404 to the report's id for this many `seconds`, from `late` seconds after its create.

    With `listed: false` lists do not show the report during that time either.
    """

    seconds: Number
    late: Number = 0.0
    listed: Flag = True

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.hidden = (self.late, self.seconds)
        report_faults.hidden_in_lists = not self.listed


class LateFile(FaultOfReport, do="late_file"):
    """Answers 404 to the file for this many `seconds` after the report's end."""

    seconds: Number

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.late_file = self.seconds


class Signed(FaultOfReport, do="signed"):
    """Gives each answer a new link to the file, valid for this many `seconds`.

    After that the link answers `status`.
    """

    seconds: Number
    status: HttpStatus = 403

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.signed = (self.seconds, self.status)


class KeepsOn(FaultOfReport, do="keeps_on"):
    """Answers a cancel with 200 and the report, and does not cancel it."""

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.keeps_on = True


class Cancelled(FaultOfReport, do="cancelled"):
    """Cancels the report this many `seconds` after its request, as somebody else, if it is open."""

    seconds: Number

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.cancelled_after = self.seconds


class Callback(FaultOfReport, do="callback"):
    """Sends the callback `copies` times, `late` by this many real seconds.

    With `forged` one more is sent at once; it claims this status and has a false link.
    """

    copies: Whole = 1
    late: Number = 0.0
    forged: OptionalText = None

    def change(self, report_faults: ReportFaults) -> None:
        report_faults.callback = CallbackFault(self.copies, self.late, self.forged)


# --- of the whole server --------------------------------------------------------------------------


class Restart(FaultOfServer, do="restart"):
    """Stops the server for this many real `seconds`; its reports stay."""

    seconds: Number = 0.0

    async def strike(self, server: Server) -> None:
        await server.restart(self.seconds)


class Clock(FaultOfServer, do="clock"):
    """Moves the server's clock `by` this many seconds, and with it ``Date`` and `receive_time`."""

    by: AnyNumber

    async def strike(self, server: Server) -> None:
        server.clock.advance(timedelta(seconds=self.by))
