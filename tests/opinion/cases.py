"""A case: the world, the jobs, the API's deviations and what the operators do; all from a seed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.intervals import Window, union
from orchestrator.core.model import Series
from orchestrator.simulator import ApiKey, Dialect, Fault, Faults, Settings
from tests.opinion import deviations

if TYPE_CHECKING:
    from tests.opinion.deeds import Deed
    from tests.opinion.front import Deviation

KEYS: Final = (
    ApiKey("abcd1234", "Simulated-Secret-1", ("ef567890", "cafe0002", "cafe0003")),
    ApiKey("beta0001", "Simulated-Secret-2", ("ef567890",)),
)
"""Both keys may ask for ``ef567890``: jobs can move from one to the other."""

NEWEST: Final = datetime(2026, 2, 20, tzinfo=UTC)
"""No absolute window ends later."""


@dataclass(frozen=True)
class JobFile:
    """A job file as text can be made of it.

    Attributes:
        name: of the job.
        file: of the file, without its end.
        account: whose records.
        products: as they stand in the file.
        windows: first day and the day after the last.
        yesterday: it also wants yesterday, whenever it is run.
        chunk: such as ``1 day``.
        settle: such as ``1h``.
        credentials: ``default`` or ``beta``.
    """

    name: str
    file: str
    account: str
    products: tuple[tuple[tuple[str, Any], ...], ...]
    windows: tuple[tuple[datetime, datetime], ...]
    chunk: str = "2 days"
    settle: str = "1h"
    credentials: str = "default"
    yesterday: bool = False

    @property
    def text(self) -> str:
        """The file."""
        return json.dumps(
            {
                "name": self.name,
                "credentials": self.credentials,
                "accounts": [self.account],
                "products": [dict(one) for one in self.products],
                "windows": [
                    *(
                        {"from": f"{start:%Y-%m-%d}", "to": f"{end:%Y-%m-%d}"}
                        for start, end in self.windows
                    ),
                    *(["yesterday"] if self.yesterday else []),
                ],
                "chunk": {"max": self.chunk},
                "settle": self.settle,
            }
        )

    @property
    def series(self) -> tuple[Series, ...]:
        """What is asked for, without dates."""
        return tuple(
            Series.of(
                self.account,
                fields["product"],
                fields.get("direction"),
                {k: v for k, v in fields.items() if k not in ("product", "direction")},
            )
            for fields in map(dict, self.products)
        )

    @property
    def wanted(self) -> tuple[Window, ...]:
        """What it wants of each of its series."""
        return union(Window(start, end) for start, end in self.windows)

    def __str__(self) -> str:
        products = "; ".join(
            " ".join(f"{value}" for _, value in fields) for fields in self.products
        )
        days = ", ".join(f"{start:%m-%d} to {end:%m-%d}" for start, end in self.windows)
        days += ", yesterday" if self.yesterday else ""
        return f"{self.name} ({self.credentials}): {self.account} {products}, {days}, {self.chunk}"


@dataclass(frozen=True)
class ConfigFile:
    """A config as text can be made of it."""

    output: str = "reports"
    state: str = "state/ledger.db"
    form: str = "csv"
    in_flight: int = 100
    attempts: int = 8
    interval_max: str = "60s"
    timeout: str = "6h"
    on_unknown: str = "hold"
    file_records: int = 7_000_000

    def text(self, base_url: str) -> str:
        """The file."""
        return json.dumps(
            {
                "api": {
                    "base_url": base_url,
                    "requests_per_second": 5,
                    "timeout": "60s",
                    "file_records": self.file_records,
                },
                "credentials": {
                    name: {"api_key": key.api_key, "api_secret": key.api_secret}
                    for name, key in zip(("default", "beta"), KEYS, strict=True)
                },
                "output": {"directory": self.output, "format": self.form},
                "state": self.state,
                "limits": {"in_flight": self.in_flight, "downloads": 4},
                "retry": {"attempts": self.attempts, "wait_initial": "1s", "wait_max": "60s"},
                "poll": {"interval_max": self.interval_max, "timeout": self.timeout},
                "on_unknown": self.on_unknown,
            }
        )

    def __str__(self) -> str:
        return (
            f"{self.form}, in_flight {self.in_flight}, attempts {self.attempts}, poll up to "
            f"{self.interval_max} for {self.timeout}, on_unknown {self.on_unknown}, files of "
            f"{self.file_records:,}"
        )


@dataclass(frozen=True)
class Case:
    """Everything that a seed decides."""

    seed: int
    settings: Settings
    jobs: tuple[JobFile, ...]
    config: ConfigFile
    deviations: tuple[Deviation, ...] = ()
    faults: tuple[Fault, ...] = ()
    deeds: tuple[Deed, ...] = field(default=())
    api_ahead: timedelta = timedelta()
    is_remote: bool = True

    @property
    def world(self) -> Settings:
        """The simulator's settings, faults included."""
        return replace(self.settings, faults=Faults(self.faults, self.seed))

    def words(self) -> list[str]:
        """The case for people."""
        lines = [f"job {one}" for one in self.jobs]
        where = "at the vendor's" if self.is_remote else "on this machine"
        lines.append(f"config: {self.config}; the API {where}, its clock {self.api_ahead} ahead")
        lines += [f"the API: {one}" for one in self.deviations]
        lines += [f"a report: {_fault_words(one)}" for one in self.faults]
        lines += [f"then: {one}" for one in self.deeds]
        return lines


def _fault_words(fault: Fault) -> str:
    common = {each.name for each in fields(Fault)}
    given = {name: value for name, value in vars(fault).items() if name not in common and value}
    options = ", ".join(f"{name}={value}" for name, value in given.items())
    return f"{fault.do} {options}, for {fault.probability or 1:.0%}"


# --- drawing --------------------------------------------------------------------------------------

_PRODUCTS: Final[tuple[tuple[tuple[str, Any], ...], ...]] = (
    (("product", "SMS"), ("direction", "outbound"), ("status", "delivered")),
    (("product", "SMS"), ("direction", "outbound"), ("status", "failed"), ("country", "GB")),
    (("product", "SMS"), ("direction", "inbound"), ("include_message", True)),
    (("product", "VERIFY-API"),),
    (("product", "VOICE-CALL"), ("direction", "inbound")),
    (("product", "MESSAGES"), ("direction", "outbound"), ("include_message", True)),
)
"""No record belongs to two of them."""

_ENDS: Final[tuple[tuple[int, str, dict[str, Any]], ...]] = (
    (3, "outcome", {"status": "FAILED"}),
    (1, "outcome", {"status": "ABORTED"}),
    (1, "truncated", {"rows": 1}),
    (1, "csv", {"form": "crlf"}),
    (1, "csv", {"form": "bom"}),
    (1, "csv", {"form": "no_last_lf"}),
    (2, "csv", {"form": "blank_lines"}),
    (1, "zip", {"form": "stored"}),
    (1, "zip", {"form": "with_folder"}),
    (1, "cancelled", {"seconds": 3.0}),
)
"""What may become of a report, by the simulator's own kinds of faults: weight, kind, options."""


def draw(seed: int) -> Case:
    """The case of a seed."""
    from tests.opinion import deeds

    random = Random(seed)
    settings = Settings(
        keys=KEYS,
        seed=random.getrandbits(32),
        records_per_day=random.choice([0.4, 1.0, 3.0]),
        pending_time=timedelta(seconds=random.choice([0, 2, 30])),
        processing_time=timedelta(seconds=random.choice([1, 5, 60])),
        dialect=Dialect(
            offset=random.choice(["+0000", "+00:00", "Z", "mixed"]),
            shape=random.choice(["classic", "classic", "newer", "mixed"]),
            prefix=random.random() < 0.5,
            early_fields=random.random() < 0.5,
        ),
        list_under=random.choice(["account", "key", "both"]),
        ranges=random.random() < 0.2,
        max_rows=random.choice([7_000_000] * 9 + [4]),
    )
    jobs = _jobs(random)
    ends = [one for one in _ENDS if _is_known(one)]
    faults = tuple(
        Fault.of("report", do, probability=random.choice([0.1, 0.3, 1.0]), times=2, **options)
        for _, do, options in random.choices(
            ends, [weight for weight, *_ in ends], k=random.choice([0, 0, 0, 1])
        )
    )
    return Case(
        seed=seed,
        settings=settings,
        jobs=jobs,
        config=ConfigFile(
            form=random.choice(["csv", "csv", "csv", "csv.gz", "zip"]),
            in_flight=random.choice([1, 3, 100]),
            attempts=random.choice([2, 8]),
            interval_max=random.choice(["20s", "60s", "5m"]),
            timeout=random.choice(["20m", "2h", "6h"]),
            on_unknown=random.choice(["hold", "hold", "hold", "resubmit"]),
            file_records=settings.max_rows or 7_000_000,
        ),
        deviations=deviations.draw(random),
        faults=faults,
        deeds=deeds.draw(random, jobs),
        api_ahead=timedelta(seconds=random.choice([0.3, 0.3, 0.3, 0.3, 40, -40, -3600, 86_400])),
        is_remote=random.random() < 0.8,
    )


def _is_known(end: tuple[int, str, dict[str, Any]]) -> bool:
    """Whether the simulator has this kind of fault with these options."""
    _, do, options = end
    try:
        Fault.of("report", do, **options)
    except ValueError:
        return False
    return True


def _jobs(random: Random) -> tuple[JobFile, ...]:
    """One or two jobs over different series, each of a few reports."""
    products = random.sample(_PRODUCTS, random.choice([1, 1, 2, 3]))
    account = random.choice(["abcd1234", "ef567890", "ef567890"])
    first = JobFile("nightly", "nightly", account, tuple(products), _windows(random))
    first = replace(
        first,
        chunk=random.choice(["12 hours", "1 day", "2 days", "1 week"]),
        yesterday=random.random() < 0.25,
    )
    if random.random() < 0.6:
        return (first,)
    rest = [one for one in _PRODUCTS if one not in products]
    shares = random.random() < 0.3
    second = JobFile(
        "backfill",
        "backfill",
        account if shares else random.choice(["ef567890", "cafe0002"]),
        tuple(products[:1]) if shares else (random.choice(rest),),
        _windows(random),
    )
    return (first, second)


def _windows(random: Random) -> tuple[tuple[datetime, datetime], ...]:
    """Two or three days, or a week; sometimes two spans."""
    found = []
    for _ in range(random.choice([1, 1, 1, 2])):
        end = NEWEST - timedelta(days=random.randint(0, 25))
        found.append((end - timedelta(days=random.choice([1, 2, 3, 5])), end))
    return tuple(found)
