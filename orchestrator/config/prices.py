"""Reads ``price_per_record``: one price for every product, or one for each."""

from decimal import Decimal
from types import MappingProxyType
from typing import Final

from orchestrator.config import amounts
from orchestrator.config.document import Findings, KeyPath
from orchestrator.config.messages import suggestion
from orchestrator.config.parsers import InvalidValue
from orchestrator.core.products import ALIASES, PRODUCTS, canonical_name
from orchestrator.core.settings import Prices

_KEY: Final = "price_per_record"
_DEFAULT: Final = "default"


def prices(findings: Findings, given: object, currency: str) -> Prices:
    """Reads ``price_per_record``: a decimal number, or a mapping of products to such numbers.

    Args:
        findings: takes the mistakes; what is wrong is left out.
        given: what stands there; None where nothing does.
        currency: as the config says; empty where it does not.
    """
    if given is None:
        return Prices(currency=currency)
    if not isinstance(given, dict):
        return Prices(_price(findings, (_KEY,), given), currency=currency)
    named: dict[str, Decimal] = {}
    default = None
    for key, value in given.items():
        where = (_KEY, key)
        amount = _price(findings, where, value)
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


def _price(findings: Findings, where: KeyPath, value: object) -> Decimal | None:
    try:
        return amounts.price(value)
    except InvalidValue as unfit:
        findings.unfit(where, unfit)
        return None
