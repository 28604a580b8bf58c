"""What a client did at a simulator, as the simulator saw it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.bound import least_makespan

if TYPE_CHECKING:
    from benchmarks.worlds import Case
    from orchestrator.simulator import Simulator
    from orchestrator.simulator.reports import Report
    from orchestrator.simulator.settings import ApiKey


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a client did.

    Attributes:
        makespan: from its start to its end, in seconds of its time, virtual or not.
        bound: the least there could be, see `least_makespan`; None with several keys.
        calls: requests by kind, those that got 429 too.
        call_times: (time, key, kind) of each.
        throttled: how many got 429.
        waits: from ready at the server to the first request for the file, for each report.
        paid: reports that the server made.
        is_right: the client has exactly the records it should have.
        paid_twice: records that stand in more than one paid report.
        seconds: of real time.
    """

    case: Case
    makespan: float
    bound: float | None
    calls: Counter[str]
    call_times: list[tuple[float, str, str]]
    throttled: int
    waits: list[float]
    paid: int
    is_right: bool
    paid_twice: int
    seconds: float

    @property
    def ratio(self) -> float:
        """The makespan over the bound."""
        return self.makespan / self.bound if self.bound else 0.0

    @property
    def looks(self) -> int:
        """Requests that are neither create nor download."""
        return self.calls.total() - self.calls["create"] - self.calls["download"]

    @property
    def looks_share(self) -> float:
        """Of all requests, those that are neither create nor download."""
        return self.looks / max(1, self.calls.total())


@dataclass(slots=True)
class Watch:
    """Watches a simulator; make it before the first call comes."""

    case: Case
    simulator: Simulator
    _asked_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = self.simulator.world
        file = world.file

        def noted(key: ApiKey, file_id: str) -> Report:
            self._asked_at.setdefault(file_id, world.clock.epoch())
            return file(key, file_id)

        world.file = noted  # type: ignore[method-assign]

    def seen(self) -> dict[str, Any]:
        """The attributes of an `Outcome` that the simulator knows, fit for JSON."""
        reports = self.simulator.world.reports()
        return {
            "bound": self._bound(reports) if self.case.keys == 1 else None,
            "calls": dict(self.simulator.calls),
            "call_times": list(self.simulator.call_times),
            "throttled": self.simulator.throttled,
            "waits": self._waits(reports),
            "paid": len(reports),
            "paid_twice": len(self.simulator.world.paid_twice()),
        }

    def _bound(self, reports: tuple[Report, ...]) -> float:
        """With the times that were drawn, in the order in which the client created."""
        durations = [report.duration for report in reports]
        return least_makespan(durations, gap=self.case.gap, concurrency=self.case.concurrency)

    def _waits(self, reports: tuple[Report, ...]) -> list[float]:
        return [
            self._asked_at[report.file_id] - report.ended
            for report in reports
            if report.file_id in self._asked_at and report.ended is not None
        ]


def outcome(
    case: Case, seen: dict[str, Any], *, makespan: float, is_right: bool, seconds: float
) -> Outcome:
    """All of it, from what `Watch.seen` told and what its caller knows."""
    known = {**seen, "calls": Counter(seen["calls"])}
    return Outcome(case=case, makespan=makespan, is_right=is_right, seconds=seconds, **known)
