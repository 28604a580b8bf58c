"""Whether a ledger, its manifest and its files belong together. `run` and `check` ask the same."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final

from orchestrator.app.plan import series_plans
from orchestrator.collect.disk import explain
from orchestrator.collect.layout import published, series_folder
from orchestrator.collect.manifest import read_manifest, survey
from orchestrator.collect.manifest_entries import FileEntry
from orchestrator.collect.stores import output_store
from orchestrator.core.commands import JOB, typed
from orchestrator.core.intervals import union
from orchestrator.errors import InputError, OutputError
from orchestrator.reporting.phrases import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from orchestrator.collect.layout import Published
    from orchestrator.collect.manifest import Survey
    from orchestrator.collect.stores.base import OutputStore
    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Job, LedgerPoint, Series
    from orchestrator.core.ports import LedgerReader
    from orchestrator.core.settings import Config

_BATCH: Final = 500
_NAMED: Final = 5
"""So many unknown files are named one by one."""


class Stands(Enum):
    """How a manifest stands to its ledger, where the two belong together."""

    AS_THE_LEDGER = "it tells all that the ledger knows"
    BEHIND = "it is not there, or the ledger knows more"
    CHANGED = "it is not as it was written"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ledger and the manifest beside its files, which belong together.

    Attributes:
        stands: whether the manifest has to be written anew.
        survey: how the manifest stands by itself.
        words: what is wrong with it; empty where nothing is.
    """

    stands: Stands
    survey: Survey
    words: str = ""


def compare(config: Config, store: LedgerReader) -> Comparison:
    """Holds a ledger against the manifest beside its files.

    Raises:
        InputError: they do not belong together, or the ledger is an older one: what it does not
            know would be bought again. Or the manifest is so damaged that nobody can say.
    """
    found = survey(output_store(config.output))
    if found.tells_nothing and found.point != store.point():
        return Comparison(Stands.BEHIND, found)
    if found.header is None:
        assert found.problem is not None, "a header that cannot be read has a reason"
        raise InputError([found.problem])
    point = store.point()
    if found.point is None:
        _compare_first_version(config, store, found, point)
        stands = Stands.BEHIND
    else:
        _compare_points(config, store, found, found.point, point)
        told = (found.point.generation, found.point.changes)
        same = told == (point.generation, point.changes)
        stands = Stands.AS_THE_LEDGER if same else Stands.BEHIND
    if found.problem is not None:
        return Comparison(Stands.CHANGED, found, str(found.problem).partition(";")[0])
    return Comparison(stands, found)


def _compare_points(
    config: Config, store: LedgerReader, found: Survey, told: LedgerPoint, point: LedgerPoint
) -> None:
    state, manifest = config.state, found.path
    if told.ledger != point.ledger:
        raise _another_ledger(
            config, found, f"it tells of ledger {told.ledger[:8]}, this is {point.ledger[:8]}"
        )
    if_lost = _if_lost(config)
    if told.generation > point.generation:
        assert found.header is not None
        raise InputError(
            f"the ledger {state} was replaced by a rebuild: {manifest} is of the newer ledger "
            f"(generation {told.generation:,}; this one is of generation {point.generation:,}). "
            "What was bought since would be bought again. Put the newer ledger in its place; "
            f"{if_lost}"
        )
    if told.generation < point.generation:
        return
    if told.changes > point.changes or told.events > point.events:
        raise _older(config, manifest, (point.events, told.events), (point.changes, told.changes))
    if store.event_checksum(told.events) != told.last_event:
        raise InputError(
            f"the ledger {state} and {manifest} have gone different ways: event {told.events:,} "
            "is another one in each, so this is a copy that was used beside the one of these "
            "files. What either does not know would be bought again. Put the ledger of these "
            f"files in its place; {if_lost}"
        )


def _if_lost(config: Config) -> str:
    name = config.state.name
    return (
        f"or, if that is lost, move this one away (the files {name}, {name}-wal and {name}-shm) "
        f"and use {typed('run', JOB, '--rebuild-ledger')}"
    )


def _older(
    config: Config, manifest: str, events: tuple[int, int], changes: tuple[int, int] = (0, 0)
) -> InputError:
    name = "event"
    here, there = events
    if here >= there:
        name = "change"
        here, there = changes
    return InputError(
        f"the ledger {config.state} is older than its files: it ends with {name} {here:,}, and "
        f"{manifest} was made after {name} {there:,}. What was bought in between would be bought "
        "again. Put the newer ledger back (a copy of it needs the file that ends in -wal too, if "
        f"there was one); {_if_lost(config)}"
    )


def _compare_first_version(
    config: Config, store: LedgerReader, found: Survey, point: LedgerPoint
) -> None:
    """A manifest of version 1 does not name its ledger: that knows every file, or is another's."""
    assert found.header is not None
    if found.header.events > point.events:
        raise _older(config, found.path, (point.events, found.header.events))
    if found.problem is None and found.header.fingerprint == store.fingerprint():
        return
    files = _files_told(output_store(config.output))
    while batch := list(islice(files, _BATCH)):
        known = store.owners_of([entry.request_id for entry in batch if entry.request_id])
        for entry in batch:
            if entry.request_id not in known:
                raise _another_ledger(config, found, f"this one does not know {entry.path}")


def _files_told(output: OutputStore) -> Iterator[FileEntry]:
    """The files that the manifest of a store tells of, as far as it can be read."""
    with suppress(InputError):
        for entry in read_manifest(output):
            if isinstance(entry, FileEntry):
                yield entry


def _another_ledger(config: Config, found: Survey, why: str) -> InputError:
    return InputError(
        f"{found.path} belongs to another ledger than {config.state} ({why}): it would be "
        "replaced, and its files would count for nothing. Point `state` at the ledger of these "
        "files, or `output.directory` at a directory of its own; "
        f"{_if_lost(config)}"
    )


# --- files that nobody knows ----------------------------------------------------------------------


def refuse_unknown_files(
    config: Config,
    store: LedgerReader,
    jobs: Sequence[Job],
    now: datetime,
    *,
    retry_failed: bool = False,
) -> None:
    """Nothing is bought over a file in its place that the ledger does not know.

    Args:
        config: where the files are.
        store: the ledger.
        jobs: what they owe is what would be bought.
        now: the present moment.
        retry_failed: what was given up is owed as well.

    Raises:
        InputError: the jobs owe what such files hold, by their names.
        OutputError: the output directory cannot be read.
    """
    found: dict[str, None] = {}
    for line in series_plans(store, jobs, now):
        series, owed = line.debt.entry.series, line.debt.owed
        if retry_failed:
            owed = union(owed, [one.window for one in store.given_up(series)])
        if owed:
            for one in unknown(config, store, series, owed):
                found[one.target] = None
    if not found:
        return
    named = ", ".join(str(config.output.directory / target) for target in islice(found, _NAMED))
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    it, stands = ("it", "stands") if len(found) == 1 else ("they", "stand")
    raise InputError(
        f"{counted(len(found), 'file')} {stands} where collected files do, and the ledger does not "
        f"know {'it' if it == 'it' else 'them'}: {named}{more}. The jobs would buy what {it} "
        "should hold already. If this ledger is an old one, put the newer one back. To keep "
        f"{'it' if it == 'it' else 'them'} without paying again, move the ledger away "
        f"({config.state.name}, {config.state.name}-wal and {config.state.name}-shm) and use "
        f"{typed('run', JOB, '--rebuild-ledger')}: it reads such files, and takes them up beside "
        f"all that {config.output.directory / 'manifest.jsonl'} knows. To buy anew, move "
        f"{'it' if it == 'it' else 'them'} out of {config.output.directory}"
    )


def unknown(
    config: Config, store: LedgerReader, series: Series, within: Sequence[Window] | None = None
) -> Iterator[Published]:
    """The files in the folder of a series that no report of the ledger has; see `published`.

    Raises:
        OutputError: the folder cannot be read.
    """
    try:
        for one in published(output_store(config.output), series, within):
            if not store.is_published(series, one.window, one.target):
                yield one
    except OSError as error:
        place = config.output.directory / series_folder(series)
        raise OutputError(explain(error, place, "read")) from error
