"""What a machine must not decide: a person settles held, disputed and given-up reports."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.core import echo, lifecycle
from orchestrator.core.lifecycle import State
from orchestrator.core.ports import Priority
from orchestrator.errors import InputError, NotFound

if TYPE_CHECKING:
    from orchestrator.core.model import Report
    from orchestrator.core.ports import Collector, Ledger
    from orchestrator.engine.desk import Desk


async def adopt(report: Report, request_id: str, ledger: Ledger, desk: Desk) -> Report:
    """Takes a report at the API as the one that a held row asked for.

    Raises:
        InputError: the row is not held, the API does not know the id, it is another row's, or
            it is a report of something else.
    """
    _only(report, {State.HELD, State.SUBMITTING}, "--adopt")
    try:
        remote = await desk.ask(partial(desk.api.status, request_id), Priority.POLL)
    except NotFound as error:
        raise InputError(f"--adopt {request_id}: the API does not know it ({error})") from error
    wrong = echo.wrong_echo(report, remote)
    if wrong is not None:
        raise InputError(f"--adopt {request_id}: it is a report of something else: {wrong}")
    owner = (await ledger.owned((request_id,))).get(request_id)
    if owner is not None:
        raise InputError(f"--adopt {request_id}: report {owner} of this ledger owns it already")
    return await ledger.apply(report, lifecycle.Adopted(request_id, "adopted by the user"))


async def resubmit(report: Report, ledger: Ledger, collector: Collector) -> Report:
    """Lets the next run buy the report's window again.

    Raises:
        InputError: nothing about the report waits for a decision.
    """
    if report.state in (State.HELD, State.DISPUTED, State.WAIVED):
        await collector.discard(report)
        return await ledger.apply(report, lifecycle.Resubmitted("bought again by the user"))
    if await ledger.take_back(report):
        return report
    raise InputError(_nothing(report))


async def accept_file(report: Report, ledger: Ledger, collector: Collector) -> Report:
    """Takes the file of a disputed report as it is, and publishes it.

    Raises:
        InputError: the report is not disputed.
        CollectError: there is no file of it, or it cannot even be unpacked.
    """
    _only(report, {State.DISPUTED}, "--accept-file")
    verdict = await collector.accept(report)
    report = await ledger.apply(
        report,
        lifecycle.Accepted(
            sha256=verdict.sha256,
            rows=verdict.rows,
            size_bytes=verdict.size_bytes,
            target=verdict.target,
            foreign=verdict.foreign,
        ),
    )
    if await collector.publish(report):
        report = await ledger.apply(report, lifecycle.Published())
    return report


async def waive(report: Report, ledger: Ledger) -> Report:
    """Does without what the report would have brought; its window is not asked for again.

    Raises:
        InputError: nothing about the report waits for a decision.
    """
    if report.state in (State.HELD, State.DISPUTED):
        return await ledger.apply(report, lifecycle.Waived("waived by the user"))
    if await ledger.acknowledge(report):
        return report
    raise InputError(_nothing(report))


def _only(report: Report, states: set[State], option: str) -> None:
    if report.state not in states:
        wanted = " or ".join(sorted(state.value for state in states))
        raise InputError(
            f"{option}: report {report.id} is {report.state.value}, and this is for one that is "
            f"{wanted}"
        )


def _nothing(report: Report) -> str:
    return (
        f"report {report.id} is {report.state.value}: nothing about it waits for a decision; "
        "see `orchestrator status`"
    )
