"""What follows from failed downloads: the table."""

from __future__ import annotations

import pytest

from orchestrator.core.model import RemoteReport
from orchestrator.core.vonage import Status
from orchestrator.engine.download_tries import DownloadTries, Next
from orchestrator.errors import (
    ApiError,
    CollectError,
    CorruptArchive,
    FileRefused,
    NotFound,
    ServerFault,
    TransportError,
    WrongCount,
)

SUCCESS = RemoteReport("id", Status.SUCCESS, "SUCCESS", {}, download_url="https://api/file")
RUNNING = RemoteReport("id", Status.PROCESSING, "PROCESSING", {})
UNKNOWN = NotFound("404")
DOWN = ServerFault("503")

GONE = NotFound("the file is not there")
REFUSED = FileRefused("the link has expired", status=400)
NO_LINK = FileRefused("the link is no address", status=None)
HTML = CorruptArchive("not a ZIP")
BROKEN = TransportError("reset", maybe_sent=True)
COUNT = WrongCount(6, 7)


def after(
    *problems: ApiError | CollectError,
    asked: RemoteReport | ApiError | None,
    over: bool = False,
    attempts: int = 8,
) -> Next:
    tries = DownloadTries()
    for problem in problems:
        tries.met(problem)
    return tries.next(attempts, asked, is_file_gone=over, is_forgotten=over)


@pytest.mark.parametrize(
    ("problems", "asked", "over", "expected"),
    [
        pytest.param([GONE], SUCCESS, False, Next.DOWNLOAD, id="404 once"),
        pytest.param([GONE] * 7, SUCCESS, False, Next.DOWNLOAD, id="404 seven times"),
        pytest.param([GONE] * 8, SUCCESS, False, Next.NEXT_RUN, id="404 to the end"),
        pytest.param([GONE] * 8, UNKNOWN, False, Next.NEXT_RUN, id="404 for the report too"),
        pytest.param([GONE] * 2, SUCCESS, True, Next.DOWNLOAD, id="its life is over, two looks"),
        pytest.param([GONE] * 3, SUCCESS, True, Next.FILE_GONE, id="its life is over, three looks"),
        pytest.param([REFUSED] * 3, SUCCESS, True, Next.FILE_GONE, id="over, the link has expired"),
        pytest.param([GONE] * 3, UNKNOWN, True, Next.REPORT_LOST, id="over, the report is gone"),
        pytest.param([GONE] * 3, RUNNING, True, Next.DOWNLOAD, id="over, a status that went back"),
        pytest.param([GONE] * 8, DOWN, True, Next.NEXT_RUN, id="over, and nobody answers"),
        pytest.param([GONE, BROKEN, GONE], SUCCESS, True, Next.DOWNLOAD, id="over, not in a row"),
        pytest.param([BROKEN] * 8, SUCCESS, False, Next.NEXT_RUN, id="a stream that breaks"),
        pytest.param([BROKEN] * 8, SUCCESS, True, Next.DISPUTE, id="over, a stream that breaks"),
        pytest.param([BROKEN] * 7, SUCCESS, True, Next.DOWNLOAD, id="over, it broke seven times"),
        pytest.param([DOWN] * 8, UNKNOWN, True, Next.DISPUTE, id="over, its host is down"),
        pytest.param([NO_LINK] * 8, SUCCESS, False, Next.NEXT_RUN, id="a link that is none"),
        pytest.param([NO_LINK] * 8, SUCCESS, True, Next.DISPUTE, id="over, a link that is none"),
        pytest.param([HTML] * 7, SUCCESS, False, Next.DOWNLOAD, id="HTML seven times"),
        pytest.param([HTML] * 8, SUCCESS, False, Next.DISPUTE, id="HTML eight times"),
        pytest.param([HTML] * 8, DOWN, False, Next.NEXT_RUN, id="HTML, and nobody answers"),
        pytest.param([HTML] * 8, RUNNING, False, Next.NEXT_RUN, id="HTML, a status that went back"),
        pytest.param([HTML] * 8, SUCCESS, True, Next.DISPUTE, id="HTML is never expired"),
        pytest.param([COUNT] * 2, SUCCESS, False, Next.DOWNLOAD, id="a wrong count twice"),
        pytest.param([COUNT] * 3, SUCCESS, False, Next.DISPUTE, id="a wrong count three times"),
        pytest.param([COUNT] * 8, DOWN, False, Next.NEXT_RUN, id="a count that nobody confirms"),
        pytest.param([COUNT] * 8, UNKNOWN, False, Next.NEXT_RUN, id="a count, and 404"),
        pytest.param([COUNT] * 8, UNKNOWN, True, Next.DISPUTE, id="a count, and all is over"),
        pytest.param(
            [COUNT, COUNT, WrongCount(5, 7)], SUCCESS, False, Next.DOWNLOAD, id="counts that change"
        ),
    ],
)
def test_what_follows(
    problems: list[ApiError | CollectError],
    asked: RemoteReport | ApiError,
    over: bool,
    expected: Next,
) -> None:
    assert after(*problems, asked=asked, over=over) is expected


@pytest.mark.parametrize("attempts", [1, 2])
def test_with_few_attempts_these_are_the_last(attempts: int) -> None:
    assert after(*[COUNT] * attempts, asked=SUCCESS, attempts=attempts) is Next.DISPUTE
    assert after(*[GONE] * attempts, asked=SUCCESS, attempts=attempts) is Next.NEXT_RUN
    assert after(*[GONE] * attempts, asked=SUCCESS, over=True, attempts=attempts) is Next.FILE_GONE


def test_a_stream_that_broke_once_is_no_reason_to_ask() -> None:
    tries = DownloadTries()
    asks = []
    for problem in (BROKEN, BROKEN, GONE, BROKEN, TransportError("no host", maybe_sent=False)):
        tries.met(problem)
        asks.append(tries.must_ask)
    assert asks == [False, True, True, False, True]
