"""The library: its examples run, a cancellation drains, and the process stays as it is."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, Mock

import anyio
import pytest

import orchestrator
from orchestrator import (
    Decision,
    ExitCode,
    InputError,
    LedgerLocked,
    OrchestratorError,
    cancel,
    check,
    choose_editions,
    files,
    load,
    plan,
    resolve,
    run,
    run_sync,
    status,
    to_erase,
    verify,
)
from orchestrator.core.events import DebtKnown, ReportChanged
from orchestrator.core.lifecycle import State
from orchestrator.errors import LedgerError, TransportError, Unauthorized, WrongCount
from orchestrator.ledger.sqlite import SqliteLedger
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import REPORTS, simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kit.cli_worlds import Place

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "library.md"
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    with simulated(tmp_path) as place:
        yield place


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Few reports at a time: there is always something that is not asked for yet."""
    monkeypatch.chdir(tmp_path)
    with simulated(tmp_path, processing_time=timedelta(seconds=200)) as place:
        place.write_config(more="limits: {in_flight: 5}")
        yield place


# --- the document ---------------------------------------------------------------------------------


def examples() -> list[tuple[str, str]]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(r"(?ms)^```python (\w+)\n(.*?)^```$", text)


def execute(source: str) -> None:
    """Runs an example; a cell as a notebook does, inside an event loop."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(source, str(DOCUMENT), "exec", flags=flags)
    names: dict[str, Any] = {}
    if code.co_flags & inspect.CO_COROUTINE:

        async def cell() -> None:
            await eval(code, names)

        asyncio.run(cell())
    else:
        exec(code, names)


@pytest.mark.parametrize(
    ("kind", "source"), examples(), ids=[f"{kind}{i}" for i, (kind, _) in enumerate(examples())]
)
def test_every_example_runs(
    place: Place, kind: str, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(source)
    shown = capsys.readouterr().out
    if "run" in source:
        assert place.is_the_truth()
    if kind == "task":
        assert int(shown) == sum(file.rows for file in files(load([place.job])))


def test_the_document_has_a_script_a_cell_and_a_task() -> None:
    assert {kind for kind, _ in examples()} == {"script", "cell", "task"}


def test_every_public_name_is_there() -> None:
    for name in orchestrator.__all__:
        assert getattr(orchestrator, name) is not None, name
    assert set(orchestrator.__all__) <= set(dir(orchestrator))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = orchestrator.nothing


def test_importing_the_package_imports_no_use_case() -> None:
    program = "import orchestrator, sys; print([n for n in sys.modules if 'orchestrator.' in n])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "['orchestrator.version']"


# --- results --------------------------------------------------------------------------------------


def test_plan_run_status_files_and_verify_agree(place: Place) -> None:
    inputs = load([place.job])
    assert plan(inputs).totals().chunks == REPORTS
    assert sum(1 for line in plan(inputs).lines() for _ in line.debt.chunks()) == REPORTS
    assert list(files(inputs)) == []

    summary = run_sync(inputs)

    assert summary.code is ExitCode.DONE
    assert summary.collected.reports == REPORTS
    assert plan(inputs).totals().chunks == 0
    with status(inputs) as current:
        assert sum(each.collected.reports for each in current.series()) == REPORTS
        assert list(current.reports()) == []
        assert list(current.given_up()) == []
    listed = list(files(inputs))
    assert len(listed) == REPORTS
    assert sum(file.rows for file in listed) == summary.collected.rows
    assert all(file.path.is_absolute() and file.path.is_file() for file in listed)
    result = verify(inputs)
    assert (result.code, result.files, result.findings) == (ExitCode.DONE, REPORTS, ())
    assert place.is_the_truth()


def test_verify_calls_back_and_returns_the_same_findings(place: Place) -> None:
    inputs = load([place.job])
    run_sync(inputs)
    first = next(files(inputs)).path
    first.unlink()
    found: list[orchestrator.Finding] = []
    progress: list[tuple[int, int]] = []

    result = verify(
        inputs, on_finding=found.append, on_progress=lambda *numbers: progress.append(numbers)
    )

    assert result.code is ExitCode.FINDINGS
    assert result.findings == tuple(found)
    assert [(finding.fault, finding.path) for finding in found] == [("missing", str(first))]
    assert progress == [(number, REPORTS) for number in range(REPORTS + 1)]


@pytest.mark.anyio
async def test_check_is_awaited(place: Place) -> None:
    result = await check(load([place.job]))
    assert result.code is ExitCode.DONE
    assert {"config", "rights", "ledger"} <= {made.subject for made in result.checks}


@pytest.mark.anyio
async def test_a_second_run_is_refused(slow: Place) -> None:
    inputs = load([slow.job])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, inputs)
        await until(lambda: slow.calls("download") > 0)
        with pytest.raises(LedgerLocked):
            await run(inputs)
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_what_is_open_is_cancelled_and_what_is_not_there_is_not_resolved(
    slow: Place,
) -> None:
    inputs = load([slow.job])
    with anyio.move_on_after(0.6):
        await run(inputs)
    result = await cancel(inputs)
    assert result.cancelled + result.still_open == len(result.reports)
    assert result.cancelled > 0
    with pytest.raises(InputError, match="the ledger has no report 4711"):
        await resolve(inputs, Decision.WAIVE, ["4711"])


def test_one_job_file_needs_no_list(place: Place) -> None:
    """A text is one path, not a list of letters."""
    assert load(str(place.job)).jobs == load(place.job).jobs == load([place.job]).jobs


def test_all_mistakes_of_the_inputs_are_raised_at_once(place: Place) -> None:
    place.write_job("name: job\naccounts: []\nproducts: [NONE]\n")
    with pytest.raises(InputError) as caught:
        load([place.job])
    assert len(caught.value.mistakes) > 1


def test_without_credentials_nothing_is_begun(place: Place) -> None:
    config = place.directory / "config.yaml"
    config.write_text(
        re.sub(r'"api_secret": "[^"]*"', '"api_secret": "${NONE}"', config.read_text())
    )
    with pytest.raises(InputError, match="NONE"):
        run_sync(load([place.job]))
    assert not place.state.exists()


def test_events_tell_what_a_run_does(place: Place) -> None:
    events: list[object] = []
    run_sync(load([place.job]), on_event=events.append)
    collected = [
        event
        for event in events
        if isinstance(event, ReportChanged) and event.report.state is State.COLLECTED
    ]
    assert len(collected) == REPORTS


def test_newer_editions_are_chosen_and_bought(place: Place) -> None:
    inputs = load([place.job])
    run_sync(inputs)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    choice = choose_editions(inputs, "2026-01-01", "2026-01-02", now)
    assert len(choice.renewals) == 6, "one report of each series"
    summary = run_sync(inputs, again=choice.renewals)
    assert summary.code is ExitCode.DONE
    assert place.bought() == REPORTS + len(choice.renewals)


@pytest.mark.parametrize(
    "error",
    [
        InputError("a text"),
        LedgerLocked("a text"),
        WrongCount(1, 2),
        Unauthorized("a text", status=401),
        TransportError("a text", call="GET /v2/reports", maybe_sent=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_through_a_pool_of_processes_as_it_is(error: OrchestratorError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


# --- cancellation ---------------------------------------------------------------------------------


async def until(happened: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not happened():  # noqa: ASYNC110 - it happens in another thread
            await anyio.sleep(0.005)


def goes_on(place: Place) -> None:
    """Nothing was lost and nothing is paid twice: the next run completes."""
    inputs = load([place.job])
    with status(inputs) as current:
        states = {state for each in current.series() for state in each.states}
    assert not states & {State.SUBMITTING}, "no create was cut off"
    assert run_sync(inputs).code is ExitCode.DONE
    assert place.is_the_truth()
    assert place.bought() == REPORTS


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_a_cancelled_task_drains(slow: Place, times: int) -> None:
    async def main() -> None:
        task = asyncio.create_task(run(load([slow.job])))
        await until(lambda: slow.calls("download") > 2)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (slow.directory / "reports" / "manifest.jsonl").exists()
    goes_on(slow)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_each_interrupt_of_run_sync_is_a_cancellation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """The second is none of asyncio, which would cut off the create that is in flight."""
    monkeypatch.chdir(tmp_path)
    late = Fault.of("create", "hang", seconds=1, made=True, nth=5)

    def interrupt(place: Place) -> None:
        while place.calls("create") < 5:
            time.sleep(0.005)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    with simulated(tmp_path, faults=Faults((late,))) as place:
        sender = threading.Thread(target=interrupt, args=(place,))
        sender.start()
        with pytest.raises(KeyboardInterrupt):
            run_sync(load([place.job]))
        sender.join()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        goes_on(place)


def test_a_timeout_of_asyncio_drains(slow: Place) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await run(load([slow.job]))

    asyncio.run(main())
    goes_on(slow)


def test_a_cancel_scope_of_anyio_drains(slow: Place) -> None:
    async def main() -> None:
        with anyio.move_on_after(0.6) as scope:
            await run(load([slow.job]))
        assert scope.cancelled_caught

    anyio.run(main)
    goes_on(slow)


def test_a_cancelled_wait_for_the_lock_ends_at_once(slow: Place) -> None:
    async def main() -> None:
        inputs = load([slow.job])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, inputs)
            await until(lambda: slow.calls("download") > 0)
            with anyio.move_on_after(0.2) as scope:
                await run(inputs, lock_wait=timedelta(minutes=1))
            assert scope.cancelled_caught
            tasks.cancel_scope.cancel()

    anyio.run(main)
    goes_on(slow)


def test_who_is_cancelled_already_begins_nothing(place: Place) -> None:
    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run(load([place.job]))

    anyio.run(main)
    assert not place.state.exists()


def test_a_deadline_returns_a_summary(slow: Place) -> None:
    summary = run_sync(load([slow.job]), deadline=timedelta(seconds=0.6))
    assert summary.code is ExitCode.UNFINISHED
    assert summary.why_stopped == "the deadline has come"
    goes_on(slow)


# --- the process around it ------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [True, False], ids=["summary", "error"])
def test_an_error_of_on_event_is_told_once(
    place: Place,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    ends: bool,
) -> None:
    """Also where the run ends with an error. Before: to nobody, where there is no display."""

    def fail(event: object) -> None:
        raise RuntimeError("a bug of the program")

    if ends:
        assert run_sync(load([place.job]), on_event=fail).code is ExitCode.DONE
    else:
        monkeypatch.setattr(SqliteLedger, "record_intent", Mock(side_effect=LedgerError("full")))
        with pytest.raises(LedgerError, match="full"):
            run_sync(load([place.job]), on_event=fail)
    (line,) = caplog.records
    assert (line.name, line.levelname) == ("orchestrator", "WARNING")
    assert "failed, the run did not: RuntimeError('a bug of the program')" in line.getMessage()
    assert line.exc_info is not None


@pytest.mark.parametrize("broken", ["note", "keep_up"])
def test_a_display_that_fails_ends_no_run(
    place: Place, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    display = AsyncMock(note=Mock(), close=Mock())
    getattr(display, broken).side_effect = RuntimeError("a bug of the program")
    assert run_sync(load([place.job]), display=display).code is ExitCode.DONE
    (line,) = caplog.records
    assert "failed, the run did not: RuntimeError('a bug of the program')" in line.getMessage()


@pytest.mark.parametrize("of_the_loop", [False, True])
def test_handlers_of_the_program_are_put_back_after_a_run(
    place: Place, *, of_the_loop: bool
) -> None:
    """`handle_signals=True` takes their place for as long as the run works."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    taken: asyncio.Queue[int] = asyncio.Queue()
    sent: list[int] = []

    def stop(event: object) -> None:
        if isinstance(event, DebtKnown) and not sent:
            sent.append(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    async def main() -> None:
        if of_the_loop:
            for number in numbers:
                asyncio.get_running_loop().add_signal_handler(number, taken.put_nowait, number)
        own = [signal.getsignal(number) for number in numbers]
        summary = await run(load([place.job]), handle_signals=True, on_event=stop)
        assert summary.code is ExitCode.TERMINATED
        assert taken.empty()
        assert [signal.getsignal(number) for number in numbers] == own
        for number in numbers:
            os.kill(os.getpid(), number)
            assert await asyncio.wait_for(taken.get(), PATIENCE) == number

    before = [signal.getsignal(number) for number in numbers]
    try:
        for number in () if of_the_loop else numbers:
            signal.signal(number, lambda number, _: taken.put_nowait(number))
        asyncio.run(main())
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_the_process_stays_as_it_is(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """No signal handler, no umask, no line; and yet the files are private, as the config says."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    seen: list[Any] = []

    class Watch:
        def note(self, level: str, text: str, facts: object) -> None:
            seen.append(signal.getsignal(signal.SIGTERM))

        async def keep_up(self, stats: object, jobs: object) -> None:
            seen.append(signal.getsignal(signal.SIGTERM))

        def close(self) -> None:
            raise AssertionError

    mask = os.umask(0o022)
    try:
        run_sync(load([place.job]), display=Watch())
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(mask)

    assert [signal.getsignal(number) for number in numbers] == before
    assert set(seen) == {before[1]}
    assert capfd.readouterr() == ("", "")
    rights = stat.S_IMODE((place.directory / "reports").stat().st_mode)
    assert rights == 0o700
    assert stat.S_IMODE(place.state.stat().st_mode) == 0o600


def test_in_an_event_loop_run_sync_says_what_to_use(place: Place) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"await run\(…\)"):
            run_sync(load([place.job]))

    asyncio.run(main())


def test_results_are_values(place: Place) -> None:
    """Nobody can change what was told, and a copy of it is equal."""
    inputs = load([place.job])
    summary = run_sync(inputs)
    assert pickle.loads(pickle.dumps(summary)) == summary
    erasure, totals = to_erase(inputs, "2026-03-01"), plan(inputs).totals()
    assert (erasure.files, totals.complete) == (12, 6)
    with status(inputs) as current:
        (of_job,) = current.jobs()
    results = (
        (summary, "code"),
        (erasure, "files"),
        (totals, "complete"),
        (of_job, "missing"),
    )
    for result, name in results:
        with pytest.raises(FrozenInstanceError):
            setattr(result, name, 0)
