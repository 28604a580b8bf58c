"""Records of other accounts in files with subaccounts, of accounts that are collected as well."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from orchestrator.core.intervals import Window, coalesce, intersect
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from orchestrator.core.overlap import covers
from orchestrator.reporting.phrases import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.core.model import Job
    from orchestrator.core.ports import LedgerReader

_MOST: Final = 10


@dataclass(slots=True)
class SubaccountOverlap:
    """What one series' files hold of an account that another series collects.

    Attributes:
        series: with subaccounts.
        own: the account's own series.
        rows: the records of that account, in files of windows that overlap.
        files: how many such files.
        windows: the time that both hold.
    """

    series: Series
    own: Series
    rows: int
    files: int
    windows: tuple[Window, ...]

    def __str__(self) -> str:
        """A warning for people."""
        whole = Window(self.windows[0].start, self.windows[-1].end)
        return (
            f"{counted(self.files, 'file')} of {self.series} {_hold(self.files)} "
            f"{counted(self.rows, 'record')} of account {self.own.account_id}, which is collected "
            f"on its own too ({self.own}, {whole}): where both cover the same time, its records "
            "are paid twice and stand in two files"
        )


def _hold(files: int) -> str:
    return "holds" if files == 1 else "hold"


def doubles(store: LedgerReader, jobs: Iterable[Job]) -> Iterator[SubaccountOverlap]:
    """What is collected twice of the jobs' series, by account; without jobs, of all the ledger."""
    named = {entry.series.key for job in jobs for entry in job.series}
    by_account: dict[str, list[Series]] | None = None
    collected: dict[str, tuple[Window, ...]] = {}
    found: dict[tuple[str, str], SubaccountOverlap] = {}
    for one in store.foreign():
        if by_account is None:
            by_account = defaultdict(list)
            for series in store.all_series():
                by_account[series.account_id].append(series)
        for own in by_account.get(one.account_id, ()):
            if named and not {one.series.key, own.key} & named:
                continue
            if not _alike(one.series, own):
                continue
            if own.key not in collected:
                windows = (report.window for report in store.reports(own, (State.COLLECTED,)))
                collected[own.key] = tuple(coalesce(windows))
            shared = intersect((one.window,), collected[own.key])
            if not shared:
                continue
            double = found.setdefault(
                (one.series.key, own.key), SubaccountOverlap(one.series, own, 0, 0, ())
            )
            double.rows += one.rows
            double.files += 1
            double.windows = tuple(coalesce(sorted((*double.windows, *shared))))
    yield from found.values()


def warnings(store: LedgerReader, jobs: Iterable[Job]) -> list[str]:
    """The first few, in words, and how many more."""
    every = doubles(store, jobs)
    texts = [str(one) for one in islice(every, _MOST)]
    more = sum(1 for _ in every)
    return [*texts, f"and {more:,} more of this kind"] if more else texts


def _alike(wide: Series, own: Series) -> bool:
    """Whether a record can be in both, the accounts apart."""
    first, second = (
        Series.of(
            "",
            one.product,
            one.direction,
            {name: value for name, value in one.fields if name != "include_subaccounts"},
        )
        for one in (wide, own)
    )
    return covers(first, second) or covers(second, first)
