"""What the API's answers about a report make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core import echo, lifecycle
from orchestrator.core.model import Status

if TYPE_CHECKING:
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import RemoteReport, Report
    from orchestrator.errors import NotFound


def judge(report: Report, remote: RemoteReport) -> Event:
    """What a final answer makes of a report."""
    wrong = echo.wrong_echo(report, remote)
    if wrong is not None:
        return lifecycle.Disputed(f"not what was asked for: {wrong}")
    said = f"the API says {remote.status_word}"
    match remote.status:
        case Status.SUCCESS if remote.download_url is None:
            return lifecycle.Disputed(f"{said}, but gives no link to a file")
        case Status.SUCCESS:
            assert remote.download_url is not None
            return lifecycle.Finished(remote.items_count, remote.download_url)
        case Status.TRUNCATED:
            return lifecycle.CutShort(remote.items_count, f"{said}: the file lacks records")
        case Status.FAILED:
            return lifecycle.Failed(said)
        case Status.ABORTED:
            return lifecycle.Aborted(f"{said}: cancelled there, not by us")
        case Status.PENDING | Status.PROCESSING | None:
            raise AssertionError(f"{remote.status_word} is not final")


def lost(error: NotFound) -> Event:
    """What a 404 for the report itself makes of it."""
    return lifecycle.Lost(f"the API no longer knows it: {error}")
