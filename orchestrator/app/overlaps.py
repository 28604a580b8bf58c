"""Finds records that are bought twice: by another series of the same account, or of its parent.

Compares what the ledger holds; it buys and changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from orchestrator.core.debt import Debt
from orchestrator.core.intervals import Window, coalesce, intersect, subtract
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Job, JobSeries, Series
from orchestrator.core.overlap import covers
from orchestrator.core.ports import LedgerReader
from orchestrator.reporting.phrases import counted, windows_words

_SUBACCOUNTS: Final = "include_subaccounts"

_MAX_WARNINGS: Final = 10
"""Overlaps of subaccounts that are described one by one; the rest are counted."""


# --- what would be bought twice -------------------------------------------------------------------


class DoublePurchaseCheck:
    """Compares debts with what the ledger's other series hold.

    Two series are compared where they are of one product, and of one account or bought with one
    key, one of them with its subaccounts.

    Args:
        keys: API keys by name of credentials.
    """

    def __init__(self, reader: LedgerReader, keys: dict[str, str]) -> None:
        self._reader = reader
        self._keys = keys
        self._key_of: dict[str, str] = {}  # by series of the ledger
        self._of_account: dict[tuple[str, str], list[Series]] = defaultdict(list)
        self._of_product: dict[str, list[Series]] = defaultdict(list)
        self._with_subaccounts: dict[str, list[Series]] = defaultdict(list)
        for series in reader.all_series():
            self._of_account[(series.account_id, series.product)].append(series)
            self._of_product[series.product].append(series)
            if series.includes_subaccounts:
                self._with_subaccounts[series.product].append(series)

    def warnings(self, debt: Debt) -> Iterator[str]:
        """A warning for each other series that holds a part of what is owed."""
        if not debt.owed:
            return
        series = debt.entry.series
        for other in self._related(series, self._keys[debt.entry.credentials]):
            shared = intersect(debt.owed, self._bought(other))
            if shared:
                yield (
                    f"{series} has records of {other}, of which "
                    f"{windows_words(shared, debt.job.zone)} is held already; they would be paid "
                    "twice: ask for one of the two only"
                )

    def has_related(self, entry: JobSeries) -> bool:
        """Whether the ledger knows another series that may hold records of this one."""
        return any(self._related(entry.series, self._keys[entry.credentials]))

    def _related(self, series: Series, key: str) -> Iterator[Series]:
        for other in self._of_account[(series.account_id, series.product)]:
            if other.key != series.key and (covers(other, series) or covers(series, other)):
                yield other
        beside: Iterable[Series] = self._with_subaccounts[series.product]
        if series.includes_subaccounts:
            beside = self._of_product[series.product]
        for other in beside:
            if (
                other.account_id != series.account_id
                and self._bought_with(other) == key
                and _alike(series, other)
            ):
                yield other

    def _bought_with(self, series: Series) -> str:
        """The API key of the first report of a series; empty if there is none."""
        key = self._key_of.get(series.key)
        if key is None:
            first = next(self._reader.reports(series), None)
            key = self._key_of[series.key] = "" if first is None else first.api_key
        return key

    def _bought(self, series: Series) -> tuple[Window, ...]:
        given_up = [gap.window for gap in self._reader.given_up(series)]
        return subtract(self._reader.had(series), given_up)


# --- what was bought twice ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
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
        hold = "holds" if self.files == 1 else "hold"
        return (
            f"{counted(self.files, 'file')} of {self.series} {hold} "
            f"{counted(self.rows, 'record')} of account {self.own.account_id}, which is collected "
            f"on its own too ({self.own}, {whole}): where both cover the same time, its records "
            "are paid twice and stand in two files"
        )


def subaccount_overlaps(reader: LedgerReader, jobs: Iterable[Job]) -> Iterator[SubaccountOverlap]:
    """What is collected twice of the jobs' series, by account; without jobs, of all of them."""
    named = {entry.series.key for job in jobs for entry in job.series}
    by_account: dict[str, list[Series]] | None = None
    collected: dict[str, tuple[Window, ...]] = {}
    overlaps: dict[tuple[str, str], SubaccountOverlap] = {}
    for records in reader.foreign_rows():
        if by_account is None:
            by_account = defaultdict(list)
            for series in reader.all_series():
                by_account[series.account_id].append(series)
        for own in by_account.get(records.account_id, ()):
            if named and not {records.series.key, own.key} & named:
                continue
            if not _alike(records.series, own):
                continue
            if own.key not in collected:
                windows = (report.window for report in reader.reports(own, (State.COLLECTED,)))
                collected[own.key] = tuple(coalesce(windows))
            shared = intersect((records.window,), collected[own.key])
            if not shared:
                continue
            key = (records.series.key, own.key)
            known = overlaps.get(key) or SubaccountOverlap(records.series, own, 0, 0, ())
            overlaps[key] = replace(
                known,
                rows=known.rows + records.rows,
                files=known.files + 1,
                windows=tuple(coalesce(sorted((*known.windows, *shared)))),
            )
    yield from overlaps.values()


def subaccount_warnings(reader: LedgerReader, jobs: Iterable[Job]) -> list[str]:
    """The first few overlaps as sentences, and the number of the others."""
    overlaps = subaccount_overlaps(reader, jobs)
    texts = [str(overlap) for overlap in islice(overlaps, _MAX_WARNINGS)]
    more = sum(1 for _ in overlaps)
    return [*texts, f"and {more:,} more of this kind"] if more else texts


def _alike(series: Series, other: Series) -> bool:
    """Whether one filter covers the other, whatever the accounts."""
    first, second = _without_account(series), _without_account(other)
    return covers(first, second) or covers(second, first)


def _without_account(series: Series) -> Series:
    fields = tuple((name, value) for name, value in series.fields if name != _SUBACCOUNTS)
    return replace(series, account_id="", fields=fields)
