"""From a finished report to its file in its place: download, verify, publish."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from orchestrator.core import lifecycle, policy
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Status
from orchestrator.core.ports import Priority
from orchestrator.engine import answers
from orchestrator.engine.places import Places
from orchestrator.errors import ApiError, CollectError, CorruptArchive, NameTaken, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from orchestrator.core.echo import EchoDifference
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import RemoteReport, Report
    from orchestrator.core.ports import Collector, Download, Ledger, Observer, Verdict
    from orchestrator.engine.desk import Desk
    from orchestrator.engine.drain import Drain


async def withdraw_superseded(
    ledger: Ledger, collector: Collector, by: Report | None = None
) -> None:
    """Removes the files whose place another edition has taken: all, or that of one edition.

    Raises:
        LedgerError: the ledger cannot be written.
        OutputError: the disk.
    """
    for report in await ledger.superseded(by):
        await collector.withdraw(report)
        await ledger.withdrawn(report)


class Collecting:
    """Collects reports; shared by all of them, and holding no state of any one.

    Args:
        take: applies an event to a report; the only way in which it changes.
        ledger: knows which files are superseded.
        collector: makes files.
        observer: is told of what does not change a report.
        drain: shields what must not be cut.
        downloads: so many at a time.
    """

    def __init__(
        self,
        take: Callable[[Report, Event], Awaitable[Report]],
        *,
        ledger: Ledger,
        collector: Collector,
        observer: Observer,
        drain: Drain,
        downloads: int,
    ) -> None:
        self._take = take
        self._ledger = ledger
        self._collector = collector
        self._observer = observer
        self._drain = drain
        self._places = Places(downloads)

    async def collect(self, report: Report, desk: Desk) -> Report:
        """Download, verify, publish. What has begun is finished even when the run drains."""
        fetched = await self._fetch(report, desk)
        if fetched.state is State.VERIFIED:
            fetched = await self.publish(fetched)
        return fetched

    async def keep_truncated(
        self, report: Report, remote: RemoteReport, reason: str, desk: Desk
    ) -> None:
        """Keeps the file of a truncated report aside: it is paid, and may be of use to somebody."""
        if remote.download_url is None:
            return
        wanted = replace(report, items_count=remote.items_count, download_url=remote.download_url)
        try:
            async with self._downloading(wanted, desk) as download:
                await self._collector.fetch(wanted, download)
                await self._collector.keep_aside(wanted, reason)
        except (ApiError, CollectError) as error:
            await self._collector.release(wanted)
            self._observer.note(
                "warning", f"report {report.request_id}: its truncated file is not kept: {error}"
            )

    async def examine(
        self,
        report: Report,
        remote: RemoteReport,
        differences: Sequence[EchoDifference],
        desk: Desk,
    ) -> Report:
        """A finished report that does not repeat our request: its file is kept, and decides.

        Where the file refutes the echo, the report is verified with a warning; else disputed.
        The report stays as it was where the file cannot be had now.
        """
        words = f"not what was asked for: {differences[0]}"
        wanted = replace(report, items_count=remote.items_count, download_url=remote.download_url)
        try:
            verdict = await self._fetch_for_examination(wanted, desk)
        except CorruptArchive as error:
            return await self._dispute(wanted, f"{words}; and {error}")
        except ApiError as error:
            self._observer.note(
                "warning",
                f"report {report.id} ({report.series}, {report.window}) is {words}; its file, "
                f"which would show it, cannot be had now: {error}; the next run tries again",
            )
            return report
        finally:
            await self._collector.release(wanted)
        if not await self._collector.refutes(wanted, differences):
            return await self._dispute(wanted, words)
        self._observer.note(
            "warning",
            f"report {report.id} ({report.series}, {report.window}): the API says that we "
            f"{differences[0]}, but the file holds what was asked for: it is taken",
        )
        assert remote.download_url is not None
        finished = lifecycle.Finished(remote.items_count, remote.download_url)
        return await self._take(await self._take(report, finished), _verified(verdict))

    async def _fetch_for_examination(self, report: Report, desk: Desk) -> Verdict:
        """One download after the other, until the file is here.

        Raises:
            ApiError, CorruptArchive: what the last attempt met.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._downloading(report, desk) as download:
                    return await self._collector.fetch(report, download)
            except (ApiError, CorruptArchive):
                if attempt >= desk.retry.attempts or self._drain.begun:
                    raise
            pause = policy.backoff(desk.retry, attempt, desk.jitter())
            await anyio.sleep(pause.total_seconds())

    async def _dispute(self, report: Report, reason: str) -> Report:
        """Keeps what has been fetched for a person, who decides."""
        with self._drain.shield():
            await self._collector.keep_aside(report, reason)
            return await self._take(report, lifecycle.Disputed(reason))
        await checkpoint()
        return report

    async def publish(self, report: Report) -> Report:
        """Puts a verified file in its place, and takes away the one that it replaces."""
        with self._drain.shield():
            try:
                stands = await self._collector.publish(report)
            except NameTaken as error:
                return await self._dispute(report, str(error))
            if stands:
                published = await self._take(report, lifecycle.Published())
                if published.replaces is not None:
                    await withdraw_superseded(self._ledger, self._collector, published)
                return published
            return await self._take(
                report,
                lifecycle.FileMissing("the verified file is not there any more; fetched again"),
            )
        await checkpoint()  # somebody is in a hurry: whatever would follow is cut too
        return report

    async def _fetch(self, report: Report, desk: Desk) -> Report:
        """Downloads until a file is verified; READY still if it must be tried another time."""
        try:
            return await self._fetch_patiently(report, desk)
        finally:
            await self._collector.release(report)

    async def _fetch_patiently(self, report: Report, desk: Desk) -> Report:
        attempt = missing = 0
        while True:
            attempt += 1
            try:
                return await self._fetch_once(report, desk)
            except NotFound as error:
                missing += 1
                # Right after its report has ended, a file may not be everywhere yet.
                is_gone = missing >= min(policy.LOST_AFTER, desk.retry.attempts)
                found = await self._file_gone(report, desk, error, is_gone=is_gone)
                if found is None:
                    return report
                if found.state is not State.READY or attempt >= desk.retry.attempts:
                    return found
                report = found
                problem: Exception = error
            except CorruptArchive as error:
                if attempt >= desk.retry.attempts:
                    return await self._dispute(report, f"{error} (after {attempt} downloads)")
                problem = error
            except ApiError as error:
                if not policy.is_retryable(error) or attempt >= desk.retry.attempts:
                    self._observer.note(
                        "warning",
                        f"report {report.request_id}: cannot be downloaded now: {error}; the next "
                        "run tries again",
                    )
                    return report
                problem = error
            if self._drain.begun:
                return report
            self._observer.note(
                "info", f"report {report.request_id}: download {attempt} failed: {problem}"
            )
            pause = policy.backoff(
                desk.retry, attempt, desk.jitter(), getattr(problem, "retry_after", None)
            )
            await anyio.sleep(pause.total_seconds())

    async def _fetch_once(self, report: Report, desk: Desk) -> Report:
        async with self._downloading(report, desk) as download:
            return await self._take(
                report, _verified(await self._collector.fetch(report, download))
            )

    @asynccontextmanager
    async def _downloading(self, report: Report, desk: Desk) -> AsyncIterator[Download]:
        """A download that has begun, at the key's turn and in a free place.

        Until then a run that drains may do without it; afterwards only a hurry cuts it.
        """
        assert report.download_url is not None
        url = report.download_url
        order = report.expires_at.timestamp() if report.expires_at else 0.0
        with self._places.claim() as place:
            async with AsyncExitStack() as stack:
                download = await desk.turn(
                    lambda: stack.enter_async_context(
                        desk.api.download(url, self._collector.resumable(report))
                    ),
                    Priority.DOWNLOAD,
                    order,
                    place,
                )
                with self._drain.shield() as shield:
                    yield download
                if shield.cancelled_caught:
                    await checkpoint()  # somebody is in a hurry: whatever would follow is cut too

    async def _file_gone(
        self, report: Report, desk: Desk, error: NotFound, *, is_gone: bool
    ) -> Report | None:
        """The file answers 404: ask what the API says of the report itself.

        Returns:
            The report with a new link, or at its end; as it was, where the API says that the file
            is there, unless it has said so often enough (`is_gone`). None if nobody can tell.
        """
        if blind := desk.may_not_see(report):
            self._observer.note("warning", f"{error}; {blind}")
            return None
        assert report.request_id is not None
        request_id = report.request_id
        try:
            remote = await desk.ask(lambda: desk.api.status(request_id), Priority.DOWNLOAD)
        except NotFound as unknown:
            await self._collector.discard(report)
            return await self._take(report, answers.lost(unknown))
        except ApiError:
            return None
        if remote.status is Status.SUCCESS and remote.download_url is not None:
            if remote.download_url != report.download_url:
                return await self._take(report, answers.judge(report, remote))
            if not is_gone:
                return report
        await self._collector.discard(report)
        return await self._take(report, lifecycle.FileGone(f"its file is gone: {error}"))


def _verified(verdict: Verdict) -> lifecycle.Verified:
    return lifecycle.Verified(
        sha256=verdict.sha256,
        rows=verdict.rows,
        size_bytes=verdict.size_bytes,
        target=verdict.target,
        foreign=verdict.foreign,
    )
