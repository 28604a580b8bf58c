"""A run of the real program tells a real server how it begins and ends."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click
import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from prometheus_client.parser import text_string_to_metric_families

from orchestrator import InputError, load, run, run_sync
from orchestrator.cli.main import call
from orchestrator.ledger import lock
from orchestrator.notify.outcomes import file_of
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import Place, simulated
from tests.kit.servers import http_server

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE = """\
name: nightly
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-02-01}]
"""

Got = list[tuple[str, Any]]


@contextmanager
def hooks(status: int = 200) -> Iterator[tuple[str, Got]]:
    """A server that takes every POST: its address, and the path and body of each."""
    got: Got = []

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        got.append((request.path, json.loads(body) if body else None))
        return web.Response(status=status)

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(http_server(take)) as url,
    ):
        yield url, got


def notify(place: Place, *lines: str) -> None:
    place.write_config(more="\n".join(lines))


def is_alive(process: int) -> bool:
    """Whether a process still runs; one that has ended may wait for its parent."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


FAILING = Faults((Fault.of("create", "refuse", status=403),))


def test_a_run_pings_its_start_and_its_end(tmp_path: Path) -> None:
    with hooks() as (url, got), simulated(tmp_path, job=ONE) as place:
        notify(place, f"ping: {url}/p/secret")
        assert place.run() == 0
    assert got == [("/p/secret/start", None), ("/p/secret", None)]


def test_a_failure_and_the_recovery_are_told_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hooks() as (url, got), simulated(tmp_path, job=ONE) as place:
        monkeypatch.setenv("HOOK", f"{url}/hook")
        hook = 'notify: [{on: changed, webhook: "${HOOK}", text: "{jobs}: {outcome}, {why}"}]'
        notify(place, hook)
        assert place.run() == 0
        place.write_job(ONE.replace("2026", "x"))
        assert place.run() == 2
        assert place.run() == 2
        place.write_job(ONE)
        assert place.run() == 0
        assert place.run() == 0
    assert [path for path, _ in got] == ["/hook", "/hook"]
    failure, recovery = (body for _, body in got)
    assert (failure["outcome"], failure["exit_code"], failure["exit_word"]) == (
        "failure",
        2,
        "bad_input",
    )
    assert failure["text"].startswith("job: failure, ")
    assert "windows[0].from" in failure["text"]
    assert recovery["outcome"] == "success"
    assert recovery["in_all"]["reports"] == 1
    assert recovery["text"] == "nightly: success, "


def test_a_run_that_needs_a_person_says_why(tmp_path: Path) -> None:
    with hooks() as (url, got), simulated(tmp_path, job=ONE, faults=FAILING) as place:
        notify(place, f"notify: [{{on: [failure], webhook: '{url}/', template: slack}}]")
        assert place.run() == 1
    ((_, body),) = got
    assert "needs you (exit code 1)" in body["text"]
    assert "refused by the API" in body["text"] or "refused" in body["text"]


def test_a_held_lock_is_told(tmp_path: Path) -> None:
    with (
        hooks() as (url, got),
        start_blocking_portal() as portal,
        simulated(tmp_path, job=ONE) as place,
    ):
        notify(place, f"notify: [{{on: failure, webhook: '{url}/'}}]")
        assert place.run() == 0
        held = portal.wrap_async_context_manager(lock.run_lock(place.state, timedelta()))
        with held:
            assert place.run() == 3
    ((_, body),) = got
    assert (body["exit_code"], body["jobs"]) == (3, ["job"])


def test_what_cannot_be_told_is_a_warning_and_the_run_ends_as_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.notify.sending._PAUSES_SECONDS", (0.0, 0.0))
    with hooks(500) as (url, got), simulated(tmp_path, job=ONE) as place:
        notify(
            place,
            f"ping: {url}/secret-path",
            "notify:",
            f"  - {{on: always, webhook: '{url}/secret-path'}}",
            "  - {on: always, webhook: '${NOT_SET}'}",
            "  - {on: always, command: /no/such/program}",
            "metrics: {textfile: /no/such/folder/x.prom}",
        )
        assert place.run() == 0
    told = capsys.readouterr().err
    for words in (
        "warning: the ping could not be sent: HTTP 500",
        "warning: notify[0] could not be told how the run ended: HTTP 500",
        "warning: notify[1] could not be told how the run ended: the variable NOT_SET is not set",
        "warning: notify[2] could not be told how the run ended: /no/such/program cannot be run",
        "warning: metrics.textfile /no/such/folder/x.prom cannot be written",
    ):
        assert words in told
    assert "secret-path" not in told
    assert len([path for path, _ in got if path == "/secret-path"]) == 6


def test_signals_cut_the_telling_short_and_change_nothing_else(tmp_path: Path) -> None:
    started = tmp_path / "started"
    script = f"(sleep 60; touch {tmp_path}/late) & echo $! > {started}; wait"
    (tmp_path / "slow.sh").write_text(script)
    with simulated(tmp_path, job=ONE) as place:
        notify(
            place,
            f"notify: [{{on: [always, changed], command: 'sh {tmp_path}/slow.sh'}}]",
            "metrics: {textfile: m.prom}",
        )
        with place.process("run", str(place.job), "--quiet") as running:
            assert running.stderr is not None
            while not started.exists() or not started.read_text().endswith("\n"):
                assert running.poll() is None
                time.sleep(0.02)
            assert "orchestrator_last_run_exit_code 0" in (tmp_path / "m.prom").read_text()
            running.send_signal(signal.SIGTERM)
            said = "warning: SIGTERM: 5 seconds for telling how the run ended\n"
            assert said in iter(running.stderr.readline, "")
            running.send_signal(signal.SIGINT)
            told = running.stderr.read()
            assert running.wait() == 0
        assert "notify[0] could not be told how the run ended: it was cut off by a signal" in told
        past = json.loads(file_of(place.state).read_text())
        assert (past["outcome"], past["untold"]) == ("success", {"notify[0]": None})
    killed = int(started.read_text())
    for _ in range(500):  # the signal is sent; the process needs a turn of its own to end
        if not is_alive(killed):
            break
        time.sleep(0.02)
    assert not is_alive(killed)


def test_a_change_that_could_not_be_told_is_told_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    with hooks() as (url, got), simulated(tmp_path, job="name: x\n") as place:
        notify(place, 'notify: [{on: changed, webhook: "${HOOK}"}]')
        assert place.run() == 2
        assert got == []
        monkeypatch.setenv("HOOK", url)
        assert place.run() == 2
        assert len(got) == 1
        assert place.run() == 2
        assert place.state.parent.stat().st_mode & 0o777 == 0o700
    assert len(got) == 1, "the failures of a job that never ran are one failure, too"


def test_metrics_hold_the_last_success_through_failures(tmp_path: Path) -> None:
    def samples() -> dict[str, float]:
        families = text_string_to_metric_families((tmp_path / "m.prom").read_text())
        return {one.name: one.value for family in families for one in family.samples}

    with simulated(tmp_path, job=ONE) as place:
        notify(place, "metrics: {textfile: m.prom}")
        assert place.run() == 0
        first = samples()
        assert first["orchestrator_last_run_exit_code"] == 0
        assert first["orchestrator_collected_records"] > 0
        place.write_job("name: x\n")
        assert place.run() == 2
        second = samples()
    assert (tmp_path / "m.prom").stat().st_mode & 0o777 == 0o644
    assert second["orchestrator_last_run_exit_code"] == 2
    assert second["orchestrator_last_run_duration_seconds"] < 60
    name = "orchestrator_last_success_timestamp_seconds"
    assert abs(second[name] - first[name]) <= 1
    assert second[name] <= second["orchestrator_last_run_timestamp_seconds"]


def test_a_config_of_another_user_tells_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may name an address of the other user's."""
    with hooks() as (url, got), simulated(tmp_path, job=ONE) as place:
        notify(place, f"notify: [{{on: always, webhook: '{url}/'}}]")
        (tmp_path / "config.yaml").chmod(0o666)
        assert place.run() == 2
    assert got == []


def test_a_dry_run_tells_nobody(tmp_path: Path) -> None:
    with hooks() as (url, got), simulated(tmp_path, job=ONE) as place:
        notify(place, f"ping: {url}/", f"notify: [{{on: always, webhook: '{url}/'}}]")
        assert place.run("--dry-run") == 0
    assert got == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("notify: {on: always}", "notify: is not a list"),
        ("notify: [{on: always}]", "notify[0]: has no webhook and no command"),
        ("notify: [{webhook: 'https://h/'}]", "notify[0]: on is missing"),
        ("notify: [{on: sometimes, command: x}]", "sometimes is none of the choices"),
        ("notify: [{on: [], command: x}]", "is an empty list"),
        (
            "notify: [{on: always, command: x, webhook: 'https://h/'}]",
            "has a webhook and a command",
        ),
        ("notify: [{on: always, command: 'mail | x'}]", "needs a shell for |"),
        (
            "notify: [{on: always, command: 'x', text: '{job}'}]",
            "{job} is no field; did you mean jobs",
        ),
        ("notify: [{on: always, command: 'x', text: '{'}]", "has braces that do not match"),
        ("metrics: {text: x}", "metrics.text: is not a key here"),
    ],
)
def test_wrong_settings_are_told_with_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    with simulated(tmp_path, job=ONE) as place:
        notify(place, text)
        assert place.run() == 2
    assert told in capsys.readouterr().err


def test_check_sends_a_test_message_only_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hooks() as (url, got), simulated(tmp_path, job=ONE) as place:
        notify(
            place,
            f"ping: {url}/p",
            "notify:",
            f"  - {{on: failure, webhook: '{url}/'}}",
            "  - {on: failure, webhook: '${NOT_SET}'}",
        )
        assert place.check() == 0
        assert (
            "warning  notify: notify[1]: the variable NOT_SET is not set" in capsys.readouterr().out
        )
        assert got == []
        assert call(["check", str(place.job), "--notify"]) == 0
    assert {path for path, _ in got} == {"/", "/p"}
    assert [body["test"] for _, body in got if body] == [True]
    assert "ok       notify: 2 test messages sent" in capsys.readouterr().out


def test_ctrl_c_at_the_question_of_again_is_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hooks() as (url, got), simulated(tmp_path, job=ONE) as place:
        assert place.run() == 0
        notify(place, f"notify: [{{on: [always], webhook: {url}/hook}}]")
        for stream in (sys.stdin, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)

        def interrupted(*_: object, **__: object) -> bool:
            raise click.Abort

        monkeypatch.setattr(click, "confirm", interrupted)
        assert place.run("--again", "--from", "2026-01-01", "--to", "2026-02-01") == 130
    assert got == []


# --- runs of the library --------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, Got]]:
    """A place whose runs are told, with what was told."""
    with hooks() as (url, got), simulated(tmp_path, job=ONE) as place:
        notify(place, f"notify: [{{on: always, webhook: '{url}/'}}]")
        yield place, got


def test_a_run_of_the_library_is_told_where_it_is_asked_for(told: tuple[Place, Got]) -> None:
    place, got = told
    inputs = load([place.job])
    assert run_sync(inputs).code == 0
    assert got == []
    assert run_sync(inputs, notify=True).code == 0
    assert [body["outcome"] for _, body in got] == ["success"]


@pytest.mark.anyio
async def test_errors_and_cancellations_of_the_library_are_told(
    told: tuple[Place, Got], tmp_path: Path
) -> None:
    place, got = told
    inputs = load([place.job])
    (tmp_path / "reports/report_account=abcd1234").mkdir(parents=True)
    with pytest.raises(InputError, match="there is no ledger"):
        await run(inputs, notify=True)
    with anyio.move_on_after(0):
        await run(inputs, notify=True)
    assert [body["exit_word"] for _, body in got] == ["bad_input", "interrupted"]
