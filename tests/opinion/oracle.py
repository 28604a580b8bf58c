"""The promises, judged by the simulator's bill and records, the files, and the exit codes.

What the product says of itself counts in one place only: what is not collected must be named.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from orchestrator.collect.layout import target
from orchestrator.core.intervals import Window, subtract, union
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from orchestrator.core.settings import Format
from orchestrator.simulator import RecordDigest, Settings, Truth
from tests.opinion.terminal import ENDLESS, PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from orchestrator.simulator.reports import Report as Bought
    from tests.opinion.cases import Case, JobFile
    from tests.opinion.scene import Scene
    from tests.opinion.terminal import Told

FILE_LIFE: Final = timedelta(hours=96).total_seconds()
"""After so many seconds since it was finished, a file that was not had may be bought again."""

REPORT_LIFE: Final = timedelta(hours=96).total_seconds()
"""After so many seconds since its create, a report that nobody could see may be bought again."""

UNKNOWN_FOR: Final = 3600.0
"""A report that answered 404 for so long, and stood in no list, may be bought again."""

PURCHASES_AT_MOST: Final = 13
"""Of one moment of one series, until a person has a say."""

DEADLINE_GRACE: Final = 90.0
"""Seconds: a create in flight may take `api.timeout` and a little more."""

CREATES_A_RUN: Final = 400
"""More creates in one run are an endless loop: the cases hold a few dozen reports at most."""

_NAME: Final = re.compile(r"(\d{8}T\d{6}Z)_(\d{8}T\d{6}Z)(?:_e\d+)?\.(csv|csv\.gz|zip)")
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_SLACK: Final = 120.0


# --- after every command --------------------------------------------------------------------------


def of_a_command(scene: Scene, told: Told) -> Iterator[str]:
    """What must hold after any command, whatever happened to it."""
    about = f"{told.arguments[0]}: "
    for word in (
        ()
        if told.code is None
        else ("Traceback (most recent call last)", "internal error (please report it)")
    ):
        if word in told.errors:
            yield f"TRACEBACK {about}{_tail(told.errors)}"
            break
    if told.code == ENDLESS:
        yield f"ENDLESS {about}it ran for {PATIENCE_SECONDS / 3600:.0f} hours"
        return
    may_be = {None, 0, 1, 2, 75, 130, 143} | ({74} if scene.may_refuse else set())
    if told.code not in may_be:
        yield f"EXIT {about}{told.code}: {_tail(told.errors)}"
    if told.code == 2 and not scene.may_refuse and told.arguments[0] == "run":
        yield f"REFUSED {about}{_tail(told.errors)}"
    if told.creates > CREATES_A_RUN:
        yield f"ENDLESS {about}{told.creates} creates in one run"
    if scene.front.exposed:
        yield f"LEAK {about}credentials went to {scene.front.exposed}"
        scene.front.exposed.clear()
    yield from _bounded(scene)
    if told.arguments[0] == "run" and told.code in (0, 1, 75):
        yield from _files_are_true(scene)
        yield from _in_time(told)
        if told.code == 75 and any(
            one["given_up"] or one["disputed"] or one["refused"]
            for one in told.answer.get("unsettled", ())
        ):
            yield f"EXIT 75 hides what needs a person: {scene.states()}"
    if told.arguments[0] == "run" and told.code == 0 and "--again" not in told.arguments:
        yield from _all_is_there(scene, told)


def _in_time(told: Told) -> Iterator[str]:
    """A deadline is kept, but for what must not be cut: a create, and a download's grace."""
    if "--deadline" in told.arguments:
        words = told.arguments[told.arguments.index("--deadline") + 1]
        seconds = float(words[:-1]) * {"s": 1, "m": 60}[words[-1]]
        late = told.ended - told.began - seconds
        if late > DEADLINE_GRACE:
            yield f"DEADLINE of {words} passed by {late:.0f} s"


def _all_is_there(scene: Scene, told: Told) -> Iterator[str]:
    """Exit 0: nothing of these jobs is missing, and nothing of their keys is open."""
    jobs = [job for job in scene.jobs.values() if str(scene.path(job)) in told.arguments]
    for job in jobs:
        for series, missing in _missing(scene, job, told):
            yield f"EXIT 0 although {series} lacks {_words(missing)}"
    keys = {"default": "abcd1234", "beta": "beta0001"}
    of_keys = {keys[job.credentials] for job in jobs}
    for row in scene.rows():
        if row.state.is_open and row.api_key in of_keys:
            about = f"report {row.id} ({row.series}, {row.window})"
            yield f"EXIT 0 although {about} is {row.state.value}"


def _missing(scene: Scene, job: JobFile, told: Told) -> Iterator[tuple[Series, tuple[Window, ...]]]:
    """What a job wants at a run, is not in the files, and nobody does without."""
    wanted = union(job.wanted, _yesterday(told) if job.yesterday else ())
    for series in job.series:
        waived = [one.window for one in scene.waived if one.series == series and one.window]
        had = union((window for window, _ in _files(scene, series)), waived)
        missing = subtract(wanted, had)
        if missing:
            yield series, missing


def _yesterday(told: Told) -> tuple[Window, ...]:
    """The day before a run, if by both clocks it has been over for longer than any `settle`."""
    midnight = told.at.replace(hour=0, minute=0, second=0, microsecond=0)
    if min(told.at, told.api_at) - midnight < timedelta(hours=4):
        return ()
    return (Window(midnight - timedelta(days=1), midnight),)


def _files(scene: Scene, series: Series) -> Iterator[tuple[Window, Path]]:
    """The collected files of a series, by their names."""
    some = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    folder = (scene.output / target(series, some, Format.CSV)).parent
    for path in sorted(folder.glob("*")):
        if name := _NAME.fullmatch(path.name):
            start, end = (
                datetime.strptime(text, _STAMP).replace(tzinfo=UTC) for text in name.group(1, 2)
            )
            yield Window(start, end), path


def _files_are_true(scene: Scene) -> Iterator[str]:
    """Each file holds just the records of its window, and no two hold the same moment."""
    for series in scene.known_series:
        found = list(_files(scene, series))
        for window, path in found:
            if str(path.relative_to(scene.output)) in scene.accepted:
                continue
            truth = _truth(scene.case.settings, series, window)
            held = _tally(path)
            if held != truth:
                had = "cannot be read" if held is None else f"{held.rows} records"
                yield f"LOST {series}, {window}: {had}, {truth.rows} in truth"
        ordered = sorted(window for window, _ in found)
        for first, second in pairwise(ordered):
            if second.start < first.end:
                yield f"TWICE IN FILES {series}: {first} and {second}"


def _tally(path: Path) -> RecordDigest | None:
    """The records of a file; None if it cannot be read."""
    try:
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
        elif path.name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                names = [name for name in archive.namelist() if name.lower().endswith(".csv")]
                content = archive.read(names[0])
        rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        next(rows, None)
        return RecordDigest().add_all(row for row in rows if row)
    except (OSError, ValueError, csv.Error, zipfile.BadZipFile, EOFError, IndexError):
        return None


_truths: dict[tuple[int, float, str, Window], RecordDigest] = {}


def _truth(settings: Settings, series: Series, window: Window) -> RecordDigest:
    key = (settings.seed, settings.records_per_day, series.key, window)
    if key not in _truths:
        if len(_truths) > 10_000:
            _truths.clear()
        _truths[key] = Truth(settings, series.body, window.start, window.end).record_digest()
    return _truths[key]


# --- what was paid --------------------------------------------------------------------------------


@lru_cache(maxsize=10_000)
def _series_key(body: tuple[tuple[str, str | bool], ...]) -> Series:
    fields = dict(body)
    account, product = str(fields.pop("account_id")), str(fields.pop("product"))
    direction = fields.pop("direction", None)
    return Series.of(account, product, None if direction is None else str(direction), fields)


def series_of(bought: Bought) -> Series:
    """The series of a report at the API."""
    request = bought.request
    body: dict[str, str | bool] = {
        "account_id": request.account_id,
        "product": request.product,
        **({} if request.direction is None else {"direction": request.direction}),
        **request.flags,
        **dict(request.filters),
    }
    return _series_key(tuple(body.items()))


def _window_of(bought: Bought) -> Window:
    return Window(bought.request.start, bought.request.end)


def paid_once(scene: Scene) -> Iterator[str]:
    """Of the reports that were paid for one record, each later one had a cause."""
    world = scene.front.world
    by_id = {one.request_id: one for one in world.reports()}
    guilty: dict[tuple[str, str], int] = defaultdict(int)
    for ids in world.paid_twice().values():
        bought = sorted((by_id[one] for one in ids), key=lambda one: one.number)
        for number, later in enumerate(bought):
            without = [one for one in bought[:number] if not _has_cause(scene, one, later)]
            if without:
                guilty[without[-1].request_id, later.request_id] += 1
    for (first, second), records in guilty.items():
        yield (
            f"PAID TWICE {records} records: {_about(scene, by_id[first])}; "
            f"then {_about(scene, by_id[second])}"
        )


def _has_cause(scene: Scene, earlier: Bought, later: Bought) -> bool:
    """Whether something entitles to buy `later` although `earlier` is paid."""
    series, window = series_of(earlier), _window_of(earlier)
    if series != series_of(later):
        return True  # a person has asked for other series that overlap
    if any(
        earlier.created <= one.at <= later.created + _SLACK and one.is_about(series, window)
        for one in scene.bought_anew
    ):
        return True
    row = next((row for row in scene.rows() if row.request_id == earlier.request_id), None)
    gone = scene.front.vanished.get(earlier.number, later.created)
    was_cut = earlier.final_status == "TRUNCATED" and (earlier.ended or 0.0) <= later.created
    if was_cut or later.created - gone >= UNKNOWN_FOR:
        return True
    if row is None:
        return scene.case.config.on_unknown == "resubmit" or _is_over(earlier, later.created)
    was_had = row.state in (State.COLLECTED, State.SUPERSEDED)
    return not was_had and _is_over(earlier, later.created)


def _is_over(bought: Bought, at: float) -> bool:
    """Whether the life of a report, or that of its file, was over at a time."""
    file_is_over = bought.ended is not None and at - bought.ended >= FILE_LIFE - _SLACK
    return file_is_over or at - bought.created >= REPORT_LIFE - _SLACK


def _about(scene: Scene, bought: Bought) -> str:
    row = next((row for row in scene.rows() if row.request_id == bought.request_id), None)
    state = "not in the ledger" if row is None else f"{row.id} {row.state.value}: {row.reason}"
    at = timedelta(seconds=round(bought.created - scene.began))
    return (
        f"{series_of(bought)} {_window_of(bought)} bought at {at} ({bought.final_status}; {state})"
    )


def _bounded(scene: Scene) -> Iterator[str]:
    """No moment of a series is bought more often than there are causes for."""
    by_series: dict[Series, list[Bought]] = defaultdict(list)
    for one in scene.front.world.all_reports():
        if not one.stranger and one.request.product != "REPORTS-USAGE":
            by_series[series_of(one)].append(one)
    for series, bought in by_series.items():
        said = sum(one.series in (None, series) for one in scene.bought_anew)
        for start in {_window_of(one).start for one in bought}:
            moment = Window(start, start + timedelta(seconds=1))
            number = sum(_window_of(one).overlaps(moment) for one in bought)
            if number > PURCHASES_AT_MOST * (1 + said):
                yield f"BOUND {series}: {start:%Y-%m-%d} was bought {number} times"
                return


# --- at the end -----------------------------------------------------------------------------------


def of_the_end(scene: Scene, last: Told) -> Iterator[str]:
    """What must hold when no further run would change anything."""
    yield from paid_once(scene)
    if scene.ledger.exists() and not scene.is_sound():
        yield "LEDGER is damaged"
    named = {
        (one["account_id"], one["product"], one["direction"], _frozen(one["filter"]))
        for one in last.answer.get("unsettled", ())
    }
    kind = is_kind(scene.case)
    lacking = [pair for job in scene.jobs.values() for pair in _missing(scene, job, last)]
    for series, missing in lacking:
        fields = (series.account_id, series.product, series.direction, _frozen(series.filters))
        if fields not in named:
            yield f"UNNAMED {series} lacks {_words(missing)}, and exit {last.code} says nothing"
        elif kind and not (_came_late(scene.case) and _is_unknown(last, series)):
            why = next(_reasons(last, series), "")
            yield f"NOT COLLECTED {series} lacks {_words(missing)}: {why}"
    if kind and not lacking and last.code != 0:
        yield f"EXIT {last.code} although all is collected: {scene.states()}"


def _came_late(case: Case) -> bool:
    """Whether somebody waited for so long that a lost create could no longer be looked for."""
    from tests.opinion import deeds

    waits = [one.seconds for one in case.deeds if isinstance(one, deeds.Wait)]
    return sum(waits) > timedelta(hours=70).total_seconds()


def _is_unknown(last: Told, series: Series) -> bool:
    """Whether what is missing of a series is a create of which nobody knows what it became."""
    return any("unknown, maybe paid" in reason for reason in _reasons(last, series))


def _reasons(last: Told, series: Series) -> Iterator[str]:
    for one in last.answer.get("unsettled", ()):
        if (one["account_id"], one["product"], one["direction"]) == (
            series.account_id,
            series.product,
            series.direction,
        ):
            for entry in (*one["given_up"], *one["disputed"]):
                yield str(entry["reason"])
            yield f"owed {len(one['owed'])}, open {one['open']}, refused {one['refused']}"


def is_kind(case: Case) -> bool:
    """Whether an API like this, and people like these, leave nothing that needs a person."""
    from tests.opinion import deeds

    if any(one.of.unkind for one in case.deviations):
        return False
    if any(fault.do == "truncated" for fault in case.faults):
        return False
    killed = any(isinstance(one, deeds.Run) and one.stop is not None for one in case.deeds)
    exclusive_end_hint = killed or any(one.of.loses_creates for one in case.deviations)
    rebuilt = any(isinstance(one, deeds.Rebuild) for one in case.deeds)
    # A manifest does not tell how far the API's clock was from ours at a create.
    blind = any(one.of.blinds for one in case.deviations) or (
        rebuilt and abs(case.api_ahead) > timedelta(seconds=1)
    )
    # What was noted on a clock that was weeks ahead lives for as much longer: no life ends early.
    is_astray = any(
        isinstance(one, deeds.Clock) and one.ahead > timedelta(days=2).total_seconds()
        for one in case.deeds
    )
    return not (exclusive_end_hint and blind) and not is_astray


def _frozen(fields: object) -> str:
    return repr(sorted(fields.items())) if isinstance(fields, dict) else repr(fields)


def _words(windows: Iterable[Window]) -> str:
    return ", ".join(map(str, windows))


def _tail(text: str) -> str:
    """The last lines of an error."""
    with suppress(ValueError):
        text = text[text.index("Traceback") :]
    lines = text.strip().splitlines()
    errors = [line for line in lines if line.startswith("error")]
    return " | ".join(errors or lines[-6:])
