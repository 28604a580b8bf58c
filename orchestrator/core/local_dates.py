"""Writes windows for people, with the dates of the time zone of the job that wants them.

Only texts for people go through here. The ledger, the API and JSON have UTC. `use_zones_of` keeps
the zones in a context variable, the one piece of state here.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from orchestrator.core.calendar import first_instant
from orchestrator.core.intervals import Window
from orchestrator.core.model import Job, Series

_UTC: Final = ZoneInfo("UTC")


class Chunk(Protocol):
    """A window of a series: a chunk, a report, a period that was given up."""

    @property
    def series(self) -> Series:
        """Whose records."""

    @property
    def window(self) -> Window:
        """Of which time."""


@dataclass(frozen=True, slots=True)
class _Zones:
    """The zone of most series, and of those that have another one, by `Series.key`."""

    default: ZoneInfo = _UTC
    others: Mapping[str, ZoneInfo] = field(default_factory=dict)


_ZONES: Final[ContextVar[_Zones]] = ContextVar("zones", default=_Zones())  # noqa: B039 - frozen


def use_zones_of(jobs: Iterable[Job]) -> None:
    """From now on, in this context, `chunk_text` shows the dates of these jobs' time zones.

    A series that two jobs want has the zone of the first. Without jobs it is UTC.
    """
    named = tuple(jobs)
    if not named:
        _ZONES.set(_Zones())
        return
    default = named[0].zone
    others: dict[str, ZoneInfo] = {}
    for job in reversed(named):
        for entry in job.series if job.zone != default else ():
            others[entry.series.key] = job.zone
    if others:
        for entry in named[0].series:
            others.pop(entry.series.key, None)
    _ZONES.set(_Zones(default, others))


def zone_of(series: Series) -> ZoneInfo:
    """The time zone in which people read the dates of a series."""
    zones = _ZONES.get()
    return zones.others.get(series.key, zones.default) if zones.others else zones.default


def default_zone() -> ZoneInfo:
    """The time zone of what belongs to no single series: that of the first job, or UTC."""
    return _ZONES.get().default


def chunk_text(chunk: Chunk) -> str:
    """What is asked for, and of which time: ``abcd1234 SMS outbound, 2026-03-01 to 2026-04-01``."""
    return f"{chunk.series}, {window_text(chunk.window, zone_of(chunk.series))}"


def window_text(window: Window, zone: ZoneInfo) -> str:
    """A window as a job file of that zone has it: a date where an end is a local midnight."""
    return f"{moment_text(window.start, zone)} to {moment_text(window.end, zone)}"


def moment_text(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as a job file of that zone has it: its date where it is a local midnight."""
    local = moment.astimezone(zone)
    if moment == first_instant(local.date(), zone):
        return local.date().isoformat()
    return local.isoformat(timespec="seconds").replace("+00:00", "Z")
