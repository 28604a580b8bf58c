"""Whether a ledger, its manifest and its files belong together. `run` and `check` ask the same."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import partial
from itertools import islice
from typing import Final

from orchestrator.app.ledger_reading import reading_ledger
from orchestrator.app.plan import series_plans
from orchestrator.collect.disk import explain
from orchestrator.collect.layout import Published, first_folder, published, series_folder
from orchestrator.collect.manifest import Reading, Survey, survey
from orchestrator.collect.manifest_entries import ReportEntry
from orchestrator.collect.stores import output_store
from orchestrator.collect.stores.base import OutputStore
from orchestrator.config import Inputs
from orchestrator.core.commands import JOB, typed
from orchestrator.core.intervals import Window, union
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Job, LedgerPoint, Report, Series
from orchestrator.core.ports import LedgerReader
from orchestrator.core.settings import Config
from orchestrator.errors import InputError, LedgerError, OutputError
from orchestrator.ledger import ledger_exists, lock_holder
from orchestrator.reporting.phrases import counted

_BATCH: Final = 500  # Request ids that are looked up in one statement.
_LISTED_TOGETHER: Final = 16
"""Folders of an object store that are listed at a time: one alone takes as long as an answer."""

_NAMED: Final = 5  # Unknown files that are named one by one; the rest are counted


class Stands(Enum):
    """How a manifest stands to its ledger, where the two belong together."""

    AS_THE_LEDGER = "it tells all that the ledger knows"
    BEHIND = "it is not there, or the ledger knows more"
    CHANGED = "it is not as it was written"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ledger and the manifest beside its files, which belong together."""

    stands: Stands  # whether the manifest has to be written anew
    survey: Survey  # how the manifest stands by itself
    problem: str = ""  # what is wrong with it; empty where nothing is
    # what tells that the files of the ledger are elsewhere; empty where nothing does
    moved: str = ""


def compare(config: Config, reader: LedgerReader, store: OutputStore | None = None) -> Comparison:
    """Holds a ledger against the manifest beside its files.

    Args:
        store: whose manifest; None: one of its own. Only a writer needs to say it.

    Raises:
        InputError: they do not belong together, or the ledger is an older one: what it does not
            know would be bought again. Or the manifest is so damaged that it cannot be told.
    """
    manifest = survey(store or output_store(config.output))
    if manifest.tells_nothing and manifest.point != reader.point():
        return Comparison(Stands.BEHIND, manifest, moved=_moved(config, reader))
    if manifest.header is None:
        assert manifest.problem is not None, "a header that cannot be read has a reason"
        raise InputError([manifest.problem])
    point = reader.point()
    if manifest.point is None:
        _compare_first_version(config, reader, manifest, point)
        stands = Stands.BEHIND
    else:
        _compare_points(config, reader, manifest, manifest.point, point)
        told = (manifest.point.generation, manifest.point.changes)
        same = told == (point.generation, point.changes)
        stands = Stands.AS_THE_LEDGER if same else Stands.BEHIND
    if manifest.problem is not None:
        return Comparison(Stands.CHANGED, manifest, str(manifest.problem).partition(";")[0])
    return Comparison(stands, manifest)


def _moved(config: Config, reader: LedgerReader) -> str:
    if fact := files_elsewhere(config, reader):
        return (
            f"{fact}: new ones go there now, and the others are missing; move the files there, or "
            "let output.directory be what it was"
        )
    return ""


def files_elsewhere(config: Config, reader: LedgerReader) -> str:
    """Says that a ledger knows files and their directory has none; empty where this is not so."""
    directory = config.output.place
    if not reader.has_collected():
        return ""
    try:
        if first_folder(output_store(config.output)) is not None:
            return ""
    except OSError:
        return ""  # Whoever reads the directory for its files says why it cannot be read.
    return f"the ledger {config.state} knows collected files, but {directory} has none of them"


def _compare_points(
    config: Config, reader: LedgerReader, manifest: Survey, told: LedgerPoint, point: LedgerPoint
) -> None:
    state, path = config.state, manifest.path
    if told.ledger != point.ledger:
        raise _another_ledger(
            config, manifest, f"it tells of ledger {told.ledger[:8]}, this is {point.ledger[:8]}"
        )
    if_lost = _if_lost(config)
    if told.generation > point.generation:
        assert manifest.header is not None
        raise InputError(
            f"the ledger {state} was replaced by a rebuild: {path} is of the newer ledger "
            f"(generation {told.generation:,}; this one is of generation {point.generation:,}). "
            "What was bought since would be bought again. Put the newer ledger in its place; "
            f"{if_lost}"
        )
    if told.generation < point.generation:
        return
    if told.changes > point.changes or told.events > point.events:
        raise _older(config, path, (point.events, told.events), (point.changes, told.changes))
    if reader.event_checksum(told.events) != told.last_event:
        raise InputError(
            f"the ledger {state} and {path} have gone different ways: event {told.events:,} "
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
    config: Config, path: str, events: tuple[int, int], changes: tuple[int, int] = (0, 0)
) -> InputError:
    name = "event"
    here, there = events
    if here >= there:
        name = "change"
        here, there = changes
    return InputError(
        f"the ledger {config.state} is older than its files: it ends with {name} {here:,}, and "
        f"{path} was made after {name} {there:,}. What was bought in between would be bought "
        "again. Put the newer ledger back (a copy of it needs the file that ends in -wal too, if "
        f"there was one); {_if_lost(config)}"
    )


def _compare_first_version(
    config: Config, reader: LedgerReader, manifest: Survey, point: LedgerPoint
) -> None:
    """A manifest of version 1 does not name its ledger: that knows every file, or is another's."""
    assert manifest.header is not None
    if manifest.header.events > point.events:
        raise _older(config, manifest.path, (point.events, manifest.header.events))
    if manifest.problem is None and manifest.header.fingerprint == reader.fingerprint():
        return
    files = _files_told(output_store(config.output))
    while batch := list(islice(files, _BATCH)):
        owners = reader.owners_of([file.request_id for file in batch if file.request_id])
        for file in batch:
            if file.request_id not in owners:
                raise _another_ledger(config, manifest, f"this one does not know {file.target}")


def _files_told(output: OutputStore) -> Iterator[Report]:
    """The collected reports that the manifest of a store tells of, as far as it can be read."""
    with suppress(InputError):
        for entry in Reading(output):
            if isinstance(entry, ReportEntry) and entry.report.state is State.COLLECTED:
                yield entry.report


def _another_ledger(config: Config, manifest: Survey, why: str) -> InputError:
    return InputError(
        f"{manifest.path} belongs to another ledger than {config.state} ({why}): it would be "
        "replaced, and its files would count for nothing. Point `state` at the ledger of these "
        "files, or `output.directory` at a directory of its own; "
        f"{_if_lost(config)}"
    )


def refusal_by_run(inputs: Inputs, now: datetime) -> InputError | OutputError | None:
    """Why a run would not begin on the ledger; None where it would, or where there is none yet.

    Raises:
        LedgerError: the ledger cannot be read, or is damaged.
    """
    config = inputs.config
    try:
        if not ledger_exists(config.state) or lock_holder(config.state) is not None:
            return None  # a run that is active has asked the same, and writes both
    except LedgerError:
        return None  # another user's lock may be held or not
    try:
        with reading_ledger(config) as reader:
            compare(config, reader)
            refuse_unknown_files(config, reader, inputs.jobs, now)
    except (InputError, OutputError) as error:
        return error
    return None


# --- files that the ledger does not know ----------------------------------------------------------


def refuse_unknown_files(
    config: Config,
    reader: LedgerReader,
    jobs: Sequence[Job],
    now: datetime,
    *,
    retry_failed: bool = False,
) -> None:
    """Nothing is bought over a file in its place that the ledger does not know.

    Args:
        jobs: what they owe is what would be bought.
        retry_failed: what was given up is owed as well.

    Raises:
        InputError: the jobs owe what such files hold, by their names.
        OutputError: the output directory cannot be read.
    """

    def wanted() -> Iterator[tuple[Series, Sequence[Window]]]:
        for line in series_plans(reader, jobs, now):
            series, owed = line.debt.entry.series, line.debt.owed
            if retry_failed:
                owed = union(owed, [gap.window for gap in reader.given_up(series)])
            if owed:
                yield series, owed

    targets: dict[str, None] = {}
    for _, unknown in unknown_files(config, reader, wanted()):
        targets |= dict.fromkeys(file.target for file in unknown())
    if not targets:
        return
    named = ", ".join(f"{config.output.place}/{target}" for target in islice(targets, _NAMED))
    more = f" and {len(targets) - _NAMED:,} more" if len(targets) > _NAMED else ""
    number = counted(len(targets), "file")
    it, them, stands = ("it", "it", "stands") if len(targets) == 1 else ("they", "them", "stand")
    raise InputError(
        f"{number} {stands} where collected files do, and the ledger does not "
        f"know {them}: {named}{more}. The jobs would buy what {it} "
        "should hold already. If this ledger is an old one, put the newer one back. To keep "
        f"{them} without paying again, move the ledger away "
        f"({config.state.name}, {config.state.name}-wal and {config.state.name}-shm) and use "
        f"{typed('run', JOB, '--rebuild-ledger')}: it reads such files, and takes them up beside "
        f"all that {config.output.place}/manifest.jsonl knows. To buy anew, move "
        f"{them} out of {config.output.place}"
    )


def unknown_files(
    config: Config, reader: LedgerReader, wanted: Iterable[tuple[Series, Sequence[Window] | None]]
) -> Iterator[tuple[Series, Callable[[], Iterator[Published]]]]:
    """Of each series what gives the files in its folder that no report of the ledger has.

    Args:
        wanted: the series, each with the windows whose files count; None: all. See `published`.

    Raises:
        OutputError: by what is given: the folder cannot be read.
    """
    for series, listed in listings(config, wanted):
        yield series, partial(_unknown_files, config, reader, series, listed)


def _unknown_files(
    config: Config,
    reader: LedgerReader,
    series: Series,
    listed: Callable[[], Iterable[Published]],
) -> Iterator[Published]:
    try:
        for file in listed():
            if not reader.is_published(series, file.window, file.target):
                yield file
    except OSError as error:
        folder = f"{config.output.place}/{series_folder(series)}"
        raise OutputError(explain(error, folder, "read")) from error


def listings(
    config: Config, wanted: Iterable[tuple[Series, Sequence[Window] | None]]
) -> Iterator[tuple[Series, Callable[[], Iterable[Published]]]]:
    """Of each series what lists the files in its folder; an object store is asked ahead.

    Raises:
        OSError: by what is given; see `published`.
    """
    store = output_store(config.output)
    if not config.output.url:
        for series, within in wanted:
            yield series, partial(published, store, series, within)
        return
    with ThreadPoolExecutor(_LISTED_TOGETHER, "list") as pool:
        ahead: deque[tuple[Series, Callable[[], Iterable[Published]]]] = deque()
        for series, within in wanted:
            future = pool.submit(lambda *which: list(published(store, *which)), series, within)
            ahead.append((series, future.result))
            if len(ahead) >= _LISTED_TOGETHER:
                yield ahead.popleft()
        yield from ahead
