"""The worlds that clients are timed in: small hourly reports, and how long the server takes."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.simulator import ApiKey, Fault, Faults, RecordDigest, Settings, Truth, digest_csv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.simulator import Simulator

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""Where the clocks of virtual time begin."""

END: Final = datetime(2026, 3, 1, tzinfo=UTC)
"""Where the last window ends: everything before it has settled."""

HOUR: Final = timedelta(hours=1)
PRODUCT: Final = "SMS"
DIRECTION: Final = "outbound"
_SECRET: Final = "Simulated-Secret"
_ROWS_A_REPORT: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One world, and how much is asked of it.

    Attributes:
        reports: hourly reports of each key's own account.
        processing: the server works on a report for this long: the least and the most, in
            seconds; drawn evenly between them.
        concurrency: so many reports are worked on at once; None is all.
        rate: requests a second for each key; None is no limit.
        keys: so many keys, each with an account, a job and a limit of its own.
        callbacks: the client may be told when a report is ready.
        lost_every: one in so many creates makes its report, but its answer is lost on the way; 0
            is none.
        seed: of everything that is drawn: records, times, the client's jitter.
    """

    name: str
    reports: int
    processing: tuple[float, float]
    concurrency: int | None
    rate: float | None = 5.0
    keys: int = 1
    callbacks: bool = False
    lost_every: int = 0
    seed: int = 1

    @property
    def gap(self) -> float:
        """Seconds between two requests of a key."""
        return 1 / self.rate if self.rate else 0.0

    @property
    def accounts(self) -> tuple[str, ...]:
        """The keys, which are the accounts too."""
        return tuple(f"bench{number:03}" for number in range(self.keys))

    @property
    def start(self) -> datetime:
        """Where the first window begins; it ends with `END`."""
        return END - self.reports * HOUR

    def settings(self) -> Settings:
        """The simulator's."""
        least, most = self.processing
        mean = (least + most) / 2
        lost: tuple[Fault, ...] = ()
        if self.lost_every:
            lost = (Fault.of("create", "reset", made=True, every=self.lost_every),)
        return Settings(
            keys=tuple(ApiKey(account, _SECRET) for account in self.accounts),
            seed=self.seed,
            records_per_day=24.0 * _ROWS_A_REPORT,
            rate=self.rate,
            concurrency=self.concurrency,
            pending_time=timedelta(),
            processing_time=timedelta(seconds=mean),
            processing_time_per_row=timedelta(),
            processing_jitter=(most - least) / 2 / mean,
            faults=Faults(lost),
        )

    def windows(self) -> Iterator[tuple[datetime, datetime]]:
        """One for each report of an account, oldest first."""
        for number in range(self.reports):
            yield self.start + number * HOUR, self.start + (number + 1) * HOUR

    def truth(self) -> RecordDigest:
        """What all collected files together must hold."""
        settings = self.settings()
        total = RecordDigest()
        for account in self.accounts:
            body = {"account_id": account, "product": PRODUCT, "direction": DIRECTION}
            total += Truth(settings, body, self.start, END).record_digest()
        return total


def tally_folder(folder: Path) -> RecordDigest:
    """What the CSV files in a folder and below hold, all together."""
    total = RecordDigest()
    for path in sorted(folder.rglob("*.csv")):
        with path.open("rb") as file:
            total += digest_csv(file)
    return total


def authorization(simulator: Simulator) -> dict[str, str]:
    """The header that signs a request of the first key."""
    pair = f"{simulator.api_key}:{simulator.api_secret}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def rate_bound(reports: int) -> Case:
    """The server is quick; the limit of five requests a second is what holds a client up."""
    return Case(name="rate-bound", reports=reports, processing=(1.0, 10.0), concurrency=100)


def lossy(reports: int) -> Case:
    """Rate-bound, and the answers of one create in a hundred are lost."""
    return replace(rate_bound(reports), name="rate-bound, answers lost", lost_every=100)


def server_bound(reports: int, *, callbacks: bool = False) -> Case:
    """The server is slow, and works on fifty reports at once."""
    return Case(
        name="server-bound, callbacks" if callbacks else "server-bound",
        reports=reports,
        processing=(20.0, 200.0),
        concurrency=50,
        callbacks=callbacks,
    )
