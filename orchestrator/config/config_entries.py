"""The schema of the config file. The defaults stand in `core.model`, once, with their units."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import PlainValidator

from orchestrator.config import amounts, parsers
from orchestrator.config.messages import one_of, shown, suggestion
from orchestrator.config.parsers import InvalidValue
from orchestrator.config.proxy_address import KEY, NO_PROXY, parse_proxy
from orchestrator.config.sections import Entry
from orchestrator.core.settings import (
    ApiSettings,
    Format,
    Limits,
    OnTimeout,
    OnUnknown,
    OutputSettings,
    PollPolicy,
    Prices,
    Readers,
    RetryPolicy,
)

MILLISECOND: Final = timedelta(milliseconds=1)
MAX_RATE: Final = 100_000.0
MAX_IN_FLIGHT: Final = 100_000
MAX_DOWNLOADS: Final = 64
MAX_ATTEMPTS: Final = 100
MAX_API_TIMEOUT: Final = timedelta(hours=1)
MAX_WAIT: Final = timedelta(hours=1)
MAX_INTERVAL: Final = timedelta(days=1)
MAX_POLL_TIMEOUT: Final = timedelta(days=30)

LATER: Final[frozenset[Enum]] = frozenset({Format.PARQUET})
"""Choices that have a name already and are not built yet."""

W = TypeVar("W", bound=Enum)


def choices(words: type[W]) -> list[str]:
    """The words that a setting takes today."""
    return [word.value for word in words if word not in LATER]


def _word(words: type[W]) -> PlainValidator:
    def convert(value: object) -> W:
        word = parsers.text(value)
        known = choices(words)
        for candidate in words:
            if candidate.value == word:
                if candidate in LATER:
                    raise InvalidValue(f"{word} is not built yet", f"write {one_of(known)}")
                return candidate
        raise InvalidValue(
            f"{shown(word)} is none of the choices", suggestion(word, known, _list(known))
        )

    return PlainValidator(convert)


def _list(known: list[str]) -> str:
    return f"write {one_of(known)}"


def _rate(value: object) -> float:
    return parsers.positive_number(value, MAX_RATE)


def _within(least: timedelta, most: timedelta) -> PlainValidator:
    return PlainValidator(lambda value: parsers.duration(value, least, most))


def _count(most: int) -> PlainValidator:
    return PlainValidator(lambda value: parsers.whole_number(value, 1, most))


def _place(value: object) -> str:
    word = parsers.text(value)
    if "$" in word:
        what = f"{shown(word)} holds a variable, which only credentials may"
        raise InvalidValue(what, "write the path out; relative ones begin at this file")
    return word


def _reference(value: object) -> str:
    """A reference to a secret, or the secret itself: whatever is wrong with it, it is not shown."""
    try:
        word = parsers.text(value)
    except InvalidValue:
        if not isinstance(value, str) or not value:
            raise
        what = "holds a line break, an invisible character, or more than 1000 characters"
        raise InvalidValue(what, "keep the bare text alone, on one line, in quotes") from None
    if word.startswith("file:") and not word.removeprefix("file:").strip():
        raise InvalidValue("file: names no file", "write file:PATH")
    if "${" in word and parsers.variable(word) is None:
        # The text may hold a part of the secret, so it is not shown.
        raise InvalidValue("mixes a variable with other text", "write ${NAME} and nothing else")
    return word


def _key(value: object) -> str:
    word = _reference(value)
    if is_literal(word) and not API_KEY.fullmatch(word):
        what = "is not an API key (8 letters or digits)"
        raise InvalidValue(what, "copy it from the dashboard; the secret belongs under api_secret")
    return word


def _proxy(value: object) -> str:
    """As `_reference`, but what stands here as text is the address of a proxy, or ``none``."""
    word = _reference(value)
    if is_literal(word) and word != NO_PROXY:
        parse_proxy(word, KEY)
    return word


def is_literal(reference: str) -> bool:
    """Whether it is the text itself, no variable and no file."""
    return parsers.variable(reference) is None and not reference.startswith("file:")


API_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,12}")
"""The vendor's keys have 8 letters or digits, its secrets 16 and more."""


def _max_records(value: object) -> amounts.ByPeriod[int]:
    return amounts.by_period(value, amounts.records)


def _max_cost(value: object) -> amounts.ByPeriod[Decimal]:
    return amounts.by_period(value, amounts.money)


PathText = Annotated[str, PlainValidator(_place)]
MaxRecords = Annotated[amounts.ByPeriod[int], PlainValidator(_max_records)]
MaxCost = Annotated[amounts.ByPeriod[Decimal], PlainValidator(_max_cost)]
Reference = Annotated[str, PlainValidator(_reference)]
KeyReference = Annotated[str, PlainValidator(_key)]
ProxyReference = Annotated[str, PlainValidator(_proxy)]


class ApiEntry(Entry):
    """``api``."""

    base_url: Annotated[str, PlainValidator(parsers.base_url)] = ApiSettings().base_url
    requests_per_second: Annotated[float, PlainValidator(_rate)] = ApiSettings().requests_per_second
    timeout: Annotated[timedelta, _within(MILLISECOND, MAX_API_TIMEOUT)] = ApiSettings().timeout
    file_records: Annotated[int, PlainValidator(amounts.records)] = ApiSettings().file_records
    proxy: ProxyReference | None = None
    ca_file: PathText | None = None


class OutputEntry(Entry):
    """``output``."""

    directory: PathText = "reports"
    format: Annotated[Format, _word(Format)] = OutputSettings(Path()).format
    mode: Annotated[Readers, _word(Readers)] = OutputSettings(Path()).mode


class LimitsEntry(Entry):
    """``limits``."""

    in_flight: Annotated[int, _count(MAX_IN_FLIGHT)] = Limits().in_flight
    downloads: Annotated[int, _count(MAX_DOWNLOADS)] = Limits().downloads
    max_records: Annotated[amounts.ByPeriod[int], PlainValidator(_max_records)] = amounts.ByPeriod()
    max_cost: Annotated[amounts.ByPeriod[Decimal], PlainValidator(_max_cost)] = amounts.ByPeriod()


class RetryEntry(Entry):
    """``retry``."""

    attempts: Annotated[int, _count(MAX_ATTEMPTS)] = RetryPolicy().attempts
    wait_initial: Annotated[timedelta, _within(MILLISECOND, MAX_WAIT)] = RetryPolicy().wait_initial
    wait_max: Annotated[timedelta, _within(MILLISECOND, MAX_WAIT)] = RetryPolicy().wait_max


class PollEntry(Entry):
    """``poll``."""

    interval_initial: Annotated[timedelta, _within(MILLISECOND, MAX_INTERVAL)] = (
        PollPolicy().interval_initial
    )
    interval_max: Annotated[timedelta, _within(MILLISECOND, MAX_INTERVAL)] = (
        PollPolicy().interval_max
    )
    timeout: Annotated[timedelta, _within(MILLISECOND, MAX_POLL_TIMEOUT)] = PollPolicy().timeout
    on_timeout: Annotated[OnTimeout, _word(OnTimeout)] = PollPolicy().on_timeout


class CallbackEntry(Entry):
    """``callback``: our own receiver."""

    listen: Annotated[str, PlainValidator(parsers.listen_address)]
    public_url: Annotated[str, PlainValidator(parsers.public_url)]


class CredentialsEntry(Entry):
    """One name under ``credentials``."""

    api_key: KeyReference
    api_secret: Reference


class ConfigHead(Entry):
    """The top of a config file; its sections are read each on its own."""

    api: Any = None
    credentials: Any = None
    output: Any = None
    state: PathText = "state/ledger.db"
    limits: Any = None
    retry: Any = None
    poll: Any = None
    on_unknown: Annotated[OnUnknown, _word(OnUnknown)] = OnUnknown.HOLD
    callback: Any = None
    price_per_record: Any = None
    currency: Annotated[str, PlainValidator(amounts.currency)] = Prices().currency
