"""Builds the JSON object of a report, in each form that the API has been seen to use."""

from typing import Any
from urllib.parse import urlsplit

from orchestrator.simulator.dates import OFFSETS, write_moment
from orchestrator.simulator.faults.reports import Link, Signed, Truncated, WrongCount, WrongEcho
from orchestrator.simulator.reports import Phase, Report, moment
from orchestrator.simulator.settings import Dialect


def report_object(
    report: Report, dialect: Dialect, base_url: str, now: float, phase: Phase | None = None
) -> dict[str, Any]:
    """The object of a report; a report that has ended must be settled before.

    Filters are repeated under their own names, a filter `status` too: in the classic shape the
    report's own status is `request_status`.

    Args:
        base_url: the start of every link.
        now: seconds since 1970, for links that expire.
        phase: the phase in which the object shows the report; None is its present one.
    """
    ended = (phase or report.phase) is Phase.ENDED
    word = report.status if ended or phase is None else phase.name
    style = report.style
    offset = OFFSETS[style % 3] if dialect.offset == "mixed" else dialect.offset
    newer = style >= 128 if dialect.shape == "mixed" else dialect.shape == "newer"
    request = report.request
    echo: dict[str, Any] = {
        **request.echo,
        "date_start": write_moment(request.start, offset),
        "date_end": write_moment(request.end, offset),
    }
    if request.callback_url:
        echo["callback_url"] = request.callback_url
    wrong_echo = report.fault(WrongEcho)
    if wrong_echo is not None:
        echo[wrong_echo.field] = wrong_echo.value
    answer: dict[str, Any] = {"request_id": report.request_id}
    if newer:
        answer |= {"status": word, "request_params": echo}
    else:
        answer |= {"request_status": word, **echo}
    answer["receive_time"] = write_moment(moment(int(report.created)), offset)
    if ended:
        answer["start_time"] = write_moment(moment(int(report.started or report.created)), offset)
        truncated, wrong_count = report.fault(Truncated), report.fault(WrongCount)
        if truncated is None or truncated.counted:
            by = 0 if wrong_count is None else wrong_count.by
            answer["items_count"] = max(0, (report.rows or 0) + by)
    elif dialect.early_fields:
        answer["start_time"] = answer["receive_time"]
        answer["items_count"] = 0
    answer["_links"] = {"self": {"href": f"{base_url}/v2/reports/{report.request_id}"}}
    if ended and report.has_file:
        url = _link(report, base_url, now)
        if not url:
            return answer
        if newer:
            answer["download_url"] = url
        else:
            answer["_links"]["download_report"] = {"href": url}
    return answer


def other_host(base_url: str) -> str:
    """The same server under another host name, so that a client takes it for another host."""
    host = urlsplit(base_url).hostname or ""
    return base_url.replace(host, "127.0.0.1" if host == "localhost" else "localhost", 1)


def _link(report: Report, base_url: str, now: float) -> str:
    """The link to the file; empty where a fault leaves it out."""
    path = f"/v3/media/{report.file_id}"
    signed, link = report.fault(Signed), report.fault(Link)
    if signed is not None:
        path += f"?until={now + signed.seconds:.3f}"
    match link.to if link is not None else None:
        case None:
            return base_url + path
        case "relative":
            return path
        case "foreign":
            return f"{other_host(base_url)}/_sim/file/{report.file_id}"
        case "missing":
            return ""
        case template:
            fields = {"file": report.file_id, "other": other_host(base_url), "own": base_url}
            return template.format(**fields)
