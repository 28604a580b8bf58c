"""Debts whose records another series of the ledger has bought: they would be paid twice."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orchestrator.app.plan import keys_of, lines
from orchestrator.core.intervals import Window, intersect, subtract
from orchestrator.core.overlap import covers
from orchestrator.reporting.phrases import windows_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from orchestrator.config import Inputs
    from orchestrator.core.debt import Debt
    from orchestrator.core.model import JobSeries, Series
    from orchestrator.core.ports import LedgerReader

_SUBACCOUNTS: Final = "include_subaccounts"


class DoublePurchaseCheck:
    """Compares debts with what the ledger's other series hold.

    Two series are compared where they are of one product, and of one account or bought with one
    key, one of them with its subaccounts.

    Args:
        store: the ledger.
        keys: API keys by name of credentials.
    """

    def __init__(self, store: LedgerReader, keys: dict[str, str]) -> None:
        self._store = store
        self._keys = keys
        self._of_account: dict[tuple[str, str], list[Series]] = defaultdict(list)
        self._of_product: dict[str, list[Series]] = defaultdict(list)
        self._with_subaccounts: dict[str, list[Series]] = defaultdict(list)
        for series in store.all_series():
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
            held = intersect(debt.owed, self._bought(other))
            if held:
                yield (
                    f"{series} has records of {other}, of which "
                    f"{windows_words(held, debt.job.zone)} is held already; they would be paid "
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
            if other.account_id != series.account_id and _alike(series, other):
                first = next(self._store.reports(other), None)
                if first is not None and first.api_key == key:
                    yield other

    def _bought(self, series: Series) -> tuple[Window, ...]:
        given_up = [one.window for one in self._store.given_up(series)]
        return subtract(self._store.had(series), given_up)


def overlap_warnings(inputs: Inputs, store: LedgerReader, now: datetime) -> Iterator[str]:
    """A warning for each series of the jobs whose debt another series of the ledger holds."""
    twice = DoublePurchaseCheck(store, keys_of(inputs))
    entries = (entry for job in inputs.jobs for entry in job.series)
    if not any(twice.has_related(entry) for entry in entries):
        return  # as it should be; what is owed need not be reckoned up for this
    for line in lines(store, inputs.jobs, now):
        yield from twice.warnings(line.debt)


def _alike(one: Series, other: Series) -> bool:
    """Whether one filter covers the other, whatever the accounts."""
    first, second = _without_account(one), _without_account(other)
    return covers(first, second) or covers(second, first)


def _without_account(series: Series) -> Series:
    fields = tuple((name, value) for name, value in series.fields if name != _SUBACCOUNTS)
    return replace(series, account_id="", fields=fields)
