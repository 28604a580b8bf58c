"""Results that read the ledger when they are asked, so that a million reports cost no memory."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from orchestrator.app.setup import reading_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from orchestrator.config import Inputs
    from orchestrator.core.ports import LedgerReader


class LedgerView:
    """A result that is read from the ledger bit by bit.

    Each of its iterators opens the ledger and closes it at its end; inside a ``with`` block all of
    them use one reader. Not for two threads at once.

    Args:
        inputs: the jobs and the config, which names the ledger.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the ledger."""
        self._reader = None
        self._stack.__exit__(kind, error, trace)

    @contextmanager
    def _reading(self) -> Iterator[LedgerReader]:
        """The ledger: the one of the ``with`` block, or one for this use alone."""
        if self._reader is not None:
            yield self._reader
        else:
            with reading_ledger(self.inputs.config) as reader:
                yield reader
