"""What the API's answers about a report make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core import echo, lifecycle
from orchestrator.core.model import Status

if TYPE_CHECKING:
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import RemoteReport, Report


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


def judge(report: Report, remote: RemoteReport) -> Event:
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
