"""What the config says: where the API is, how it may be asked, where files go. All frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from orchestrator.core import products, vonage
from orchestrator.core.hosts import is_on_this_machine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Secret:
    """Text that never shows: not in ``repr``, ``str``, a format, a log, a pickle or JSON."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and its secret, resolved and ready to use."""

    name: str
    api_key: str
    api_secret: Secret


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the API is, how fast each key may ask it, and how much one of its files holds.

    Attributes:
        file_records: the records that a file holds at most, about; see `vonage.FILE_RECORDS`.
        proxy: where the address of a forward proxy is to be found, as for a secret, since it may
            hold a password; ``none``: there is none; None: the environment says.
        authorities: certificates in PEM form that are trusted besides the machine's own.
    """

    base_url: str = vonage.BASE_URL
    requests_per_second: float = 5.0
    timeout: timedelta = timedelta(seconds=60)
    file_records: int = vonage.FILE_RECORDS
    proxy: Secret | None = None
    authorities: str = ""

    @property
    def is_on_this_machine(self) -> bool:
        """Whether it is a simulator, whose clock may run faster than ours."""
        return is_on_this_machine(self.base_url)


class Format(Enum):
    """The form in which files are published."""

    CSV = "csv"
    CSV_GZ = "csv.gz"
    ZIP = "zip"
    PARQUET = "parquet"


class Readers(Enum):
    """Who may read the collected files, which hold personal data."""

    PRIVATE = "private"
    GROUP = "group"

    @property
    def umask(self) -> int:
        """The rights that files and folders of a command do not get."""
        return 0o077 if self is Readers.PRIVATE else 0o027


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Where the collected files go, in which form, and who may read them."""

    directory: Path
    format: Format = Format.CSV
    mode: Readers = Readers.PRIVATE


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once: open reports per API key, downloads over all keys; and how much in all.

    Attributes:
        max_records: the most records that one run asks for, over all keys; None: no limit.
        max_records_day: the same in a day of UTC, over all runs.
        max_records_month: the same in a month.
        max_cost: the most that one run asks for in money, by the price of a record.
        max_cost_day: the same in a day.
        max_cost_month: the same in a month.
    """

    in_flight: int = 100
    downloads: int = 4
    max_records: int | None = None
    max_records_day: int | None = None
    max_records_month: int | None = None
    max_cost: Decimal | None = None
    max_cost_day: Decimal | None = None
    max_cost_month: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """What a record costs.

    Attributes:
        default: for products that `products` does not name; None: nobody said.
        products: by canonical name.
        currency: such as ``EUR``; empty if nobody said.
    """

    default: Decimal | None = None
    products: Mapping[str, Decimal] = field(default_factory=dict)
    currency: str = ""

    def of(self, product: str) -> Decimal | None:
        """The price of one record of a product; None if nobody said. What is free costs 0."""
        known = products.PRODUCTS.get(product)
        if known is not None and known.free:
            return Decimal(0)
        return self.products.get(product, self.default)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry of HTTP requests: exponential backoff with full jitter between the two waits."""

    attempts: int = 8
    wait_initial: timedelta = timedelta(seconds=1)
    wait_max: timedelta = timedelta(seconds=60)


class OnTimeout(Enum):
    """What becomes of a report that is not finished within `PollPolicy.timeout`."""

    KEEP = "keep"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """How often a report is looked at, and for how long in one run."""

    interval_initial: timedelta = timedelta(seconds=5)
    interval_max: timedelta = timedelta(seconds=60)
    timeout: timedelta = timedelta(hours=6)
    on_timeout: OnTimeout = OnTimeout.KEEP


class OnUnknown(Enum):
    """What becomes of a create of which nobody can say whether it happened."""

    HOLD = "hold"
    RESUBMIT = "resubmit"


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """Our own receiver of callbacks.

    Attributes:
        listen: ``HOST:PORT``, an IPv6 host in brackets; port 0: any that is free.
        public_url: how the API reaches it, without a slash at its end.
    """

    listen: str
    public_url: str

    @property
    def host_and_port(self) -> tuple[str, int]:
        """`listen` taken apart; the host without brackets."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class CredentialReference:
    """Where a key and its secret are to be found; nothing is looked up until it is used.

    Both texts are as in the config: ``${NAME}``, ``file:PATH`` (made absolute) or a literal.
    """

    name: str
    api_key: str
    api_secret: Secret


@dataclass(frozen=True, slots=True)
class Config:
    """The config file, defaults filled in, every path absolute.

    Attributes:
        path: the file; None where there is none and all is default.
    """

    path: Path | None
    credentials: Mapping[str, CredentialReference]
    output: OutputSettings
    state: Path
    api: ApiSettings = field(default_factory=ApiSettings)
    limits: Limits = field(default_factory=Limits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    poll: PollPolicy = field(default_factory=PollPolicy)
    on_unknown: OnUnknown = OnUnknown.HOLD
    callback: CallbackSettings | None = None
    prices: Prices = field(default_factory=Prices)
