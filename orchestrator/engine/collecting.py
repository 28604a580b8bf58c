"""Collects finished reports: download, verify, publish; then removes files that are superseded.

Nothing is published that is not verified.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import anyio
from anyio.lowlevel import checkpoint

from orchestrator.core import lifecycle, policy
from orchestrator.core.commands import pay_or_skip
from orchestrator.core.echo import EchoDifference
from orchestrator.core.lifecycle import State, VerifiedFile
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import RemoteReport, Report
from orchestrator.core.policy import Scope
from orchestrator.core.ports import Download, Priority, Within
from orchestrator.core.slots import SlotPool
from orchestrator.core.vonage import Status
from orchestrator.engine import outcomes
from orchestrator.engine.context import RunContext
from orchestrator.engine.download_tries import SAME_COUNT, DownloadTries, Next, is_refusal
from orchestrator.engine.drain import BriefDownload
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.polling.missing_reports import is_file_gone, is_forgotten, life_left
from orchestrator.errors import (
    ApiError,
    CollectError,
    CorruptArchive,
    NameTaken,
    NoRoom,
    NotFound,
    OutputError,
    Throttled,
    TransportError,
    Unauthorized,
    WrongCount,
)


async def withdraw_superseded(context: RunContext, by: Report | None = None) -> None:
    """Removes the files that are superseded or erased: all, or the one that an edition replaces.

    A file that cannot be removed is noted in the context, and left to the next run.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    for report in await context.ledger.superseded(by):
        try:
            await context.collector.withdraw(report)
        except OutputError as error:
            context.not_removed[report.id] = error
        else:
            await context.ledger.withdrawn(report)


class Collecting:
    """Collects reports; shared by all of them, and holding no state of any one.

    Args:
        ended: what is done once the API says that a report has come to nothing, was cut, or is
            not what was asked for.
    """

    def __init__(
        self,
        context: RunContext,
        ended: Callable[[Report, RemoteReport, KeySession], Awaitable[Report]],
    ) -> None:
        self._context = context
        self._collector = context.collector
        self._drain = context.drain
        self._ended = ended
        self._slots = SlotPool(context.config.limits.downloads)

    async def collect(self, report: Report, session: KeySession) -> Report:
        """Download, verify, publish. What has begun is finished even when the run drains."""
        fetched = await self._fetch(report, session)
        if fetched.state is State.VERIFIED:
            fetched = await self.publish(fetched)
        return fetched

    async def keep_truncated(
        self, report: Report, remote: RemoteReport, reason: str, session: KeySession
    ) -> int | None:
        """Keeps the file of a truncated report aside: it is paid, and may be of use to somebody.

        Returns:
            The records in it; None where it could not be had, or not be counted.
        """
        if remote.download_url is None:
            return None
        wanted = replace(report, items_count=remote.items_count, download_url=remote.download_url)
        try:
            verdict = await self._fetch_for_examination(wanted, session)
            rows: int | None = verdict.rows
        except CorruptArchive as error:
            reason = f"{reason}; and {error}"  # it is kept all the same
            rows = error.rows if isinstance(error, WrongCount) else None
        except (ApiError, NoRoom) as error:
            self._context.warn(
                f"report {report.request_id}: its truncated file is not kept: {error}"
            )
            return None
        finally:
            await self._collector.release(wanted)
        with self._drain.shield():
            await self._collector.quarantine(wanted, reason)
        return rows

    async def examine(
        self,
        report: Report,
        remote: RemoteReport,
        differences: Sequence[EchoDifference],
        session: KeySession,
    ) -> Report:
        """A finished report that does not repeat our request: its file is kept, and decides.

        Where the file refutes the echo, the report is verified with a warning; else disputed.
        The report stays as it was where the file cannot be had now.
        """
        wrong = f"not what was asked for: {differences[0]}"
        wanted = replace(report, items_count=remote.items_count, download_url=remote.download_url)
        try:
            verdict = await self._fetch_for_examination(wanted, session)
        except CorruptArchive as error:
            return await self._dispute(wanted, f"{wrong}; and {error}")
        except (ApiError, NoRoom) as error:
            self._context.warn(
                f"report {report.id} ({chunk_text(report)}) is {wrong}; its file, "
                f"which would show it, cannot be had now: {error}; the next run tries again",
            )
            return report
        finally:
            await self._collector.release(wanted)
        if not await self._collector.refutes(wanted, differences):
            session.doubt_series(report.series, f"what came for report {report.id} is {wrong}")
            return await self._dispute(wanted, wrong)
        session.trust_series(report.series, differences)
        self._context.warn(
            f"report {report.id} ({chunk_text(report)}): the API repeats the request "
            f"otherwise ({differences[0]}), but the file holds what was asked for: it is taken",
        )
        assert remote.download_url is not None
        finished = lifecycle.Finished(remote.items_count, remote.download_url)
        return await self._context.apply(
            await self._context.apply(report, finished), _verified(verdict)
        )

    async def _fetch_for_examination(self, report: Report, session: KeySession) -> VerifiedFile:
        """One download after the other, until the file is here.

        Raises:
            ApiError, CorruptArchive, NoRoom: what the last attempt met.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._downloading(report, session) as download:
                    return await self._collector.fetch(report, download)
            except (ApiError, CorruptArchive) as error:
                if attempt >= session.retry.attempts or self._drain.begun:
                    raise
                if isinstance(error, WrongCount) and attempt >= SAME_COUNT:
                    raise
            pause = policy.backoff(session.retry, attempt, session.jitter())
            await anyio.sleep(pause.total_seconds())

    async def _dispute(self, report: Report, reason: str) -> Report:
        """Keeps what has been fetched for a person, who decides."""
        with self._drain.shield():
            await self._collector.quarantine(report, reason)
            return await self._context.apply(report, lifecycle.Disputed(reason))
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
                published = await self._context.apply(report, lifecycle.Published())
                if published.replaces is not None:
                    await withdraw_superseded(self._context, published)
                return published
            return await self._context.apply(
                report,
                lifecycle.FileMissing("the verified file is not there any more; fetched again"),
            )
        await checkpoint()  # somebody is in a hurry: whatever would follow is cut too
        return report

    async def _fetch(self, report: Report, session: KeySession) -> Report:
        """Downloads until a file is verified; READY still if it must be tried another time."""
        try:
            return await self._fetch_patiently(report, session)
        finally:
            await self._collector.release(report)

    async def _fetch_patiently(self, report: Report, session: KeySession) -> Report:
        tries = DownloadTries()
        while True:
            try:
                return await self._fetch_once(report, session, tries)
            except NoRoom as problem:
                return self._leave(report, problem)
            except (ApiError, CorruptArchive) as problem:
                tries.begin(anyio.current_time())
                tries.met(problem)
                if self._drain.begun or isinstance(problem, Throttled) or session.silent:
                    return self._leave(report, problem)
                report, asked = await self._look_anew(report, session, tries)
                if report.state is not State.READY or self._is_left(report, session, asked):
                    return report
                ended = await self._conclude(report, session, tries, asked)
                # A file may take a while to be everywhere: then no pause is cut by chance.
                jitter = 1.0 if is_refusal(problem) else session.jitter()
                wait = getattr(problem, "retry_after", None)
                pause = policy.backoff(session.retry, tries.number, jitter, wait)
                if ended is None and session.is_too_long(pause, tries.since):
                    ended = self._leave(report, problem)
                if ended is not None:
                    return ended
                self._context.events.message(
                    "debug",
                    f"report {report.request_id}: download {tries.number} failed: {problem}",
                )
            await anyio.sleep(pause.total_seconds())

    async def _look_anew(
        self, report: Report, session: KeySession, tries: DownloadTries
    ) -> tuple[Report, RemoteReport | ApiError | None]:
        """After a failed download: asks how the report stands now, and takes that over.

        A link may have died and been renewed, a count may have been a list's that lagged behind.

        Returns:
            The report, and what was answered; None: it was not asked.
        """
        if not tries.must_ask:
            return report, None
        assert report.request_id is not None
        request_id = report.request_id
        try:
            remote = await session.turn(lambda: session.api.status(request_id), Priority.DOWNLOAD)
        except Unauthorized as error:
            session.refuse(report.series, Scope.ACCOUNT, str(error))
            return report, error
        except ApiError as error:
            return report, error
        match remote.status:
            case Status.SUCCESS if outcomes.to_examine(report, remote):
                report = await self._ended(report, remote, session)
            case Status.SUCCESS if remote.download_url is not None:
                report = await self._renew(report, remote)
                if isinstance(tries.problem, WrongCount):
                    report = await self._recheck(report, tries.problem)
            case Status.FAILED | Status.ABORTED | Status.TRUNCATED:
                report = await self._ended(report, remote, session)
            case Status.SUCCESS | Status.PENDING | Status.PROCESSING | None:
                pass  # a status that went backwards, or lacks its link, proves nothing
        return report, remote

    def _is_left(
        self, report: Report, session: KeySession, asked: RemoteReport | ApiError | None
    ) -> bool:
        """Whether what was answered leaves a ready report to the next run, whatever its file is."""
        match asked:
            case Unauthorized():
                return True
            case NotFound() if blind := session.may_not_see(report):
                self._context.warn(f"{asked}; {blind}; {pay_or_skip(report.id)}")
                return True
            case RemoteReport():  # its file would decide, and cannot be had now, as was said
                return bool(outcomes.to_examine(report, asked))
            case _:
                return False

    async def _renew(self, report: Report, remote: RemoteReport) -> Report:
        """Takes over link and count, where they differ."""
        count = report.items_count if remote.items_count is None else remote.items_count
        if (count, remote.download_url) == (report.items_count, report.download_url):
            return report
        return await self._context.apply(report, lifecycle.Finished(count, remote.download_url))

    async def _recheck(self, report: Report, problem: WrongCount) -> Report:
        """Holds the file that is here against a count that has changed; no download is needed."""
        if report.items_count != problem.rows:
            return report
        verdict = await self._collector.recheck(report)
        return report if verdict is None else await self._context.apply(report, _verified(verdict))

    async def _conclude(
        self,
        report: Report,
        session: KeySession,
        tries: DownloadTries,
        asked: RemoteReport | ApiError | None,
    ) -> Report | None:
        """What the downloads so far make of the report; None: another one."""
        received_at = asked.received_at if isinstance(asked, RemoteReport) else None
        assert tries.problem is not None
        match tries.next(
            session.retry.attempts,
            asked,
            is_file_gone=is_file_gone(report, session, received_at),
            is_forgotten=is_forgotten(report, session, received_at),
        ):
            case Next.DOWNLOAD:
                return None
            case Next.NEXT_RUN:
                return self._leave(report, tries.problem)
            case Next.DISPUTE:
                reason = f"{tries.problem} (after {tries.number} downloads)"
                return await self._dispute(report, reason)
            case Next.FILE_GONE:
                await self._collector.discard(report)
                reason = f"its file is gone: {tries.problem}"
                return await self._context.apply(report, lifecycle.FileGone(reason))
            case Next.REPORT_LOST:
                await self._collector.discard(report)
                reason = f"neither it nor its file is there any more: {tries.problem}"
                return await self._context.apply(report, lifecycle.Lost(reason))

    def _leave(self, report: Report, problem: ApiError | CollectError) -> Report:
        """Leaves a report that is ready to the next run, and says so."""
        if self._drain.begun:
            return report
        next_step = "goes on with it" if isinstance(problem, NoRoom) else "asks for its link again"
        text = (
            f"report {report.request_id}: cannot be downloaded now: {problem}; it stays open, "
            f"and the next run {next_step}"
        )
        if is_refusal(problem):
            text += f". {pay_or_skip(report.id)}"
        self._context.warn(text)
        return report

    async def _fetch_once(
        self, report: Report, session: KeySession, tries: DownloadTries
    ) -> Report:
        if report.download_url is None:  # the API says that there are no records, and no file
            return await self._context.apply(report, _verified(await self._collector.empty(report)))
        async with self._downloading(report, session) as download:
            tries.begin(anyio.current_time())
            return await self._context.apply(
                report, _verified(await self._collector.fetch(report, download))
            )

    @asynccontextmanager
    async def _downloading(self, report: Report, session: KeySession) -> AsyncIterator[Download]:
        """A download that has begun, at the key's turn and in a free slot.

        Until then a run that drains may do without it; afterwards it has a short grace, and what
        has come until then is kept for the next run.
        """
        assert report.download_url is not None
        if lacking := self._collector.lacks_room:
            raise NoRoom(lacking)
        url = report.download_url
        within = Within(life_left(report, session), session.patience)
        order = report.expires_at.timestamp() if report.expires_at else 0.0
        with self._slots.slot() as slot:
            async with AsyncExitStack() as stack:

                async def begin() -> Download:
                    download = await stack.enter_async_context(
                        session.api.download(url, self._collector.resumable(report), within)
                    )
                    slot.keep()  # it goes on beyond the turn
                    return download

                download = await session.turn(begin, Priority.DOWNLOAD, order, slot)
                brief = BriefDownload(download, self._drain)
                try:
                    with self._drain.shield() as shield:
                        yield brief
                except TransportError:
                    if brief.was_cut:
                        await checkpoint()  # as if cancelled: the next run goes on with it
                    raise
                if shield.cancelled_caught:
                    await checkpoint()  # somebody is in a hurry: whatever would follow is cut too


def _verified(file: VerifiedFile) -> lifecycle.Verified:
    return lifecycle.Verified(**vars(file))
