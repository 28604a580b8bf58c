"""The reports of a series that are not collected, each with what is to be said of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from orchestrator.app.files import quarantined_file
from orchestrator.core.attempts import count
from orchestrator.core.lifecycle import HAD, OPEN, State
from orchestrator.reporting.phrases import Explanation, Fate, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from orchestrator.core.model import Failure, GivenUp, Report, Series
    from orchestrator.core.ports import LedgerReader
    from orchestrator.core.settings import Config


class Listed(Enum):
    """The reports that an option of `status` asks for."""

    FAILED = "failed"
    OPEN = "open"
    HELD = "held"


LISTED: Final = frozenset(State) - {State.COLLECTED}
"""States that are spoken of one by one."""

_NOTHING: Final = LISTED - HAD - {State.SUPERSEDED}
"""States in which a report brought nothing, so that its window has a fate of its own."""

_STATES: Final = {
    Listed.FAILED: (_NOTHING | {State.DISPUTED}) - {State.CANCELLED, State.DISCARDED},
    Listed.OPEN: OPEN - {State.HELD},
    Listed.HELD: frozenset({State.HELD}),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """One report of the list.

    Attributes:
        report: as the ledger has it.
        fate: of its window, where the report came to nothing; else None.
        words: what is said of it.
    """

    report: Report
    fate: Fate | None
    words: Explanation

    @property
    def is_worth_reading(self) -> bool:
        """Whether it is more than history: nothing later has taken its place."""
        return self.fate is not Fate.AGAIN and self.report.state is not State.SUPERSEDED


def listing(
    store: LedgerReader, config: Config, series: Series, chosen: set[Listed], now: datetime
) -> Iterator[Listing]:
    """The reports of a series that are not collected, by time; lazy.

    Args:
        store: the ledger.
        config: says where files are kept.
        series: of which.
        chosen: only what one of these asks for; all if there are none.
        now: the present moment.
    """
    states = LISTED
    if chosen:
        states = frozenset().union(*(_STATES[listed] for listed in chosen))
    given_up: Mapping[int | None, GivenUp] | None = None
    failures: tuple[Failure, ...] = ()
    for report in store.reports(series, states):
        fate = None
        if report.state in _NOTHING:
            if given_up is None:
                given_up = _given_up(store, series)
                failures = store.failures(series)
            fate = _fate(store, report, given_up.get(report.id))
        attempts = count(report.window, failures)
        kept = quarantined_file(config, report) if report.state is State.DISPUTED else ""
        yield Listing(report, fate, explain(report, fate or Fate.OWED, now, attempts, kept))


def fates(store: LedgerReader, series: Series) -> Counter[Fate]:
    """What became of the windows of those reports of a series that came to nothing."""
    given_up = _given_up(store, series)
    return Counter(
        _fate(store, report, given_up.get(report.id)) for report in store.reports(series, _NOTHING)
    )


def _given_up(store: LedgerReader, series: Series) -> Mapping[int | None, GivenUp]:
    return {one.report_id: one for one in store.given_up(series)}


def _fate(store: LedgerReader, report: Report, given_up: GivenUp | None) -> Fate:
    if given_up is not None:
        return Fate.WAIVED if given_up.acknowledged else Fate.GIVEN_UP
    return Fate.AGAIN if store.is_asked_again(report) else Fate.OWED
