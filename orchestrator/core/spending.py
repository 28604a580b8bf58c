"""The limits on what is bought: records or money, in a run, a day and a month. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from orchestrator.core import products
from orchestrator.core.intervals import Window
from orchestrator.core.model import Series
from orchestrator.core.settings import Limits, Prices
from orchestrator.core.volume import History, hardly_more


class Period(Enum):
    """Over which time a bound holds. Days and months are those of UTC, by the API's clock."""

    RUN = "run"
    DAY = "day"
    MONTH = "month"

    def start(self, now: datetime) -> datetime:
        """When the period that holds `now` began; a run has begun by itself."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        match self:
            case Period.RUN:
                return now
            case Period.DAY:
                return midnight
            case Period.MONTH:
                return midnight.replace(day=1)

    @property
    def words(self) -> str:
        """For people."""
        return "in this run" if self is Period.RUN else f"this {self.value} (UTC)"


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that may be bought in a period."""

    key: str
    period: Period
    most: Decimal
    prices: Prices | None = None  # what a record costs; None: records are counted

    def each(self, product: str) -> Decimal:
        """What one record of a product counts. One without a price counts nothing."""
        if _is_free(product):
            return Decimal(0)
        if self.prices is None:
            return Decimal(1)
        return self.prices.of(product) or Decimal(0)

    def sum(self, records: Mapping[str, int]) -> Decimal:
        """What records of some products count, by product."""
        return sum((self.each(product) * number for product, number in records.items()), Decimal(0))

    @property
    def limit(self) -> str:
        """For people: the bound itself, as the config has it."""
        return f"{int(self.most):,}" if self.prices is None else self.amount(self.most)

    def amount(self, value: Decimal) -> str:
        """For people: ``1,234 records`` or ``12.50 EUR``."""
        if self.prices is None:
            return f"{int(value):,} records"
        return f"{value:,.2f} {self.prices.currency}".rstrip()


@dataclass(frozen=True, slots=True)
class Bought:
    """What earlier runs have asked for since a moment."""

    records: Mapping[str, int]  # by product, where their number is known
    uncounted: Sequence[tuple[Series, Window]] = ()  # reports whose records are not counted yet

    def at_most(self, history_of: Callable[[Series], History]) -> Counter[str]:
        """The records by product, with what the uncounted reports will hardly exceed."""
        records = Counter(self.records)
        for series, window in self.uncounted:
            records[series.product] += hardly_more(history_of(series), window)
        return records


def bounds(limits: Limits, prices: Prices) -> tuple[Bound, ...]:
    """The bounds that a config sets."""
    bounds_set = []
    for key, by_period, priced in (
        ("max_records", limits.max_records, None),
        ("max_cost", limits.max_cost, prices),
    ):
        for period, limit in zip(
            Period, (by_period.run, by_period.day, by_period.month), strict=True
        ):
            if limit is not None:
                name = f"limits.{key}" + ("" if period is Period.RUN else f".{period.value}")
                bounds_set.append(Bound(name, period, Decimal(limit), priced))
    return tuple(bounds_set)


def room(bound: Bound, product: str, spent: Decimal = Decimal(0)) -> int | None:
    """The records of a product that may still be bought; None: any number, for they are free."""
    each = bound.each(product)
    return None if not each else max(0, int((bound.most - spent) / each))


def least_room(several: Sequence[Bound], product: str) -> int | None:
    """The records of a product that one run may buy at most; None: any number."""
    rooms = (room(bound, product) for bound in several)
    return min((records for records in rooms if records is not None), default=None)


def _is_free(product: str) -> bool:
    entry = products.PRODUCTS.get(product)
    return entry is not None and entry.free
