"""Reads and checks request bodies, as strictly as the API does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from orchestrator.core.products import (
    ALIASES,
    BOOLEAN_FIELDS,
    COMMON_FIELDS,
    DIRECTIONS,
    PRODUCTS,
    DirectionRule,
)
from orchestrator.simulator import problems
from orchestrator.simulator.dates import first_second, months_later, parse_moment
from orchestrator.simulator.records.source import Query
from orchestrator.simulator.settings import Settings

RANGE_MONTHS: Final = 13  # The longest window of one report, in calendar months of UTC.
_DEFAULT_SPAN: Final = timedelta(days=7)  # The window of a body without `date_start`.
_ACCOUNT_LENGTH: Final = 8  # Characters.


@dataclass(frozen=True, slots=True)
class Request:
    """A valid request body."""

    account_id: str
    product: str
    direction: str | None
    filters: tuple[tuple[str, str], ...]
    flags: Mapping[str, bool]
    start: datetime
    end: datetime
    callback_url: str | None
    # the fields that report objects repeat: what was sent, and the defaults
    echo: Mapping[str, str | bool]

    @property
    def directions(self) -> tuple[str, ...]:
        """Whose records are meant: ``("",)`` for products without directions."""
        entry = PRODUCTS.get(self.product)
        if self.direction is not None:
            return (self.direction,)
        return DIRECTIONS if entry and entry.direction is DirectionRule.OPTIONAL else ("",)

    def query(self, settings: Settings) -> Query:
        """The records it asks for, arrived or not, retained or not."""
        whole_family = self.flags.get("include_subaccounts", False)
        return Query(
            accounts=settings.family(self.account_id) if whole_family else (self.account_id,),
            product=self.product,
            directions=self.directions,
            filters=self.filters,
            start=first_second(self.start),
            end=first_second(self.end),
            include_message=self.flags.get("include_message", False),
            show_concatenated=self.flags.get("show_concatenated", False),
        )


def read_json(payload: bytes) -> dict[str, Any]:
    """A request body as an object.

    Raises:
        Refused: 400.
    """
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        raise problems.malformed_json() from None
    if not isinstance(body, dict):
        raise problems.malformed_json()
    return body


def read_request(body: Mapping[str, Any], now: datetime, extra: frozenset[str]) -> Request:
    """A request body, checked as a whole.

    Args:
        now: the world's moment, for the default dates.
        extra: products that this world takes beyond the table.

    Raises:
        Refused: 422, with every parameter that is wrong.
    """
    reading = _Reading(body)
    account_id = reading.account()
    product = reading.product(extra)
    direction = reading.direction(product)
    filters, flags = reading.fields(product, direction)
    start = reading.moment("date_start", now - _DEFAULT_SPAN)
    end = reading.moment("date_end", now)
    if not {"date_start", "date_end"} & reading.wrong_names:
        if end <= start:
            reading.refuse("date_end", "Must be later than date_start")
        elif end > months_later(start, RANGE_MONTHS):
            reading.refuse(
                "date_end", f"The date range must not be longer than {RANGE_MONTHS} months"
            )
    callback_url = reading.callback()
    if reading.wrong:
        raise problems.unprocessable(reading.wrong)
    entry = PRODUCTS.get(product)
    flags = {**(entry.defaults(direction) if entry else {}), **flags}
    echo: dict[str, str | bool] = {"product": product, "account_id": account_id}
    if direction is not None:
        echo = {"direction": direction, **echo}
    return Request(
        account_id, product, direction, tuple(sorted(filters.items())), flags,
        start, end, callback_url, {**echo, **flags, **filters},
    )  # fmt: skip


class _Reading:
    """Reads one body and collects its mistakes."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self.wrong: list[tuple[str, str]] = []

    @property
    def wrong_names(self) -> set[str]:
        return {name for name, _ in self.wrong}

    def refuse(self, name: str, reason: str) -> None:
        self.wrong.append((name, reason))

    def _text(self, name: str) -> str | None:
        """The field as text; None where it is missing, null or wrong."""
        given = self._body.get(name)
        if given is None or isinstance(given, str):
            return given
        self.refuse(name, "Must be a string")
        return None

    def account(self) -> str:
        account_id = self._text("account_id")
        if account_id is None:
            if "account_id" not in self.wrong_names:
                self.refuse("account_id", "Missing required parameter")
            return ""
        if len(account_id) != _ACCOUNT_LENGTH:
            self.refuse("account_id", "Must have 8 characters")
        return account_id

    def product(self, extra: frozenset[str]) -> str:
        given = self._text("product")
        name = ALIASES.get(given or "", given or "")
        if given is None:
            if "product" not in self.wrong_names:
                self.refuse("product", "Missing required parameter")
        elif name not in PRODUCTS and name not in extra:
            self.refuse(
                "product",
                "Could not resolve product name. Please use one of the following values"
                f" [{', '.join(sorted(PRODUCTS))}]",
            )
        return name

    def direction(self, product: str) -> str | None:
        given = self._text("direction")
        entry = PRODUCTS.get(product)
        if given is not None and given not in DIRECTIONS:
            self.refuse("direction", "Must be one of [inbound, outbound]")
        elif entry and entry.direction is DirectionRule.INVALID and given is not None:
            self.refuse("direction", f"Not supported for product {product}")
        elif entry and entry.direction is DirectionRule.REQUIRED and given is None:
            self.refuse("direction", "Missing required parameter")
        return given

    def fields(self, product: str, direction: str | None) -> tuple[dict[str, str], dict[str, bool]]:
        entry = PRODUCTS.get(product)
        filters: dict[str, str] = {}
        flags: dict[str, bool] = {}
        own = {"account_id", "product", "direction", "date_start", "date_end", "callback_url"}
        for name, given in self._body.items():
            if name in own or given is None:
                continue
            if entry and not entry.accepts(name):
                self.refuse(name, f"Not supported for product {product}")
            elif entry and name in entry.outbound_only and direction != "outbound":
                self.refuse(name, "Only supported with direction outbound")
            elif name in BOOLEAN_FIELDS:
                flags[name] = self._flag(name, given)
            elif isinstance(given, str):
                filters[name] = given
            else:
                self.refuse(name, "Must be a string")
        for name in entry.required if entry else ():
            if not filters.get(name):
                self.refuse(name, "Missing required parameter")
        if not entry:
            flags = {**dict.fromkeys(COMMON_FIELDS, False), **flags}
        return filters, flags

    def _flag(self, name: str, given: Any) -> bool:
        if given not in (True, False, "true", "false") or (
            given in (0, 1) and given is not bool(given)
        ):
            self.refuse(name, "Must be true or false")
        return given in (True, "true")

    def moment(self, name: str, default: datetime) -> datetime:
        given = self._text(name)
        if given is None:
            return default.replace(microsecond=0)
        try:
            return parse_moment(given)
        except ValueError as error:
            self.refuse(name, str(error))
            return default

    def callback(self) -> str | None:
        given = self._text("callback_url")
        if given is not None and not given.startswith(("http://", "https://")):
            self.refuse("callback_url", "Must be an HTTP or HTTPS URL")
        return given
