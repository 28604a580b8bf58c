"""Cancels at the API what is open of the jobs, and forgets what earlier runs still owe."""

from dataclasses import dataclass
from datetime import timedelta

from orchestrator.app.ledger_reading import refuse_missing_ledger
from orchestrator.app.ledger_writing import Announce, no_announcement, writing_ledger
from orchestrator.app.setup import (
    SystemClock,
    credentials_of,
    open_sessions,
)
from orchestrator.config import Inputs
from orchestrator.core.policy import ExitCode
from orchestrator.engine import cancel as engine_cancel
from orchestrator.engine.cancel import Cancellation
from orchestrator.ledger import ledger_exists


@dataclass(frozen=True, slots=True)
class CancelResult:
    """What became of the open reports.

    Attributes:
        forgotten: series whose relative windows begin anew today.
    """

    reports: tuple[Cancellation, ...] = ()
    forgotten: int = 0

    @property
    def cancelled(self) -> int:
        """How many reports are cancelled."""
        return sum(each.done for each in self.reports)

    @property
    def still_open(self) -> int:
        """How many reports are still open; the next run goes on with them."""
        return sum(each.report.state.is_open for each in self.reports)

    @property
    def code(self) -> ExitCode:
        """`ExitCode.UNFINISHED` where reports are still open, else `ExitCode.DONE`."""
        return ExitCode.UNFINISHED if self.still_open else ExitCode.DONE


async def cancel(
    inputs: Inputs,
    *,
    forget: bool = False,
    lock_wait: timedelta = timedelta(),
    announce: Announce = no_announcement,
) -> CancelResult:
    """Cancels the open reports of the jobs' series, whoever asked for them.

    A report that is finished at the API is paid: it stays, and a run collects its file. So does
    one that the API may have or not.

    Args:
        forget: also drop what the relative windows of earlier runs still owe.
        lock_wait: how long to wait for another run on the same ledger.
        announce: called with level and text of what a person should know.

    Raises:
        InputError: credentials are missing, or ledger and files do not belong together.
        LedgerLocked: another run is active on the ledger.
        LedgerError: the ledger cannot be read or written.
    """
    refuse_missing_ledger(inputs.config)
    credentials = credentials_of(inputs)
    if not ledger_exists(inputs.config.state):
        return CancelResult()
    clock = SystemClock()
    forgotten = 0
    async with (
        writing_ledger(inputs.config, clock, lock_wait, announce=announce) as writable,
        open_sessions(inputs.config, credentials, clock) as sessions,
    ):
        by_name_and_key = {
            **{session.api_key: session for session in sessions.values()},
            **sessions,
        }
        reports = await engine_cancel.cancel(inputs.jobs, writable.ledger, by_name_and_key)
        if forget:
            forgotten = await engine_cancel.forget(inputs.jobs, writable.ledger, clock.now())
        await writable.manifest.write(clock.now())
    return CancelResult(reports, forgotten)
