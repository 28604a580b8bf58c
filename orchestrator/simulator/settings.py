"""What kind of world is simulated: accounts, records, times, limits, dialect, faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from orchestrator.simulator.faults.model import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An account with an API key (the key is the account's id) and the subaccounts it owns."""

    api_key: str
    api_secret: str = field(repr=False)
    subaccounts: tuple[str, ...] = ()

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account this key may ask for, its own first."""
        return (self.api_key, *self.subaccounts)


DEFAULT_KEYS: Final = (
    ApiKey("abcd1234", "Simulated-Secret-1", ("ef567890", "cafe0002", "cafe0003")),
    ApiKey("beta0001", "Simulated-Secret-2"),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which of the ways that the API has been seen to answer in; ``mixed`` is by seed.

    Attributes:
        offset: how UTC is written.
        shape: ``classic`` is the 2021 object; ``newer`` has `status`, `download_url` and
            `request_params`.
        prefix: whether request ids carry ``ri3p58f-``.
        early_fields: whether `start_time` and ``items_count: 0`` stand there from the first.
    """

    offset: Literal["+0000", "+00:00", "Z", "mixed"] = "+0000"
    shape: Literal["classic", "newer", "mixed"] = "classic"
    prefix: bool = True
    early_fields: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole world in numbers. Everything that looks random follows from `seed` and `salt`.

    Attributes:
        keys: the API keys and what they own.
        salt: part of every id that the API gives, and of nothing else: worlds of one seed have the
            same records, and with salts of their own never an id in common.
        now: where the world's clock starts; None is the machine's own time.
        speed: world seconds for each second of the loop.
        records_per_day: mean number of records a day of each account, product and direction.
        product_factors: multiplies `records_per_day` for a product.
        bulk_body_bytes: length of message bodies; 0 gives short and nasty ones.
        arrival_lag: how long after its time a record may turn up.
        rate: asynchronous calls a second for each key, in the loop's time; None is no limit.
        sync_rate: the same for ``GET /v2/reports/records``.
        concurrency: how many reports are worked on at once; None is all.
        max_open: how many reports of a key may be open (pending or processing); a create beyond
            it gets 429 and makes nothing. None is no limit. Not documented.
        max_open_type: what the problem type of that 429 ends in.
        pending_time: the least time a report is ``PENDING``.
        processing_time: how long an empty report is ``PROCESSING``.
        processing_time_per_row: added for each row (the vendor says 5 to 10 minutes a million).
        processing_jitter: 0.5 makes it half as long to half as long again.
        retention: whether records older than their product's retention are gone.
        max_rows: a file holds no more; the report is then ``TRUNCATED``. None is no limit.
        extra_products: names beyond the table that this world takes, with columns of no
            particular meaning.
        list_under: whether the list call shows a report under the account asked for, under the
            key that asked, or under both. Not documented.
        ranges: whether a download carries an ETag and answers Range requests. Not documented.
    """

    keys: tuple[ApiKey, ...] = DEFAULT_KEYS
    seed: int = 1
    salt: str = ""
    now: datetime | None = None
    speed: float = 1.0
    records_per_day: float = 20.0
    product_factors: Mapping[str, float] = field(default_factory=dict)
    bulk_body_bytes: int = 0
    arrival_lag: timedelta = timedelta()
    rate: float | None = 5.0
    sync_rate: float | None = 10.0
    concurrency: int | None = None
    max_open: int | None = None
    max_open_type: str = "rate-limit"
    pending_time: timedelta = timedelta(seconds=2)
    processing_time: timedelta = timedelta(seconds=15)
    processing_time_per_row: timedelta = timedelta(microseconds=450)
    processing_jitter: float = 0.5
    retention: bool = False
    max_rows: int | None = 7_000_000
    dialect: Dialect = field(default_factory=Dialect)
    faults: Faults = field(default_factory=Faults)
    extra_products: frozenset[str] = frozenset()
    list_under: Literal["account", "key", "both"] = "account"
    ranges: bool = False

    def family(self, account_id: str) -> tuple[str, ...]:
        """The account and its subaccounts."""
        for key in self.keys:
            if key.api_key == account_id:
                return key.accounts
        return (account_id,)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account there is, each once, primaries before their subaccounts."""
        return tuple(dict.fromkeys(account for key in self.keys for account in key.accounts))
