"""Tells whether two series ask for the same records, which the API would bill twice. Pure."""

from typing import Final

from orchestrator.core.model import FieldValue, Series

COLUMNS_ONLY: Final = frozenset({"include_message", "show_concatenated"})
"""Fields that change what a record shows, not which records there are."""

CASELESS: Final = frozenset(
    {"product", "direction", "country", "status", "provider", "locale", "number_type", "channel"}
)
"""Fields whose values are words or codes: upper and lower case make no other value."""


def _narrowing(series: Series) -> frozenset[tuple[str, FieldValue]]:
    """The conditions that a record must meet to be in the series, account and product apart."""
    conditions = {
        (name, value.casefold() if name in CASELESS and isinstance(value, str) else value)
        for name, value in series.filters.items()
        if name not in COLUMNS_ONLY and name != "include_subaccounts"
    }
    if series.direction is not None:
        conditions.add(("direction", series.direction))
    return frozenset(conditions)


def covers(wide: Series, narrow: Series) -> bool:
    """Whether every record of `narrow` is surely one of `wide` too: same account and product."""
    return (
        wide.account_id == narrow.account_id
        and wide.product == narrow.product
        and (wide.includes_subaccounts or not narrow.includes_subaccounts)
        and _narrowing(wide) <= _narrowing(narrow)
    )


def differing(first: Series, second: Series) -> tuple[str, ...]:
    """The fields in which two series differ."""
    names = {*first.body, *second.body}
    return tuple(sorted(name for name in names if first.body.get(name) != second.body.get(name)))
