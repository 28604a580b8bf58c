"""Turns what the API answers about a report into the event that follows for it. Pure."""

from typing import Final

from orchestrator.core import echo, lifecycle
from orchestrator.core.echo import EchoDifference
from orchestrator.core.lifecycle import Event
from orchestrator.core.model import RemoteReport, Report
from orchestrator.core.vonage import Status


def is_final(remote: RemoteReport) -> bool:
    """Whether the API will not change the report any more, as far as this answer goes."""
    return remote.status is not None and remote.status.is_final


def is_whole(remote: RemoteReport) -> bool:
    """Whether a final answer has all that its ending needs: SUCCESS needs the link to a file."""
    return remote.status is not Status.SUCCESS or remote.download_url is not None


def says_empty(remote: RemoteReport) -> bool:
    """Whether an answer says SUCCESS, no records, and gives no link: there is no file to fetch."""
    return (
        remote.status is Status.SUCCESS and remote.download_url is None and remote.items_count == 0
    )


def to_examine(report: Report, remote: RemoteReport) -> tuple[EchoDifference, ...]:
    """How a finished report with a file differs from our request: then its file has to decide."""
    if remote.status is not Status.SUCCESS or remote.download_url is None:
        return ()
    return echo.differences(report, remote)


_SURELY_TOO_LARGE: Final = 0.1
"""A truncated report with less than this share of what a file holds was not cut for its size."""


def event_for(report: Report, remote: RemoteReport) -> Event:
    """What a final answer makes of a report; it must be whole, or say that the file is empty."""
    wrong = echo.wrong_echo(report, remote)
    if wrong is not None:
        return lifecycle.Disputed(f"not what was asked for: {wrong}")
    said = f"the API says {remote.status_word}"
    match remote.status:
        case Status.SUCCESS:
            assert is_whole(remote) or says_empty(remote), "without a link nothing has ended"
            return lifecycle.Finished(remote.items_count, remote.download_url)
        case Status.TRUNCATED:
            return lifecycle.CutShort(remote.items_count, f"{said}: the file lacks records")
        case Status.FAILED:
            return lifecycle.Failed(said)
        case Status.ABORTED:
            return lifecycle.Aborted(f"{said}: cancelled there, not by us")
        case Status.PENDING | Status.PROCESSING | None:
            raise AssertionError(f"{remote.status_word} is not final")


def event_for_truncated(event: lifecycle.CutShort, rows: int | None, most: int) -> Event:
    """What a truncated report is: one that was too large, or one that a person has to look at.

    Smaller chunks help only where the size was what cut it.

    Args:
        rows: the records in its file; None: the file could not be had, the answer's count decides.
    """
    seen = event.items_count if rows is None else rows
    if seen is None:
        return lifecycle.Disputed(
            f"{event.reason}, its file could not be had, and no count of its records: nobody can "
            "say whether smaller chunks would help",
            cut=True,
        )
    if seen < most * _SURELY_TOO_LARGE:
        return lifecycle.Disputed(
            f"{event.reason}, though it has {seen:,} records and a file holds about {most:,}: "
            "it was not its size that cut it, so smaller chunks may be cut too",
            cut=True,
        )
    return lifecycle.CutShort(max(seen, event.items_count or 0), event.reason)
