"""Records and what they cost, in words and in JSON; decimal throughout, never binary fractions."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from orchestrator.core.model import Series
from orchestrator.core.settings import Prices
from orchestrator.reporting.phrases import counted

UNKNOWN: Final = "unknown"
_SMALL: Final = Decimal(1)


@dataclass(slots=True)
class Cost:
    """What some series' records cost together."""

    prices: Prices  # as the config says
    records: int = 0  # of the series of which something is known
    unknown: int = 0  # series whose number of records is unknown
    money: Decimal = field(default_factory=Decimal)  # of the records whose price is known
    unpriced: int = 0  # records whose price is not known

    def add(self, product: str, records: int | None) -> None:
        """Adds the records of a series of that product; None: their number is not known."""
        if records is None:
            self.unknown += 1
            return
        self.records += records
        price = self.prices.of(product)
        if price is None:
            self.unpriced += records
        else:
            self.money += price * records

    @property
    def is_priced(self) -> bool:
        """Whether the config names any price at all."""
        return self.prices.default is not None or bool(self.prices.products)

    def words(self) -> str:
        """For people: ``about 1,234 records, 0.0617 EUR``."""
        text = f"about {counted(self.records, 'record')}"
        if self.is_priced:
            text += f", {money_words(self.money, self.prices.currency)}"
            if self.unpriced:
                text += f" ({self.unpriced:,} of them without a price)"
        return text

    @property
    def money_text(self) -> str | None:
        """For programs: text, so that no reader rounds it; None where no price is known."""
        return f"{self.money:f}" if self.is_priced else None

    def fields(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "expected_records": self.records,
            "unknown_series": self.unknown,
            "expected_price": self.money_text,
            "currency": self.prices.currency or None,
        }


def price(prices: Prices, series: Series, records: int | None) -> Decimal | None:
    """What the records of a series cost; None where their number or price is not known."""
    each = prices.of(series.product)
    return None if each is None or records is None else each * records


def money_words(amount: Decimal, currency: str) -> str:
    """For people: two decimals, and six where it is less than one."""
    text = f"{amount:,.2f}" if amount >= _SMALL or not amount else f"{amount:.6f}".rstrip("0")
    return f"{text} {currency}".rstrip()
