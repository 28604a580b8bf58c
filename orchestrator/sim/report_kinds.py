"""Faults of a report for good, or of one download of it; and those of the whole server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.sim.evil import EVIL
from orchestrator.sim.oddities import ODDITIES
from orchestrator.sim.parts import WRONG
from orchestrator.sim.registry import (
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
from orchestrator.sim.reports import CallbackQuirk, Phase

if TYPE_CHECKING:
    from orchestrator.sim.registry import Options, Server
    from orchestrator.sim.reports import Quirks


@in_quirks("report", status=Option(text, required=True))
def _outcome(quirks: Quirks, options: Options) -> None:
    """It ends with this status: ``FAILED``, ``ABORTED``, ``TRUNCATED`` or any other word."""
    quirks.outcome = options["status"]


@in_quirks("report", rows=Option(whole), counted=Option(flag, default=True))
def _truncated(quirks: Quirks, options: Options) -> None:
    """It ends ``TRUNCATED``, with at most so many `rows` (default: half); maybe without a count."""
    quirks.outcome = "TRUNCATED"
    quirks.cut_to = options["rows"]
    quirks.uncounted = not options["counted"]


@in_quirks("report")
def _unlisted(quirks: Quirks, _options: Options) -> None:
    """No list ever shows it; asked for by its id, it is there."""
    quirks.unlisted = True


@in_quirks("report", phase=Option(one_of("PENDING", "PROCESSING"), default="PENDING"))
def _stuck(quirks: Quirks, options: Options) -> None:
    """It never leaves a phase."""
    quirks.stuck = Phase(options["phase"])


@in_quirks("report", by=Option(whole, default=1))
def _wrong_count(quirks: Quirks, options: Options) -> None:
    """Its `items_count` is wrong in every answer."""
    quirks.count_by = options["by"]


@in_quirks("report", field=Option(text, default="product"), value=Option(scalar, required=True))
def _wrong_echo(quirks: Quirks, options: Options) -> None:
    """A field is echoed with another value."""
    quirks.echo[options["field"]] = options["value"]


@in_quirks("report", "download")
def _bad_crc(quirks: Quirks, _options: Options) -> None:
    """The archive's checksum is wrong."""
    quirks.wrong_crc = True


@in_quirks("report", "download", share=Option(share, default=0.5))
def _cut_file(quirks: Quirks, options: Options) -> None:
    """The archive lacks its end, though the answer is complete."""
    quirks.keep = options["share"]


@in_quirks("report", "download", form=Option(one_of(*WRONG), required=True))
def _part(quirks: Quirks, options: Options) -> None:
    """A request for the rest of the file is answered wrongly: see `parts.WRONG`."""
    quirks.part = options["form"]


@in_quirks("report", "download")
def _gone(quirks: Quirks, _options: Options) -> None:
    """The download link answers 404."""
    quirks.gone = True


@in_quirks("report", "download", form=Option(one_of(*EVIL), required=True))
def _zip(quirks: Quirks, options: Options) -> None:
    """The archive is built in another way than real ones: see `evil.EVIL`."""
    quirks.evil = options["form"]


@in_quirks("report", "download", form=Option(one_of(*ODDITIES), required=True))
def _csv(quirks: Quirks, options: Options) -> None:
    """The CSV is written in another way than real ones: see `oddities.ODDITIES`."""
    quirks.oddity = options["form"]


@in_quirks("report", to=Option(text, required=True))
def _link(quirks: Quirks, options: Options) -> None:
    """The link to the file is of another form.

    `to` is ``relative``, ``foreign`` (the file on a host of another name, which wants no
    credentials), ``missing``, or the link itself, in which ``{own}`` is the address of the API,
    ``{other}`` the same by a name of another host, and ``{file}`` the id of the file.
    """
    quirks.link = options["to"]


@in_quirks(
    "report",
    seconds=Option(number, required=True),
    late=Option(number, default=0.0),
    listed=Option(flag, default=True),
)
def _hidden(quirks: Quirks, options: Options) -> None:
    """Its id answers 404 for so many world seconds, from `late` seconds after its request on.

    With ``listed: false`` lists do not show it meanwhile either.
    """
    quirks.hidden = (options["late"], options["seconds"])
    quirks.hidden_in_lists = not options["listed"]


@in_quirks("report", seconds=Option(number, required=True))
def _late_file(quirks: Quirks, options: Options) -> None:
    """Its file answers 404 for so many world seconds after its end."""
    quirks.late_file = options["seconds"]


@in_quirks(
    "report",
    seconds=Option(number, required=True),
    status=Option(http_status, default=403),
)
def _signed(quirks: Quirks, options: Options) -> None:
    """Each answer has another link to its file, good for so many world seconds.

    After that the link answers `status`.
    """
    quirks.signed = (options["seconds"], options["status"])


@in_quirks("report")
def _keeps_on(quirks: Quirks, _options: Options) -> None:
    """A cancel is answered with 200 and what the report is, and changes nothing."""
    quirks.keeps_on = True


@in_quirks("report", seconds=Option(number, required=True))
def _cancelled(quirks: Quirks, options: Options) -> None:
    """Somebody else cancels it so many world seconds after its request, if it is still open."""
    quirks.cancelled_after = options["seconds"]


@in_quirks(
    "report",
    copies=Option(whole, default=1),
    late=Option(number, default=0.0),
    forged=Option(text),
)
def _callback(quirks: Quirks, options: Options) -> None:
    """Its callback comes never or twice (`copies`), `late` by so many seconds of the loop.

    With `forged`, one more comes at once, from nowhere, and claims this status and a false link.
    """
    quirks.callback = CallbackQuirk(options["copies"], options["late"], options["forged"])


# --- of the whole server --------------------------------------------------------------------------


@in_server(seconds=Option(number, default=0.0))
async def _restart(server: Server, options: Options) -> None:
    """The server dies and comes back after so many seconds of the loop; the world survives."""
    await server.restart(options["seconds"])


@in_server(by=Option(signed, required=True))
async def _clock(server: Server, options: Options) -> None:
    """The server's clock jumps by so many seconds, ``Date`` and `receive_time` with it."""
    server.clock.advance(timedelta(seconds=options["by"]))
