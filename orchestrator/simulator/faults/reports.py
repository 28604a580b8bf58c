"""Faults of a report for good, or of one download of its file: their names and options.

What each one does stands where the report is processed, listed, described or sent.
"""

from typing import Annotated

from orchestrator.simulator.faults.bad_files import ARCHIVE_FORMS, CSV_FORMS
from orchestrator.simulator.faults.model import FaultOfReport
from orchestrator.simulator.faults.options import (
    Flag,
    HttpStatus,
    Number,
    Scalar,
    Share,
    Text,
    Whole,
    one_of,
)
from orchestrator.simulator.ranges import WRONG

FILE = ("report", "download")
"""The places of a fault of a report's file: for good, or for one download."""


class Outcome(FaultOfReport, do="outcome"):
    """Ends the report with this `status`: ``FAILED``, ``ABORTED``, ``TRUNCATED`` or any word."""

    status: Text


class Truncated(FaultOfReport, do="truncated"):
    """Ends the report as ``TRUNCATED`` with at most `rows` records (default: half of them).

    With `counted: false` no answer has an `items_count`.
    """

    rows: Whole | None = None
    counted: Flag = True


class Unlisted(FaultOfReport, do="unlisted"):
    """Hides the report from every list; a status call by its id answers."""


class Stuck(FaultOfReport, do="stuck"):
    """Keeps the report in a `phase` for ever."""

    phase: Annotated[str, one_of("PENDING", "PROCESSING")] = "PENDING"


class WrongCount(FaultOfReport, do="wrong_count"):
    """Changes `items_count` `by` this number in every answer."""

    by: Whole = 1


class WrongEcho(FaultOfReport, do="wrong_echo"):
    """Repeats a `field` of the request with another `value`."""

    field: Text = "product"
    value: Scalar


class BadCrc(FaultOfReport, do="bad_crc", places=FILE):
    """Gives the archive a wrong checksum."""


class CutFile(FaultOfReport, do="cut_file", places=FILE):
    """Cuts the end off the archive, so that a `share` is left; the answer itself is complete."""

    share: Share = 0.5


class Part(FaultOfReport, do="part", places=FILE):
    """Answers a request for the rest of the file wrongly, and gives files an ETag."""

    form: Annotated[str, one_of(*WRONG)]


class Gone(FaultOfReport, do="gone", places=FILE):
    """Answers 404 to the download link."""


class Zip(FaultOfReport, do="zip", places=FILE):
    """Builds the archive in a `form` that real archives do not have."""

    form: Annotated[str, one_of(*ARCHIVE_FORMS)]


class Csv(FaultOfReport, do="csv", places=FILE):
    """Writes the CSV in a `form` that real files do not have."""

    form: Annotated[str, one_of(*CSV_FORMS)]


class Link(FaultOfReport, do="link"):
    """Gives the link to the file another form.

    `to` is ``relative``, ``foreign`` (the file on a host of another name, which refuses
    credentials), ``missing``, or the link itself, in which ``{own}`` is the address of the API,
    ``{other}`` the same under another host name, and ``{file}`` the id of the file.
    """

    to: Text


class Hidden(FaultOfReport, do="hidden"):
    """Answers 404 to the report's id for this many `seconds`, from `late` seconds after its create.

    With `listed: false` lists do not show the report during that time either.
    """

    seconds: Number
    late: Number = 0.0
    listed: Flag = True


class LateFile(FaultOfReport, do="late_file"):
    """Answers 404 to the file for this many `seconds` after the report's end."""

    seconds: Number


class Signed(FaultOfReport, do="signed"):
    """Gives each answer a new link to the file, valid for this many `seconds`.

    After that the link answers `status`.
    """

    seconds: Number
    status: HttpStatus = 403


class KeepsOn(FaultOfReport, do="keeps_on"):
    """Answers a cancel with 200 and the report, and does not cancel it."""


class Cancelled(FaultOfReport, do="cancelled"):
    """Cancels the report this many `seconds` after its request, as somebody else, if it is open."""

    seconds: Number


class Callback(FaultOfReport, do="callback"):
    """Sends the callback `copies` times, `late` by this many real seconds.

    With `forged` one more is sent at once; it claims this status and has a false link.
    """

    copies: Whole = 1
    late: Number = 0.0
    forged: Text | None = None
