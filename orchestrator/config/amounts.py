"""Reads numbers of records, and prices of records, from the text of a file, as `parsers` does."""

import re
from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeVar

from orchestrator.config.document import Findings
from orchestrator.config.messages import shown, suggestion
from orchestrator.config.parsers import InvalidValue, mismatch, text
from orchestrator.core.keys import ByPeriod
from orchestrator.core.products import ALIASES, PRODUCTS, canonical_name
from orchestrator.core.settings import Prices

T = TypeVar("T")

MAX_RECORDS: Final = 10**12
MAX_PRICE: Final = Decimal(1000)

PERIODS: Final = ("run", "day", "month")
_KEY: Final = "price_per_record"
_DEFAULT: Final = "default"
_PERIODS: Final = "write run, day or month"
_FORMS: Final = "5 million, 500k or 5000000"
_UNITS: Final = {"": 1, "k": 10**3, "thousand": 10**3, "m": 10**6, "million": 10**6}
_COUNT: Final = re.compile(r"([0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]{1,15})(\.[0-9]{1,9})? *([A-Za-z]*)")
_PRICE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,12})?|\.[0-9]{1,12}")


def records(value: object) -> int:
    """A number of records: ``5 million``, ``2.5 million``, ``500k``, ``5000000``."""
    word = text(value).strip()
    found = _COUNT.fullmatch(word)
    factor = _UNITS.get(found[3].lower()) if found else None
    if found is None or factor is None:
        raise mismatch(word, "a number of records", f"write it as {_FORMS}")
    digits = found[1].replace(",", "").replace("_", "")
    number = Decimal(digits + (found[2] or "")) * factor
    if number != int(number):
        raise mismatch(word, "a whole number of records", f"write it as {_FORMS}")
    if not 1 <= number <= MAX_RECORDS:
        raise InvalidValue(
            f"{int(number):,} records are out of bounds",
            f"write a number of records from 1 to {MAX_RECORDS}",
        )
    return int(number)


def money(value: object) -> Decimal:
    """An amount of money: a decimal number above 0."""
    word = text(value).strip()
    if not _PRICE.fullmatch(word) or not Decimal(word):
        raise mismatch(word, "an amount of money", "write a number such as 250 or 9.5")
    return Decimal(word)


def by_period(value: object, read: Callable[[object], T]) -> ByPeriod[T]:
    """A bound of a run, or ``{run: …, day: …, month: …}``, each of which may be left out."""
    if not isinstance(value, dict):
        return ByPeriod(read(value))
    if not value:
        raise InvalidValue(
            "bounds nothing", "write {run: …, day: …, month: …}, or one number for a run"
        )
    for key in value:
        if key not in PERIODS:
            raise InvalidValue(
                f"{shown(str(key))} is no period", suggestion(str(key), PERIODS, _PERIODS)
            )
    return ByPeriod(**{key: read(amount) for key, amount in value.items()})


def price(value: object) -> Decimal:
    """What one record costs: a decimal number, 0 included."""
    word = text(value).strip()
    if not _PRICE.fullmatch(word):
        raise mismatch(word, "a price", "write a decimal number such as 0.00005")
    number = Decimal(word)
    if number > MAX_PRICE:
        raise InvalidValue(
            f"{word} is out of bounds", f"write the price of one record, below {MAX_PRICE}"
        )
    return number


def currency(value: object) -> str:
    """A currency's three letters, as in ISO 4217."""
    word = text(value).strip()
    if not re.fullmatch(r"[A-Za-z]{3}", word):
        raise mismatch(word, "a currency", "write its three letters, such as EUR")
    return word.upper()


def prices(findings: Findings, given: object, currency: str) -> Prices:
    """Reads ``price_per_record``: a decimal number, or a mapping of products to such numbers.

    Args:
        given: what stands there; None where nothing does.
        currency: as the config says; empty where it does not.
    """
    if given is None:
        return Prices(currency=currency)
    if not isinstance(given, dict):
        return Prices(findings.read((_KEY,), price, given), currency=currency)
    named: dict[str, Decimal] = {}
    default = None
    for key, value in given.items():
        where = (_KEY, key)
        amount = findings.read(where, price, value)
        if key == _DEFAULT:
            default = amount
            continue
        product = canonical_name(key)
        if product not in PRODUCTS:
            known = [_DEFAULT, *sorted(PRODUCTS), *ALIASES]
            remedy = suggestion(key, known, "write default, or a product as the job files name it")
            findings.warning(where, f"{key} is no product known here", remedy)
        if product in named:
            findings.mistake(where, f"{product} has a price already", "remove one", at_key=True)
        elif amount is not None:
            named[product] = amount
    return Prices(default, MappingProxyType(named), currency)
