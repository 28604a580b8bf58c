"""Starts and ends reports as time passes: a limited number at once, first come, first served."""

import heapq
import math
from collections import deque
from collections.abc import Iterator

from orchestrator.simulator.faults.reports import Cancelled, Stuck
from orchestrator.simulator.reports import Phase, Report


class WorkQueue:
    """Takes reports from ``PENDING`` through ``PROCESSING`` to their end.

    What happens, and when, does not depend on how often `advance` is called.
    """

    def __init__(self, concurrency: int | None, pending: float) -> None:
        self._slots = math.inf if concurrency is None else concurrency
        self._pending = pending
        self._waiting: deque[Report] = deque()
        self._running: list[tuple[float, int, Report]] = []
        self._to_be_cancelled: list[tuple[float, int, Report]] = []
        self._busy = 0
        self._free_since = -math.inf

    def admit(self, report: Report) -> None:
        """Adds a new report; one that is stuck in ``PENDING`` is never started."""
        stuck = report.fault(Stuck)
        if stuck is None or stuck.phase != Phase.PENDING.value:
            self._waiting.append(report)
        cancelled = report.fault(Cancelled)
        if cancelled is not None:
            at = report.created + cancelled.seconds
            heapq.heappush(self._to_be_cancelled, (at, report.number, report))

    def drop(self, report: Report, now: float) -> None:
        """Ends a report before its time; the queues skip it from now on."""
        if report.phase is Phase.PROCESSING:
            self._busy -= 1
        self._free_since = now
        report.phase = Phase.ENDED
        report.ended = now

    def next_change(self) -> float:
        """When the next report starts or ends; infinite where none will."""
        return min(self._next_end(), self._next_start(), self._next_cancel())

    def _next_end(self) -> float:
        while self._running and self._running[0][2].phase is Phase.ENDED:
            heapq.heappop(self._running)
        return self._running[0][0] if self._running else math.inf

    def _next_cancel(self) -> float:
        return self._to_be_cancelled[0][0] if self._to_be_cancelled else math.inf

    def _next_start(self) -> float:
        while self._waiting and self._waiting[0].phase is Phase.ENDED:
            self._waiting.popleft()
        if not self._waiting or self._busy >= self._slots:
            return math.inf
        ready = self._waiting[0].created + self._pending
        return ready if math.isinf(self._slots) else max(ready, self._free_since)

    def advance(self, now: float) -> Iterator[Report]:
        """Lets time pass up to `now`; yields the reports that ended, in that order."""
        while True:
            starts = self._next_start()
            ends = self._next_end()
            cancels = self._next_cancel()
            if min(starts, ends, cancels) > now:
                return
            if cancels < min(starts, ends):
                _, _, report = heapq.heappop(self._to_be_cancelled)
                if report.phase is not Phase.ENDED:
                    report.aborted = True
                    self.drop(report, cancels)
                    yield report
            elif ends <= starts:
                _, _, report = heapq.heappop(self._running)
                self._busy -= 1
                self._free_since = ends
                report.phase = Phase.ENDED
                report.ended = ends
                yield report
            else:
                report = self._waiting.popleft()
                self._busy += 1
                report.phase = Phase.PROCESSING
                report.started = starts
                end = math.inf if report.fault(Stuck) else starts + report.duration
                heapq.heappush(self._running, (end, report.number, report))
