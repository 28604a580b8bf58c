"""Faults of a report for good, or of one download of it; and those of the whole server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.simulator.faults.bad_archives import EVIL
from orchestrator.simulator.faults.bad_csv import ODDITIES
from orchestrator.simulator.faults.registry import (
    Option,
    flag,
    http_status,
    in_quirks,
    in_server,
    number,
    one_of,
    scalar,
    share,
    signed,
    text,
    whole,
)
from orchestrator.simulator.ranges import WRONG
from orchestrator.simulator.reports import CallbackQuirk, Phase

if TYPE_CHECKING:
    from orchestrator.simulator.faults.registry import Options, Server
    from orchestrator.simulator.reports import ReportFaults


@in_quirks("report", status=Option(text, required=True))
def _outcome(report_faults: ReportFaults, options: Options) -> None:
    """It ends with this status: ``FAILED``, ``ABORTED``, ``TRUNCATED`` or any other word."""
    report_faults.outcome = options["status"]


@in_quirks("report", rows=Option(whole), counted=Option(flag, default=True))
def _truncated(report_faults: ReportFaults, options: Options) -> None:
    """It ends ``TRUNCATED``, with at most so many `rows` (default: half); maybe without a count."""
    report_faults.outcome = "TRUNCATED"
    report_faults.cut_to = options["rows"]
    report_faults.uncounted = not options["counted"]


@in_quirks("report")
def _unlisted(report_faults: ReportFaults, _options: Options) -> None:
    """No list ever shows it; asked for by its id, it is there."""
    report_faults.unlisted = True


@in_quirks("report", phase=Option(one_of("PENDING", "PROCESSING"), default="PENDING"))
def _stuck(report_faults: ReportFaults, options: Options) -> None:
    """It never leaves a phase."""
    report_faults.stuck = Phase(options["phase"])


@in_quirks("report", by=Option(whole, default=1))
def _wrong_count(report_faults: ReportFaults, options: Options) -> None:
    """Its `items_count` is wrong in every answer."""
    report_faults.count_by = options["by"]


@in_quirks("report", field=Option(text, default="product"), value=Option(scalar, required=True))
def _wrong_echo(report_faults: ReportFaults, options: Options) -> None:
    """A field is echoed with another value."""
    report_faults.echo[options["field"]] = options["value"]


@in_quirks("report", "download")
def _bad_crc(report_faults: ReportFaults, _options: Options) -> None:
    """The archive's checksum is wrong."""
    report_faults.wrong_crc = True


@in_quirks("report", "download", share=Option(share, default=0.5))
def _cut_file(report_faults: ReportFaults, options: Options) -> None:
    """The archive lacks its end, though the answer is complete."""
    report_faults.keep = options["share"]


@in_quirks("report", "download", form=Option(one_of(*WRONG), required=True))
def _part(report_faults: ReportFaults, options: Options) -> None:
    """A request for the rest of the file is answered wrongly: see `parts.WRONG`."""
    report_faults.part = options["form"]


@in_quirks("report", "download")
def _gone(report_faults: ReportFaults, _options: Options) -> None:
    """The download link answers 404."""
    report_faults.gone = True


@in_quirks("report", "download", form=Option(one_of(*EVIL), required=True))
def _zip(report_faults: ReportFaults, options: Options) -> None:
    """The archive is built in another way than real ones: see `evil.EVIL`."""
    report_faults.evil = options["form"]


@in_quirks("report", "download", form=Option(one_of(*ODDITIES), required=True))
def _csv(report_faults: ReportFaults, options: Options) -> None:
    """The CSV is written in another way than real ones: see `oddities.ODDITIES`."""
    report_faults.oddity = options["form"]


@in_quirks("report", to=Option(text, required=True))
def _link(report_faults: ReportFaults, options: Options) -> None:
    """The link to the file is of another form.

    `to` is ``relative``, ``foreign`` (the file on a host of another name, which wants no
    credentials), ``missing``, or the link itself, in which ``{own}`` is the address of the API,
    ``{other}`` the same by a name of another host, and ``{file}`` the id of the file.
    """
    report_faults.link = options["to"]


@in_quirks(
    "report",
    seconds=Option(number, required=True),
    late=Option(number, default=0.0),
    listed=Option(flag, default=True),
)
def _hidden(report_faults: ReportFaults, options: Options) -> None:
    """Its id answers 404 for so many world seconds, from `late` seconds after its request on.

    With ``listed: false`` lists do not show it meanwhile either.
    """
    report_faults.hidden = (options["late"], options["seconds"])
    report_faults.hidden_in_lists = not options["listed"]


@in_quirks("report", seconds=Option(number, required=True))
def _late_file(report_faults: ReportFaults, options: Options) -> None:
    """Its file answers 404 for so many world seconds after its end."""
    report_faults.late_file = options["seconds"]


@in_quirks(
    "report",
    seconds=Option(number, required=True),
    status=Option(http_status, default=403),
)
def _signed(report_faults: ReportFaults, options: Options) -> None:
    """Each answer has another link to its file, good for so many world seconds.

    After that the link answers `status`.
    """
    report_faults.signed = (options["seconds"], options["status"])


@in_quirks("report")
def _keeps_on(report_faults: ReportFaults, _options: Options) -> None:
    """A cancel is answered with 200 and what the report is, and changes nothing."""
    report_faults.keeps_on = True


@in_quirks("report", seconds=Option(number, required=True))
def _cancelled(report_faults: ReportFaults, options: Options) -> None:
    """Somebody else cancels it so many world seconds after its request, if it is still open."""
    report_faults.cancelled_after = options["seconds"]


@in_quirks(
    "report",
    copies=Option(whole, default=1),
    late=Option(number, default=0.0),
    forged=Option(text),
)
def _callback(report_faults: ReportFaults, options: Options) -> None:
    """Its callback comes never or twice (`copies`), `late` by so many seconds of the loop.

    With `forged`, one more comes at once, from nowhere, and claims this status and a false link.
    """
    report_faults.callback = CallbackQuirk(options["copies"], options["late"], options["forged"])


# --- of the whole server --------------------------------------------------------------------------


@in_server(seconds=Option(number, default=0.0))
async def _restart(server: Server, options: Options) -> None:
    """The server dies and comes back after so many seconds of the loop; the world survives."""
    await server.restart(options["seconds"])


@in_server(by=Option(signed, required=True))
async def _clock(server: Server, options: Options) -> None:
    """The server's clock jumps by so many seconds, ``Date`` and `receive_time` with it."""
    server.clock.advance(timedelta(seconds=options["by"]))
