"""Decides how long to wait before the next poll, from the ages of reports and from history.

Pure: it reads no clock, draws no random number and asks nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.core import vonage
from orchestrator.core.durations import DurationModel, OpenReport
from orchestrator.core.settings import PollPolicy
from orchestrator.engine.polling import parameters

_OLD_TO_THE_API: Final = vonage.LIST_REACH.total_seconds()


@dataclass(slots=True)
class ListHistory:
    """What the latest polls of one list brought, compared with what was expected."""

    polls_without_end: int = 0  # polls in a row that saw no report end
    # ends that were expected; the latest polls weigh most
    expected: float = parameters.HISTORY_START
    observed: float = parameters.HISTORY_START

    def polled(self, expected: float, observed: int) -> None:
        """Counts one poll; `expected` is 0 where nothing could be expected."""
        self.polls_without_end = 0 if observed else self.polls_without_end + 1
        if expected:
            self.expected = parameters.HISTORY_DECAY * self.expected + expected
            self.observed = parameters.HISTORY_DECAY * self.observed + observed

    @property
    def correction(self) -> float:
        """Ends that come for each that is expected, from 1/8 to 8."""
        most = parameters.MAX_CORRECTION
        return min(most, max(1 / most, (self.observed + 0.5) / (self.expected + 0.5)))


@dataclass(frozen=True, slots=True)
class ListedReports:
    """The reports for which one list answers."""

    number: int
    unseen: int  # how many may have ended before this run, because none was seen open yet
    have_callbacks: bool  # whether a callback was asked for with each of them
    # enough of them to expect ends by, as they were when the list was last asked for
    sample: Sequence[OpenReport]

    @property
    def weight(self) -> float:
        """How many reports each one in the sample stands for."""
        return self.number / len(self.sample)


@dataclass(frozen=True, slots=True)
class SingleReport:
    """A report that is polled by itself."""

    open: OpenReport
    is_unseen: bool  # whether it may have ended before this run: it was neither seen nor polled yet
    has_callback: bool
    polls: int
    polls_without_news: int  # latest polls in a row that told nothing: 404, or incomplete SUCCESS


class PollSchedule:
    """Says how many seconds to wait before a list or a report is polled again; learns from ends.

    Args:
        durations: how long reports took so far; learns.
    """

    def __init__(self, policy: PollPolicy, durations: DurationModel) -> None:
        self.shortest = policy.interval_initial.total_seconds()
        self.longest = max(self.shortest, policy.interval_max.total_seconds())
        self.durations = durations
        self._told_by_callback = 0.0

    # --- pauses -----------------------------------------------------------------------------------

    def list_pause(self, reports: ListedReports, history: ListHistory, jitter: float) -> float:
        """Seconds between two polls of a list; `jitter` is in [0, 1)."""
        wanted = min(parameters.ENDS_PER_LIST, parameters.SHARE_PER_LIST * reports.number)
        if reports.unseen >= wanted:
            return parameters.EARLIER_RUN_DELAY
        if reports.unseen and self.durations.is_known:
            pause = self.shortest
        elif not self.durations.is_known:
            pause = self._doubled(history.polls_without_end)
        elif self.callbacks_are_reliable and reports.have_callbacks:
            pause = self.longest
        else:
            wanted /= reports.weight * history.correction
            pause = self.durations.wait_for(reports.sample, wanted, self.shortest, self.longest)
        return pause * _factor(jitter)

    def report_pause(self, report: SingleReport, jitter: float) -> float:
        """Seconds between two polls of one report; `jitter` is in [0, 1)."""
        if report.is_unseen:
            return parameters.EARLIER_RUN_DELAY
        if report.polls_without_news:
            pause = self._pause_without_news(report.polls_without_news)
        elif not self.durations.is_known:
            pause = self._doubled(report.polls)
        elif self.callbacks_are_reliable and report.has_callback:
            pause = self.longest
        else:
            pause = self.durations.wait_for(
                [report.open], parameters.CHANCE_PER_POLL, self.shortest, self.longest
            )
        return pause * _factor(jitter)

    def callback_pause(self, callbacks: int) -> float:
        """Seconds in which no further callback has a report polled, after so many (from 0)."""
        return self._doubled(callbacks)

    def _pause_without_news(self, polls: int) -> float:
        further = polls - parameters.FRUITLESS_POLLS
        if further <= 0:
            return self._doubled(polls - 1)
        growth = 1 << min(further, parameters.MAX_EXPONENT)
        return self.longest * min(parameters.FRUITLESS_GROWTH, growth)

    def _doubled(self, times: int) -> float:
        return min(self.longest, self.shortest * (1 << min(times, parameters.MAX_EXPONENT)))

    # --- ages -------------------------------------------------------------------------------------

    def expected_ends(self, reports: ListedReports, seconds: float) -> float:
        """How many of these have probably ended, `seconds` after the state in `sample`."""
        if not self.durations.is_known:
            return 0.0
        return reports.weight * self.durations.ends(reports.sample, seconds)

    def recheck_after(self, product: str, rows: int | None) -> float:
        """Seconds that lists are believed that a new report is open."""
        expected = self.durations.expected(product, rows)
        return max(parameters.RECHECK_AFTER, parameters.RECHECK_TIMES_EXPECTED * expected)

    def list_age_limit(self, ages: Sequence[float]) -> float:
        """The age in seconds from which a report is polled by itself instead of by a list.

        Args:
            ages: in seconds, of the reports for which the list answers; at least one.
        """
        usual = sorted(ages)[len(ages) // 2]
        return min(max(parameters.RECHECK_AFTER, parameters.MAX_LIST_AGE * usual), _OLD_TO_THE_API)

    # --- learning ---------------------------------------------------------------------------------

    def ended(self, *, told_by_callback: bool) -> None:
        """Learns whether a callback told of the end of a report that had asked for one."""
        decay = parameters.HISTORY_DECAY
        self._told_by_callback = decay * self._told_by_callback + (1 - decay) * told_by_callback

    @property
    def callbacks_are_reliable(self) -> bool:
        """Whether callbacks told of most of the latest ends."""
        return self._told_by_callback > parameters.RELIABLE_CALLBACKS


def _factor(jitter: float) -> float:
    """What a pause is multiplied by, around 1."""
    return 1 + parameters.JITTER * (jitter - 0.5)
