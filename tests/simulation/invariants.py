"""What must hold whatever happened: nothing lost in silence, nothing paid twice without cause."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from orchestrator.collect.layout import MANIFEST, PARTIAL, QUARANTINE
from orchestrator.core.intervals import subtract, union
from orchestrator.core.lifecycle import State
from orchestrator.engine import list_probes
from orchestrator.ledger.sqlite import connect
from orchestrator.ledger.store import Store
from orchestrator.simulator import RecordDigest, digest_csv
from orchestrator.simulator.faults.reports import Gone, Link, Outcome, Stuck, WrongEcho

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Iterator, Sequence

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Report, Series
    from orchestrator.engine.run import RunEnd
    from orchestrator.simulator.reports import Report as Bought
    from tests.kit.stage import Stage
    from tests.simulation.cases import Case

_OUR_TASKS: Final = tuple(
    f"orchestrator/{part}/" for part in ("engine", "api", "ledger", "collect")
)
_CAME_TO_NOTHING: Final = frozenset(
    {State.TRUNCATED, State.FAILED, State.ABORTED, State.EXPIRED, State.LOST, State.CANCELLED}
)
"""States after which the policy buys a window again."""

_INSTANT: Final = 1e-6


def of_an_ending(end: RunEnd) -> Iterator[str]:
    """A run says of each series that is not done what is left, and why; and no error is a bug."""
    yield from (f"an unexpected error of this program: {bug!r}" for bug in end.bugs)
    for one in end.unsettled:
        if not any(given.reason for given in one.given_up) and one.given_up:
            yield f"{one.series}: given up without a reason"
        if any(not report.reason for report in one.disputed):
            yield f"{one.series}: disputed without a reason"


def of_tasks(tasks: Iterable[asyncio.Task[Any]]) -> Iterator[str]:
    """Between runs nothing of ours is running."""
    for task in tasks:
        code = getattr(task.get_coro(), "cr_code", None)
        if not task.done() and code is not None and _is_ours(code.co_filename):
            yield f"a task was left behind: {code}"


def _is_ours(path: str) -> bool:
    return any(part in path for part in _OUR_TASKS)


def of_the_end(case: Case, here: Stage, began: Sequence[float]) -> Iterator[str]:
    """All that must hold once the last run has ended."""
    rows = here.reports()
    yield from _ledger_is_sound(here)
    yield from _collected_is_true(case, here, rows)
    yield from _all_is_accounted_for(case, here, rows)
    yield from _paid_once(here, rows)
    yield from _none_is_forgotten(here, rows)
    yield from _never_too_fast(case, here, began)
    yield from _nothing_strays(here, rows)
    yield from _nothing_leaked(case, here)


def _ledger_is_sound(here: Stage) -> Iterator[str]:
    connection = sqlite3.connect(here.config.state)
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    finally:
        connection.close()
    if verdict != "ok" or broken:
        yield f"the ledger is damaged: {verdict} {broken}"


def _collected_is_true(case: Case, here: Stage, rows: Sequence[Report]) -> Iterator[str]:
    for series in case.series:
        collected = _windows(rows, series, {State.COLLECTED})
        total = RecordDigest()
        for report in rows:
            if report.series == series and report.state is State.COLLECTED:
                total += _tally(here, report)
        truth = RecordDigest()
        for window in union(collected):
            truth += here.truth(series, window)
        if total != truth:
            yield f"{series}: {total.rows} records in the files, {truth.rows} in truth"


def never_ends(here: Stage, row: Report) -> bool:
    """A report that the API leaves unfinished, or whose file it never gives: it stays open.

    The run waits, and says so by its exit code.
    """
    bought = here.sim.world.find(row.request_id or "")
    if bought is None:
        return False
    if row.state is State.READY:
        return bought.fault(Gone) is not None
    return row.state is State.SUBMITTED and (
        bought.fault(Stuck) is not None
        or ((outcome := bought.fault(Outcome)) is not None and outcome.status == "ARCHIVED")
        or ((link := bought.fault(Link)) is not None and link.to == "missing")
    )


def _tally(here: Stage, report: Report) -> RecordDigest:
    assert report.target is not None
    path = here.output / report.target
    if path.stat().st_size == 0:
        return RecordDigest()
    with path.open("rb") as file:
        return digest_csv(file)


def _windows(rows: Sequence[Report], series: Series, states: set[State]) -> list[Window]:
    return [row.window for row in rows if row.series == series and row.state in states]


def _all_is_accounted_for(case: Case, here: Stage, rows: Sequence[Report]) -> Iterator[str]:
    """Every moment that is wanted is collected, or given up, held or disputed, with words."""
    connection = connect(here.config.state, read_only=True)
    try:
        store = Store(connection)
        for series in case.series:
            wanted = case.wanted(series)
            given_up = store.given_up(series)
            if any(not one.reason for one in given_up):
                yield f"{series}: given up without a reason"
            waiting = [
                row
                for row in rows
                if row.series == series and row.state in (State.DISPUTED, State.HELD)
            ]
            if any(not row.reason for row in waiting):
                yield f"{series}: disputed or held without a reason"
            missing = subtract(
                wanted,
                (
                    *_windows(rows, series, {State.COLLECTED}),
                    *(one.window for one in given_up),
                    *(row.window for row in waiting),
                    *(row.window for row in rows if row.series == series and never_ends(here, row)),
                ),
            )
            if missing:
                yield f"{series}: nobody answers for {', '.join(map(str, missing))}"
    finally:
        connection.close()


def _paid_once(here: Stage, rows: Sequence[Report]) -> Iterator[str]:
    """Of the reports that were paid for one record, all but one came to nothing first."""
    by_id = {row.request_id: row for row in rows if row.request_id}
    unrecognisable = _unrecognisable(here, rows)
    guilty: dict[tuple[str, ...], int] = defaultdict(int)
    for ids in here.sim.world.paid_twice().values():
        series_state = [
            one
            for one in ids
            if one not in unrecognisable and (one not in by_id or not _came_to_nothing(by_id[one]))
        ]
        if len(series_state) > 1:
            guilty[ids] += 1
    for ids, records in guilty.items():
        words = "; ".join(
            f"{one}: {by_id[one].state.value} ({by_id[one].reason})"
            if one in by_id
            else f"{one}: not ours?"
            for one in ids
        )
        yield f"{records} records were paid twice: {words}"


def _unrecognisable(here: Stage, rows: Sequence[Report]) -> set[str]:
    """Reports of ours that nobody can find after a lost create.

    Either the API gives them out as somebody else's, or a stranger asked for the very same, and
    it is the stranger's that was adopted.
    """
    by_id = {row.request_id for row in rows}
    adopted = [row for row in rows if _is_of_a_stranger(here, row)]
    return {
        one.request_id
        for one in here.sim.world.all_reports()
        if one.fault(WrongEcho)
        or (one.request_id not in by_id and any(_same(row, one) for row in adopted))
    }


def _came_to_nothing(row: Report) -> bool:
    return row.state in _CAME_TO_NOTHING


def _none_is_forgotten(here: Stage, rows: Sequence[Report]) -> Iterator[str]:
    """Every report of ours at the API is a row, or a row says that it may exist."""
    by_id = {row.request_id for row in rows}
    given_up = _given_up_ids(here)
    for bought in here.sim.world.reports():
        if bought.stranger or bought.fault(WrongEcho) or bought.request_id in by_id:
            continue
        if bought.request.product == list_probes.PRODUCT:
            continue
        answering = [
            row
            for row in rows
            if _same(row, bought)
            and (
                (row.request_id is None and (row.state is State.HELD or row.id in given_up))
                or _is_of_a_stranger(here, row)
            )
        ]
        if not answering:
            states = [
                f"{row.id} {row.state.value}: {row.reason}" for row in rows if _same(row, bought)
            ]
            yield f"report {bought.request_id} was bought and forgotten; rows: {states}"


def _given_up_ids(here: Stage) -> set[int]:
    connection = sqlite3.connect(here.config.state)
    try:
        return {row[0] for row in connection.execute("SELECT report_id FROM given_up")}
    finally:
        connection.close()


def _same(row: Report, bought: Bought) -> bool:
    request = bought.request
    return (
        row.window.start == request.start
        and row.window.end == request.end
        and row.series.account_id == request.account_id
        and row.series.product == request.product
        and row.series.direction == request.direction
        and dict(row.series.fields) == {**request.flags, **dict(request.filters)}
    )


def _is_of_a_stranger(here: Stage, row: Report) -> bool:
    """It adopted a twin that equals what was asked for in every field: as good as our own."""
    bought = here.sim.world.find(row.request_id or "")
    return bought is not None and bought.stranger and _same(row, bought)


def _never_too_fast(case: Case, here: Stage, began: Sequence[float]) -> Iterator[str]:
    """The calls of a key keep their distance within a run; hops of a download are one call."""
    if any(fault.do == "redirect" for fault in case.settings.faults.faults):
        return
    by_key: dict[str, list[float]] = defaultdict(list)
    for at, key, _place in here.sim.call_times:
        by_key[key].append(at)
    for key, times in by_key.items():
        for first, second in pairwise(times):
            new_run = any(first <= start <= second for start in began)
            if second - first < 1 / case.rate - _INSTANT and not new_run:
                yield f"key {key}: calls at {first} and {second}, at a rate of {case.rate}"
                break


def _nothing_strays(here: Stage, rows: Sequence[Report]) -> Iterator[str]:
    named = {row.target for row in rows if row.state is State.COLLECTED}
    for path in here.output.rglob("*"):
        place = path.relative_to(here.output)
        elsewhere = place.parts[0] in (QUARANTINE, MANIFEST, PARTIAL)
        if path.is_file() and not elsewhere and str(place) not in named:
            yield f"{place} belongs to no collected report"


def _nothing_leaked(case: Case, here: Stage) -> Iterator[str]:
    if here.sim.leaks:
        yield f"credentials were sent to a foreign host: {here.sim.leaks}"
    secrets = [key.api_secret for key in case.settings.keys]
    for path in here.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield from (f"{path} holds a secret" for one in secrets if one.encode() in content)
    for note in here.seen.notes:
        yield from (f"a note holds a secret: {note}" for one in secrets if one in note)
