"""Decides what an error means, how long to wait, and which exit code a run ends with. All pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final

from orchestrator.errors import (
    ApiError,
    InputError,
    InvalidTransition,
    LedgerError,
    LedgerLocked,
    NotFound,
    OutputError,
    Rejected,
    ServerFault,
    Throttled,
    TooLarge,
    TransportError,
    Unauthorized,
)

if TYPE_CHECKING:
    from orchestrator.core.settings import PollPolicy, RetryPolicy


class ExitCode(IntEnum):
    """What a command's end means to whoever called it."""

    DONE = 0
    FINDINGS = 1
    BAD_INPUT = 2
    LOCKED = 3
    BUG = 70
    DISK = 74
    UNFINISHED = 75
    INTERRUPTED = 130
    TERMINATED = 143


def most_telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error of a group that decides the exit code: by the order of the exit codes."""
    order = (ExitCode.BAD_INPUT, ExitCode.LOCKED, ExitCode.DISK, ExitCode.BUG)
    return min(errors_in(group), key=lambda error: order.index(code_of(error)))


def errors_in(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group that are no groups, the outermost first; or the one error itself."""
    todo = [error]
    while todo:
        first = todo.pop(0)
        if isinstance(first, BaseExceptionGroup):
            todo.extend(first.exceptions)
        else:
            yield first


def code_of(error: BaseException) -> ExitCode:
    """The exit code of an error that ended a command."""
    match error:
        case InputError():
            return ExitCode.BAD_INPUT
        case LedgerLocked():
            return ExitCode.LOCKED
        case InvalidTransition():
            return ExitCode.BUG
        case LedgerError() | OutputError():
            return ExitCode.DISK
        case _:
            return ExitCode.BUG


def is_retryable(error: BaseException) -> bool:
    """Whether the same request may work a little later, and repeating it does no harm.

    For requests that change nothing. A create is judged by `after_create` alone. Throttling is
    not here: the rate limiter deals with it, and it does not count as an attempt.
    """
    return isinstance(error, TransportError | ServerFault) and not isinstance(error, TooLarge)


def backoff(
    policy: RetryPolicy, attempt: int, jitter: float, asked: timedelta | None = None
) -> timedelta:
    """How long to wait after the failed `attempt` (from 1).

    Between `wait_initial` and ``min(wait_max, wait_initial * 2**attempt)``, by `jitter` in
    [0, 1), so that many clients do not come back together. What the server asked for wins.
    """
    if asked is not None:
        return asked
    ceiling = min(policy.wait_max, policy.wait_initial * (1 << min(attempt, 30)))
    return policy.wait_initial + (max(ceiling, policy.wait_initial) - policy.wait_initial) * jitter


class Scope(Enum):
    """What a refusal of the API is about, and what is therefore left alone for this run."""

    KEY = "key"
    ACCOUNT = "account"
    SERIES = "series"


class CreateFailure(Enum):
    """Why a create surely made nothing, beside a `Scope` that was refused; and what follows."""

    THROTTLED = "the key asks too often: it is sent again at the key's next turn"
    NO_ROOM = "the API takes no more open reports of the key: it is sent again when one has ended"
    OUT_OF_REACH = "the API is out of reach: it is sent again after a pause"
    DATES_REFUSED = "the API refuses the dates: a smaller window may pass"


def after_create(error: ApiError) -> CreateFailure | Scope | None:  # noqa: PLR0911 - one arm a kind of error
    """What a failed create means: why it surely made nothing.

    A scope was refused: nothing more of it is asked for in this run. None: it is unknown whether it
    made something; it is reconciled, and never repeated by itself.
    """
    match error:
        case Throttled():
            return CreateFailure.THROTTLED
        case TransportError(maybe_sent=False):
            return CreateFailure.OUT_OF_REACH
        case Unauthorized(status=401):
            return Scope.KEY
        case Unauthorized():
            return Scope.ACCOUNT
        case NotFound(problem=None) | Rejected(problem=None):
            return None  # without a problem in its body it may be a gateway that speaks
        case Rejected(status=422, names_a_date=True):
            return CreateFailure.DATES_REFUSED
        case NotFound() | Rejected(status=400 | 422):
            return Scope.SERIES
        case _:  # any other error of the API
            return None


RECONCILE_LOOKS: Final = 3
"""Minimum number of working list calls that must lack a report before it counts as absent."""

RECONCILE_STEPS: Final = 4
"""Equal steps in which the searches until absence may be believed are spread over that time."""

RECONCILE_LOOKS_AT_MOST: Final = 3 * RECONCILE_LOOKS
"""Maximum number of searches in one run, those that prove nothing included."""

RECONCILE_LEAST: Final = timedelta(minutes=10)
"""Absence is not believed earlier, however short the pauses between searches are set."""

HOLD_FOR: Final = timedelta(hours=72)
"""How long a report that can be neither found nor ruled out is searched for, from run to run."""


def reconcile_until(policy: PollPolicy) -> timedelta:
    """How long after the intent the last search must be, for a missing report to be absent."""
    return max(10 * policy.interval_max, RECONCILE_LEAST)


def reconcile_pause(policy: PollPolicy, look: int, age: timedelta, rate: float = 1.0) -> timedelta:
    """How long to wait before a search for the report of an intent of this age.

    The first searches are spread so that the last of them comes when `reconcile_until` allows it
    to count; more follow quickly, in case other reports have shown up by then.

    Args:
        look: its number, from 0.
        age: of the intent, by the API's clock.
        rate: seconds of the API's clock for each of ours; 1 but at a simulator.
    """
    due = reconcile_until(policy) * min(1.0, look / RECONCILE_STEPS)
    return max((due - age) / rate, timedelta() if look == 0 else policy.interval_initial)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run leaves behind: of the series of its jobs, and of the open reports of its keys."""

    unfinished: bool  # open or held reports, and time that is still owed and not refused
    needs_person: bool  # windows given up or disputed, and series, accounts or keys refused
    interrupted: int | None = None  # the signal that drained the run; None if none did
    bug: bool = False  # an unexpected error ended the work on a report
    # what the disk or the store refused and the next run tries again, in words; empty if nothing
    not_removed: str = ""
    not_written: str = ""
    refetch: str = ""  # what is left of the newer editions that `refetch` buys, in words

    def and_also(self, other: RunOutcome) -> RunOutcome:
        """What both leave behind together."""
        return RunOutcome(
            unfinished=self.unfinished or other.unfinished,
            needs_person=self.needs_person or other.needs_person,
            interrupted=other.interrupted if self.interrupted is None else self.interrupted,
            bug=self.bug or other.bug,
            not_removed=self.not_removed or other.not_removed,
            not_written=self.not_written or other.not_written,
            refetch=self.refetch or other.refetch,
        )


def exit_code(remains: RunOutcome) -> ExitCode:
    """The exit code of a run that came to its end: the first that applies.

    What needs a person is never hidden by what the next run does by itself.
    """
    if remains.not_removed or remains.not_written:
        return ExitCode.DISK
    if remains.bug:
        return ExitCode.BUG
    match remains.interrupted:
        case 2:
            return ExitCode.INTERRUPTED
        case 15:
            return ExitCode.TERMINATED
        case None:
            pass
        case other:
            raise AssertionError(f"signal {other} does not drain a run")
    if remains.needs_person:
        return ExitCode.FINDINGS
    return ExitCode.UNFINISHED if remains.unfinished else ExitCode.DONE
