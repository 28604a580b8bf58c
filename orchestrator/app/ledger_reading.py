"""The ledger as the use cases read it. Whatever reads here never changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from orchestrator.collect.layout import MANIFEST, first_folder, holds_files
from orchestrator.config import Inputs
from orchestrator.core.column_drift import ColumnDrift, drift_of
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Job, Report, Series
from orchestrator.core.ports import LedgerReader
from orchestrator.core.settings import Config
from orchestrator.errors import InputError
from orchestrator.ledger import IN_MEMORY, ledger_exists, open_reader

if TYPE_CHECKING:
    from orchestrator.collect.stores.base import OutputStore  # its package is loaded late

_T = TypeVar("_T")


def ledger_is_missing(config: Config) -> str | None:
    """What stands in the output directory that a missing ledger must have known; None if nothing.

    A ledger that exists is not missing.
    """
    if ledger_exists(config.state):
        return None
    name = held_in_output(config)
    if name == MANIFEST and _tells_nothing(config):
        name = _folder_in_output(config)
    return name


def held_in_output(config: Config) -> str | None:
    """What tells that there are collected files: a manifest, or a folder; None if there are none.

    Raises:
        InputError: the object store needs a library that is not installed.
        OutputError: the output directory, or the object store, cannot be read.
    """
    if not config.output.url:
        from orchestrator.collect.disk import translate_os_errors  # noqa: PLC0415 - start-up time

        with translate_os_errors(config.output.directory, "read"):
            return holds_files(config.output.directory)
    is_there = _look(config, lambda store: store.size(MANIFEST) is not None)
    return MANIFEST if is_there else _folder_in_output(config)


def _folder_in_output(config: Config) -> str | None:
    if not config.output.url:
        folders = config.output.directory.glob("report_account=*")
        return next((path.name for path in folders), None)
    return _look(config, first_folder)


def _look(config: Config, what: Callable[[OutputStore], _T]) -> _T:
    """What is seen in the object store of the output.

    Raises:
        InputError: it needs a library that is not installed.
        OutputError: it cannot be read.
    """
    from orchestrator.collect.disk import translate_os_errors  # noqa: PLC0415 - start-up time
    from orchestrator.collect.stores import output_store  # noqa: PLC0415 - start-up time

    with translate_os_errors(config.output.url, "read"):
        return what(output_store(config.output))


def _tells_nothing(config: Config) -> bool:
    """Whether the manifest names neither a file nor a report."""
    from orchestrator.collect.manifest import survey  # noqa: PLC0415 - start-up time
    from orchestrator.collect.stores import output_store  # noqa: PLC0415

    return survey(output_store(config.output)).tells_nothing


def refuse_missing_ledger(config: Config) -> None:
    """A ledger that is gone must not be begun anew beside its files: all would be paid again.

    Raises:
        InputError: there are collected files, but no ledger.
    """
    name = ledger_is_missing(config)
    if name is not None:
        raise InputError(
            f"there is no ledger at {config.state}, but {config.output.place} holds {name}: "
            "beginning anew would buy everything again; point `state` at the ledger, or use "
            f"{typed('run', JOB, '--rebuild-ledger')} to make one from the manifest"
        )


@contextmanager
def reading_ledger(config: Config, *, whole: bool = False) -> Iterator[LedgerReader]:
    """The ledger to read from; an empty one, in memory, where none has been begun.

    Args:
        whole: all of it is read first, and checked for damage.

    Raises:
        InputError: the ledger is missing beside its files.
        LedgerError: it cannot be read, or is damaged.
    """
    refuse_missing_ledger(config)
    url = config.state if ledger_exists(config.state) else IN_MEMORY
    with open_reader(url, whole=whole) as reader:
        yield reader


def series_of(reader: LedgerReader, jobs: Sequence[Job]) -> Iterator[Series]:
    """The series of the jobs, each once, in the jobs' order; without jobs, all of the ledger."""
    if not jobs:
        yield from reader.all_series()
        return
    seen: set[str] = set()
    for job in jobs:
        for entry in job.series:
            if entry.series.key not in seen:
                seen.add(entry.series.key)
                yield entry.series


def column_drift(
    reader: LedgerReader, jobs: Sequence[Job], after: int = 0
) -> Iterator[ColumnDrift]:
    """How the columns of files have changed, of each series of which they have; see `drift_of`."""
    for series in series_of(reader, jobs):
        if drift := drift_of(series, reader.column_changes(series), after):
            yield drift


def collected(reader: LedgerReader, jobs: Sequence[Job]) -> Iterator[Report]:
    """The collected reports of the jobs' series, by series and time."""
    for series in series_of(reader, jobs):
        yield from reader.reports(series, (State.COLLECTED,))


class LedgerView:
    """A result that is read from the ledger bit by bit.

    Each of its iterators opens the ledger and closes it at its end; inside a ``with`` block all of
    them use one reader. Not for two threads at once.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self._stack = ExitStack()
        self._reader: LedgerReader | None = None

    def __enter__(self) -> Self:
        """Opens the ledger.

        Raises:
            InputError: the ledger is missing beside its files.
            LedgerError: it cannot be read, or is damaged.
        """
        self._reader = self._stack.enter_context(reading_ledger(self.inputs.config))
        return self

    def __exit__(self, *error: Any) -> None:  # noqa: PYI036 - passed on
        """Closes the ledger."""
        self._reader = None
        self._stack.__exit__(*error)

    @contextmanager
    def _reading(self) -> Iterator[LedgerReader]:
        """The ledger: the one of the ``with`` block, or one for this use alone."""
        if self._reader is not None:
            yield self._reader
        else:
            with reading_ledger(self.inputs.config) as reader:
                yield reader
