"""Applies a person's decision to one report that is not collected, with the calls that it takes.

What costs nothing comes first: look again (`refetch`), take what was found (`adopt`), take what
came (`accept_file`), do without (`waive`). `resubmit` alone pays.
"""

from functools import partial
from typing import Final

from orchestrator.core import echo, lifecycle
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import Event, State
from orchestrator.core.model import Report
from orchestrator.core.ports import Collector, Ledger, Priority
from orchestrator.engine.key_session import KeySession
from orchestrator.errors import InputError, NotFound, WindowTaken

_DONE: Final = frozenset({State.VERIFIED, State.COLLECTED, State.SUPERSEDED, State.ERASED})
"""Reports whose file is here, or was: nothing about them waits for a decision."""

_STILL_FOLLOWED: Final = frozenset({State.SUBMITTED, State.READY})


async def adopt(report: Report, request_id: str, ledger: Ledger, session: KeySession) -> Report:
    """Takes a report at the API as the one that a row asked for whose create is unknown.

    It works on held rows, and for ever on rows that were given up after a create of which nobody
    knew whether it happened.

    Raises:
        InputError: the row has an id already, the API does not know this id, it is another row's,
            it is a report of something else, or another report has the window by now.
    """
    _only(report, lifecycle.Adopted.after, "--adopt")
    try:
        remote = await session.ask(partial(session.api.status, request_id), Priority.POLL)
    except NotFound as error:
        raise InputError(f"--adopt {request_id}: the API does not know it ({error})") from error
    wrong = echo.wrong_echo(report, remote)
    if wrong is not None:
        raise InputError(f"--adopt {request_id}: it is a report of something else: {wrong}")
    owner = (await ledger.owners_of((request_id,))).get(request_id)
    if owner is not None:
        raise InputError(f"--adopt {request_id}: report {owner} of this ledger owns it already")
    return await _apply(ledger, report, lifecycle.Adopted(request_id, "adopted by the user"))


async def refetch(report: Report, ledger: Ledger) -> Report:
    """Has the next run ask for the report's status anew, and fetch its file again; free.

    What is kept aside of it stays until then. A report that a run follows anyway is left as it is.

    Raises:
        InputError: the API never had it under an id, or its file is here, or can be of no use.
    """
    if report.state in _STILL_FOLLOWED:
        return report
    _only(report, lifecycle.Refetched.after | _STILL_FOLLOWED, "--refetch")
    return await _apply(ledger, report, lifecycle.Refetched("looked at again, as the user asked"))


async def resubmit(report: Report, ledger: Ledger, collector: Collector) -> Report:
    """Lets the next run buy the report's window again.

    Raises:
        InputError: the report is collected, or its window is debt already; or it is erased, and
            its file is still there.
    """
    if report.state is State.ERASED and report.target is not None:
        raise InputError(
            f"report {report.id}: its file {report.target} is still to be removed; "
            f"{typed('run', JOB)} does that first"
        )
    if report.state in lifecycle.Resubmitted.after:
        await collector.discard(report)
        return await ledger.apply(report, lifecycle.Resubmitted("bought again by the user"))
    if await ledger.undo_give_up(report):
        return report
    if report.state in _DONE:
        raise InputError(_is_here(report))
    raise InputError(
        f"report {report.id} came to nothing ({report.state.value}), and its window is not held "
        "back: "
        f"{typed('run', JOB)} asks for it again as far as a job wants it"
    )


async def accept_file(report: Report, ledger: Ledger, collector: Collector) -> Report:
    """Takes the file of a disputed report as it is, and publishes it.

    Raises:
        InputError: the report is not disputed.
        CollectError: there is no file of it, it cannot even be unpacked, or another file stands
            in its place.
    """
    _only(report, lifecycle.Accepted.after, "--accept-file")
    accepted = lifecycle.Accepted(**vars(await collector.accept(report)))
    report = await ledger.apply(report, accepted)
    if await collector.publish(report):
        report = await ledger.apply(report, lifecycle.Published())
    return report


async def waive(report: Report, ledger: Ledger) -> Report:
    """Does without what the report would have brought; its window is not asked for again.

    Raises:
        InputError: the report's file is here, it is waived already, or another report has its
            window by now.
    """
    if await ledger.acknowledge(report):
        return report
    if report.state in _DONE:
        raise InputError(_is_here(report))
    if report.state is State.WAIVED:
        raise InputError(f"report {report.id} is waived already")
    return await _apply(ledger, report, lifecycle.Waived("waived by the user"))


async def _apply(ledger: Ledger, report: Report, event: Event) -> Report:
    try:
        return await ledger.apply(report, event)
    except WindowTaken as error:
        raise InputError(f"{error}; nothing about it waits for a decision") from error


def _only(report: Report, states: frozenset[State], option: str) -> None:
    if report.state in _DONE:
        raise InputError(_is_here(report))
    if report.state not in states:
        wanted = " or ".join(sorted(state.value for state in states))
        raise InputError(
            f"{option}: report {report.id} is {report.state.value}, and this is for one that is "
            f"{wanted}"
        )


def _is_here(report: Report) -> str:
    return (
        f"report {report.id} is {report.state.value}: nothing about it waits for a decision; "
        f"see {typed('status')}"
    )
