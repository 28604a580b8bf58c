"""Reads numbers of records, and prices of records, from the text of a file."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

from orchestrator.config.messages import shown, suggestion
from orchestrator.config.parsers import InvalidValue, text
from orchestrator.core.keys import ByPeriod

T = TypeVar("T")

MAX_RECORDS: Final = 10**12
MAX_PRICE: Final = Decimal(1000)

PERIODS: Final = ("run", "day", "month")
_PERIODS: Final = "write run, day or month"
_FORMS: Final = "5 million, 500k or 5000000"
_UNITS: Final = {"": 1, "k": 10**3, "thousand": 10**3, "m": 10**6, "million": 10**6}
_COUNT: Final = re.compile(r"([0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]{1,15})(\.[0-9]{1,9})? *([A-Za-z]*)")
_PRICE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,12})?|\.[0-9]{1,12}")


def records(value: object) -> int:
    """A number of records: ``5 million``, ``2.5 million``, ``500k``, ``5000000``.

    Raises:
        Unfit: it is none, not a whole one, or out of bounds.
    """
    word = text(value).strip()
    found = _COUNT.fullmatch(word)
    factor = _UNITS.get(found[3].lower()) if found else None
    if found is None or factor is None:
        raise InvalidValue(f"{shown(word)} is not a number of records", f"write it as {_FORMS}")
    digits = found[1].replace(",", "").replace("_", "")
    number = Decimal(digits + (found[2] or "")) * factor
    if number != int(number):
        raise InvalidValue(
            f"{shown(word)} is not a whole number of records", f"write it as {_FORMS}"
        )
    if not 1 <= number <= MAX_RECORDS:
        raise InvalidValue(
            f"{int(number):,} records are out of bounds",
            f"write a number of records from 1 to {MAX_RECORDS}",
        )
    return int(number)


def money(value: object) -> Decimal:
    """An amount of money: a decimal number above 0.

    Raises:
        Unfit: it is none, or out of bounds.
    """
    word = text(value).strip()
    if not _PRICE.fullmatch(word) or not Decimal(word):
        raise InvalidValue(
            f"{shown(word)} is not an amount of money", "write a number such as 250 or 9.5"
        )
    return Decimal(word)


def by_period(value: object, read: Callable[[object], T]) -> ByPeriod[T]:
    """A bound of a run, or ``{run: …, day: …, month: …}``, each of which may be left out.

    Raises:
        Unfit: it is neither.
    """
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
    return ByPeriod(**{key: read(one) for key, one in value.items()})


def price(value: object) -> Decimal:
    """What one record costs: a decimal number, 0 included.

    Raises:
        Unfit: it is none, or more than any record costs.
    """
    word = text(value).strip()
    if not _PRICE.fullmatch(word):
        raise InvalidValue(
            f"{shown(word)} is not a price", "write a decimal number such as 0.00005"
        )
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
        raise InvalidValue(
            f"{shown(word)} is not a currency", "write its three letters, such as EUR"
        )
    return word.upper()
