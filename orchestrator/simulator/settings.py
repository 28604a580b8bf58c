"""The settings of a simulated world: accounts, records, times, limits, dialect, faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from orchestrator.simulator.faults.model import Faults


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An account with an API key (the key is the account's id) and the subaccounts it owns."""

    api_key: str
    api_secret: str = field(repr=False)
    subaccounts: tuple[str, ...] = ()

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account that this key may ask for, its own first."""
        return (self.api_key, *self.subaccounts)


DEFAULT_KEYS: Final = (
    ApiKey("abcd1234", "Simulated-Secret-1", ("ef567890", "cafe0002", "cafe0003")),
    ApiKey("beta0001", "Simulated-Secret-2"),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which of several forms the API answers in; each has been seen. ``mixed`` is by seed."""

    offset: Literal["+0000", "+00:00", "Z", "mixed"] = "+0000"  # how UTC is written in dates
    # `classic` is the 2021 object; `newer` has `status`, `download_url` and `request_params`
    shape: Literal["classic", "newer", "mixed"] = "classic"
    prefix: bool = True  # whether request ids carry `ri3p58f-`
    # whether a pending report already has `start_time` and `items_count: 0`
    early_fields: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a world. Everything random follows from `seed` and `salt`."""

    keys: tuple[ApiKey, ...] = DEFAULT_KEYS  # the API keys and their accounts
    seed: int = 1
    # part of every id that the API gives, and of nothing else: two worlds with the same seed and
    # different salts have the same records, and no id in common
    salt: str = ""
    now: datetime | None = None  # the start of the world's clock; None is the machine's own time
    speed: float = 1.0  # world seconds for each second of the loop
    # mean number of records a day of each account, product and direction
    records_per_day: float = 20.0
    # multiplies `records_per_day` for a product
    product_factors: Mapping[str, float] = field(default_factory=dict)
    bulk_body_bytes: int = 0  # length of message bodies; 0 gives short ones that are hard to parse
    # the longest time after its own moment until a record arrives
    arrival_lag: timedelta = timedelta()
    # asynchronous calls allowed to each key in a second of the loop; None is no limit
    rate: float | None = 5.0
    sync_rate: float | None = 10.0  # the same for `GET /v2/reports/records`
    # the maximum number of reports processed at once; None is no limit
    concurrency: int | None = None
    # the maximum number of open (pending or processing) reports of a key; a create beyond it gets
    # 429. None is no limit. Not documented by the vendor
    max_open: int | None = None
    max_open_type: str = "rate-limit"  # the end of the problem type of that 429
    pending_time: timedelta = timedelta(seconds=2)  # the shortest time that a report is `PENDING`
    processing_time: timedelta = timedelta(seconds=15)  # how long an empty report is `PROCESSING`
    # added for each row (the vendor says 5 to 10 minutes a million)
    processing_time_per_row: timedelta = timedelta(microseconds=450)
    processing_jitter: float = 0.5  # 0.5 varies the processing time by up to 50 %
    retention: bool = False  # whether records are deleted after their product's retention
    # the maximum number of records in a file; a report with more of them is `TRUNCATED`. None is no
    # limit
    max_rows: int | None = 7_000_000
    dialect: Dialect = field(default_factory=Dialect)
    faults: Faults = field(default_factory=Faults)
    # product names that are accepted beyond the table, with columns of no meaning
    extra_products: frozenset[str] = frozenset()
    # whether the list call shows a report under the account of its records, under the key that
    # created it, or under both. Not documented by the vendor
    list_under: Literal["account", "key", "both"] = "account"
    # whether a download has an ETag and answers Range requests. Not documented by the vendor
    ranges: bool = False

    def family(self, account_id: str) -> tuple[str, ...]:
        """The account and its subaccounts."""
        for key in self.keys:
            if key.api_key == account_id:
                return key.accounts
        return (account_id,)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account once; a primary account comes before its subaccounts."""
        return tuple(dict.fromkeys(account for key in self.keys for account in key.accounts))
