"""What the config says: where the API is, how it may be asked, where files go. All frozen.

A field that is annotated with a `Key` is a key of the config file: this is where it is declared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Final, Self

from orchestrator.core import products, vonage
from orchestrator.core.file_columns import ColumnChanges
from orchestrator.core.hosts import is_on_this_machine
from orchestrator.core.keys import ByPeriod, Form, Key

_MILLISECOND: Final = timedelta(milliseconds=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


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
    """Where the API is, how fast each key may ask it, and how much one of its files holds."""

    base_url: Annotated[str, Key("https, or http on this machine.", Form.BASE_URL)] = (
        vonage.BASE_URL
    )
    requests_per_second: Annotated[float, Key("The API allows 5 to each key.", most=100_000)] = (
        vonage.REQUESTS_PER_SECOND
    )
    timeout: Annotated[
        timedelta, Key("For one request as a whole.", least=_MILLISECOND, most=_HOUR)
    ] = timedelta(seconds=60)
    file_records: Annotated[
        int, Key("The most records that one of its files holds, about.", Form.RECORDS)
    ] = vonage.FILE_RECORDS
    # where the address of a forward proxy is to be found, as for a secret, since it may hold a
    # password; ``none``: there is none; None: the environment says
    proxy: Annotated[
        Secret | None,
        Key("A forward proxy, http://HOST:PORT or none. Default: the environment's.", Form.PROXY),
    ] = None
    authorities: Annotated[
        str,
        Key(
            "Authorities in PEM form that are trusted too, relative to this file.",
            Form.CERTIFICATES,
            name="ca_file",
        ),
    ] = ""

    @property
    def is_on_this_machine(self) -> bool:
        """Whether it is a simulator, whose clock may run faster than ours."""
        return is_on_this_machine(self.base_url)


class Format(Enum):
    """The form in which files are published: `collect.formats` has a module of each name."""

    CSV = "csv"
    CSV_GZ = "csv.gz"
    CSV_ZST = "csv.zst"
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


def plain_name(column: str) -> str:
    """The name of a column as rules compare it: without case, and without space around it."""
    return column.strip().casefold()


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """What becomes of the columns of collected files, which hold personal data."""

    drop: frozenset[str] = frozenset()
    hash: frozenset[str] = frozenset()  # columns whose values are replaced by their HMAC-SHA-256

    def __bool__(self) -> bool:
        """Whether any column is changed."""
        return bool(self.drop or self.hash)

    def without(self, done: ColumnChanges | None) -> Self:
        """The rules that are left for a file to which some have been applied already."""
        gone = set(map(plain_name, () if done is None else done.by_rule))
        return replace(
            self,
            drop=frozenset(name for name in self.drop if plain_name(name) not in gone),
            hash=frozenset(name for name in self.hash if plain_name(name) not in gone),
        )


@dataclass(frozen=True, slots=True)
class ColumnSettings:
    """The rules for the columns of each product."""

    # for products that `products` does not name
    default: ColumnRules = field(default_factory=ColumnRules)
    products: Mapping[str, ColumnRules] = field(default_factory=dict)

    def of(self, product: str) -> ColumnRules:
        """The rules for one product."""
        return self.products.get(product, self.default)

    @property
    def all(self) -> tuple[ColumnRules, ...]:
        """Every set of rules there is."""
        return (self.default, *self.products.values())


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Where the collected files go, in which form, and who may read them."""

    # of the files and of the work area; of the work area alone where there is a `url`
    directory: Annotated[
        Path,
        Key(
            "Relative to this file; or s3://BUCKET/PREFIX, gs:// or az://.",
            Form.PATH_OR_STORE,
            written="reports",
        ),
    ]
    format: Annotated[Format, Key("The form of the files.")] = Format.CSV
    mode: Annotated[Readers, Key("Who may read the files.")] = Readers.PRIVATE
    columns: Annotated[
        ColumnSettings,
        Key("Columns that are left out, or hashed; for all products or by product.", Form.COLUMNS),
    ] = field(default_factory=ColumnSettings)
    hash_key: Annotated[Secret | None, Key("The key of the hashes of columns.", Form.REFERENCE)] = (
        None
    )
    keep_free_bytes: Annotated[
        int,
        Key("Room that no download takes from the disk.", Form.SIZE, name="keep_free"),
    ] = 200_000_000
    url: str = ""  # of an object store, in which the files are; empty: they are in the directory

    @property
    def place(self) -> str:
        """Where the files are, for people: a directory, or an address."""
        return self.url or str(self.directory)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once: open reports per API key, downloads over all keys; and how much in all."""

    in_flight: Annotated[int, Key("Open reports per API key.", most=100_000)] = 100
    downloads: Annotated[int, Key("Downloads over all keys.", most=64)] = 4
    max_records: Annotated[
        ByPeriod[int],
        Key("The most records that one run asks for, over all keys.", Form.RECORDS_BY_PERIOD),
    ] = field(default_factory=ByPeriod)
    max_cost: Annotated[
        ByPeriod[Decimal], Key("The same in money, by price_per_record.", Form.MONEY_BY_PERIOD)
    ] = field(default_factory=ByPeriod)


@dataclass(frozen=True, slots=True)
class Prices:
    """What a record costs."""

    default: Decimal | None = None  # for products that `products` does not name; None: not given
    products: Mapping[str, Decimal] = field(default_factory=dict)
    currency: str = ""  # such as ``EUR``; empty if it is not given

    def of(self, product: str) -> Decimal | None:
        """The price of one record of a product; None if it is not given. What is free costs 0."""
        known = products.PRODUCTS.get(product)
        if known is not None and known.free:
            return Decimal(0)
        return self.products.get(product, self.default)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retry of HTTP requests: exponential backoff with full jitter between the two waits."""

    attempts: Annotated[int, Key("Tries in all.", most=100)] = 8
    wait_initial: Annotated[timedelta, Key("The first wait.", least=_MILLISECOND, most=_HOUR)] = (
        timedelta(seconds=1)
    )
    wait_max: Annotated[timedelta, Key("The longest wait.", least=_MILLISECOND, most=_HOUR)] = (
        timedelta(seconds=60)
    )


class OnTimeout(Enum):
    """What becomes of a report that is not finished within `PollPolicy.timeout`."""

    KEEP = "keep"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class PollPolicy:
    """How often a report is looked at, and for how long in one run."""

    interval_initial: Annotated[
        timedelta, Key("The first pause.", least=_MILLISECOND, most=_DAY)
    ] = timedelta(seconds=5)
    interval_max: Annotated[timedelta, Key("The longest pause.", least=_MILLISECOND, most=_DAY)] = (
        timedelta(seconds=60)
    )
    timeout: Annotated[
        timedelta,
        Key("How long one run waits for one report.", least=_MILLISECOND, most=30 * _DAY),
    ] = timedelta(hours=6)
    on_timeout: Annotated[OnTimeout, Key("What becomes of the report then.")] = OnTimeout.KEEP


class OnUnknown(Enum):
    """What becomes of a create that may have happened or not."""

    HOLD = "hold"
    RESUBMIT = "resubmit"


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """Our own receiver of callbacks."""

    # an IPv6 host in brackets; port 0: any that is free
    listen: Annotated[str, Key("HOST:PORT", Form.LISTEN_ADDRESS)]
    # how the API reaches it, without a slash at its end
    public_url: Annotated[str, Key("Under which address the API reaches it.", Form.PUBLIC_URL)]

    @property
    def host_and_port(self) -> tuple[str, int]:
        """`listen` taken apart; the host without brackets."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class Outcome(Enum):
    """How a run ended, in one word."""

    SUCCESS = "success"
    UNFINISHED = "unfinished"
    FAILURE = "failure"


class NotifyOn(Enum):
    """Of which endings a target hears."""

    SUCCESS = "success"
    UNFINISHED = "unfinished"
    FAILURE = "failure"
    ALWAYS = "always"
    CHANGED = "changed"
    """The first failure after successes, and the first success after failures."""


class Template(Enum):
    """The form of what a webhook gets."""

    JSON = "json"
    SLACK = "slack"
    TEAMS = "teams"


@dataclass(frozen=True, slots=True)
class NotificationTarget:
    """Who hears how a run ended: a webhook, or a command that gets the summary as JSON."""

    on: Annotated[tuple[NotifyOn, ...], Key("Of which endings it hears.")]
    webhook: Annotated[Secret | None, Key("An address that gets a POST.", Form.REFERENCE)] = None
    command: Annotated[
        tuple[str, ...], Key("Gets the summary as JSON on its standard input.", Form.COMMAND)
    ] = ()
    template: Annotated[Template, Key("The form of what the webhook gets.")] = Template.JSON
    # own words, with the fields of `core.notifications.FIELDS` in braces; empty: ours
    text: Annotated[
        str, Key("Own words instead of the summary's, with fields in braces.", Form.TEXT)
    ] = ""


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where metrics of runs go."""

    textfile: Annotated[
        Path | None,
        Key("A file for the textfile collector of Prometheus' node exporter.", Form.PATH),
    ] = None
    otlp: Annotated[
        str | None,
        Key("An OpenTelemetry collector that takes OTLP over HTTP.", Form.PUBLIC_URL),
    ] = None


@dataclass(frozen=True, slots=True)
class CredentialReference:
    """Where a key and its secret are to be found; nothing is looked up until it is used.

    Both texts are as in the config: ``${NAME}``, ``file:PATH`` and ``command:LINE`` (their paths
    made absolute), or a literal.
    """

    name: str
    api_key: str
    api_secret: Secret


@dataclass(frozen=True, slots=True)
class Config:
    """The config file, defaults filled in, every path absolute."""

    path: Path | None  # the file; None where there is none and all is default
    credentials: Mapping[str, CredentialReference]
    output: Annotated[OutputSettings, Key("Where collected files go, and in which form.")]
    state: Annotated[
        Path, Key("The ledger, relative to this file.", Form.PATH, written="state/ledger.db")
    ]
    api: Annotated[ApiSettings, Key("Where the API is, and how fast each key may ask it.")] = field(
        default_factory=ApiSettings
    )
    limits: Annotated[Limits, Key("How much at once, and in all.")] = field(default_factory=Limits)
    retry: Annotated[RetryPolicy, Key("Retry of single requests.")] = field(
        default_factory=RetryPolicy
    )
    poll: Annotated[PollPolicy, Key("How often and how long an open report is looked at.")] = field(
        default_factory=PollPolicy
    )
    on_unknown: Annotated[OnUnknown, Key("What becomes of a create without an answer.")] = (
        OnUnknown.HOLD
    )
    callback: Annotated[CallbackSettings | None, Key("Our own receiver of callbacks.")] = None
    prices: Prices = field(default_factory=Prices)
    notify: tuple[NotificationTarget, ...] = ()
    ping: Annotated[
        Secret | None,
        Key("An address that hears of the start and the end of each run.", Form.REFERENCE),
    ] = None
    metrics: Annotated[MetricsSettings, Key("Where metrics of runs go.")] = field(
        default_factory=MetricsSettings
    )
