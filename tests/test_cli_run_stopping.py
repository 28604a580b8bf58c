"""Runs that are stopped by signals, by SIGKILL too, and the runs that go on after them."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import REPORTS, simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kit.cli_worlds import Place

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No config from outside; and SIGHUP ends a process, though the tests may run under `nohup`."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a process inherits it
    yield
    signal.signal(signal.SIGHUP, before)


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Waits for something that a process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and output of a process that is about to end."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_one_signal_stops_in_order_and_the_next_run_completes(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    # Few at a time: there is always something not asked for yet.
    with simulated(tmp_path, processing_time=timedelta(seconds=80)) as place:
        place.write_config(more="limits: {in_flight: 5}")
        process = place.process("run", "job.yaml", "--json")
        wait_until(lambda: place.calls("download") > 2, process)
        process.send_signal(sent)
        returned, out, err = ended(process)
        assert returned == code
        assert (
            f"{sent.name}: stopping; requests in flight are finished, downloads have 10 seconds "
            "and keep what has come, open reports are left for the next run; a second signal gives "
            "them 5 seconds"
        ) in err
        answer = json.loads(out)
        assert answer["exit_code"] == code
        assert answer["unsettled"] != []
        assert (place.directory / "reports" / "manifest.jsonl").exists()
        assert place.run() == 0
        assert place.is_the_truth()
        assert place.bought() == REPORTS


def test_a_third_signal_ends_the_process_at_once_and_nothing_is_paid_twice(
    tmp_path: Path,
) -> None:
    hang = Fault.of("create", "hang", seconds=8, made=True, nth=5)
    with simulated(tmp_path, faults=Faults((hang,))) as place:
        process = place.process("run", "job.yaml")
        wait_until(lambda: place.calls("download") > 2, process)
        begun = time.monotonic()
        for number in (1, 2, 3):
            process.send_signal(signal.SIGINT)
            if number < 3:
                time.sleep(0.2)
        returned, _, err = ended(process)
        assert time.monotonic() - begun < 4
        assert returned == 130
        assert "SIGINT: 5 seconds for what is in flight; a third signal ends it at once" in err
        assert place.run() == 0
        assert place.is_the_truth()
        assert place.bought() == REPORTS


@pytest.mark.parametrize("after", [1, 9, 40], ids=["create 1", "create 9", "request 40"])
def test_after_a_sigkill_the_next_run_brings_exactly_the_truth(tmp_path: Path, after: int) -> None:
    with simulated(tmp_path) as place:
        process = place.process("run", "job.yaml")
        wait_until(lambda: sum(place.simulator.calls.values()) >= after, process)
        process.kill()
        assert ended(process)[0] == -signal.SIGKILL
        # What the kill has cut off may reach the API after the first look of the next run.
        assert any(place.run() == 0 for _ in range(20))
        assert place.is_the_truth()
        assert place.bought() == REPORTS


def test_a_signal_while_waiting_for_the_lock_ends_with_nothing_done(tmp_path: Path) -> None:
    with simulated(tmp_path) as place:
        place.state.parent.mkdir()
        with place.state.with_name("ledger.db.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = place.process("run", "job.yaml", "--lock-wait", "1m")
            assert is_waiting(place, process)
            process.send_signal(signal.SIGTERM)
            returned, out, err = ended(process)
        assert returned == 143
        assert out == ""
        assert err.endswith("stopped while waiting for another run to end; nothing was done\n")
        assert place.bill() == []


def is_waiting(place: Place, process: subprocess.Popen[str]) -> bool:
    """Waits until a process has the lock file open, and takes signals."""
    held = str(place.state.with_name("ledger.db.lock"))

    def has_it_open() -> bool:
        handles = []
        for handle in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                handles.append(str(handle.readlink()))
        return held in handles

    wait_until(has_it_open, process)
    return True


def test_a_run_that_waits_for_the_lock_goes_on_when_it_is_free(tmp_path: Path) -> None:
    with simulated(tmp_path) as place:
        place.state.parent.mkdir()
        with place.state.with_name("ledger.db.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = place.process("run", "job.yaml", "--lock-wait", "1m")
            assert is_waiting(place, process)
        assert ended(process)[0] == 0
        assert place.is_the_truth()


def test_a_hangup_that_is_ignored_stays_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `nohup` has it."""
    with simulated(tmp_path, processing_time=timedelta(seconds=80)) as place:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a process inherits it
        try:
            process = place.process("run", "job.yaml", "--json")
        finally:
            signal.signal(signal.SIGHUP, before)
        wait_until(lambda: place.calls("create") > 2, process)
        process.send_signal(signal.SIGHUP)
        returned, _, err = ended(process)
        assert returned == 0, err
        assert place.is_the_truth()


@pytest.mark.parametrize("sent", ["SIGTERM", "SIGHUP"])
def test_a_signal_while_modules_load_is_not_lost(sent: str) -> None:
    """The first process of a container has no default handlers."""
    program = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click':\n"
        f"            os.kill(os.getpid(), signal.{sent})\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"sys.path.append({str(Path(__file__).parents[1])!r})\n"
        "sys.argv = ['orchestrator', '--version']\n"
        "from orchestrator.start import entry\n"
        "entry()\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, b"", b"")
