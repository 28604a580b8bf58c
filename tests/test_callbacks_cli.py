"""`orchestrator run` with a receiver of callbacks, against a simulator that calls back."""

from __future__ import annotations

import fcntl
import json
import socket
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from tests.kit.cli_worlds import JOB, REPORTS, Place, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with simulated(tmp_path) as made:
        yield made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def listen(place: Place, port: int, public_url: str = "") -> None:
    public_url = public_url or f"http://127.0.0.1:{port}/vonage"
    place.write_config(more=f"callback: {{listen: 127.0.0.1:{port}, public_url: '{public_url}'}}")


def addresses(place: Place) -> list[str]:
    """Those that were sent along; the ledger has forgotten them when a report is collected."""
    reports = place.portal.call(place.simulator.world.reports)
    return [str(report.request.callback_url) for report in reports]


def test_a_run_is_called_back_and_counts_the_calls(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    listen(place, port)
    assert place.run("--json") == 0
    out, err = capsys.readouterr()
    calls = json.loads(out)["callbacks"]
    assert 1 <= calls["received"] <= REPORTS
    assert (calls["unknown"], calls["refused"]) == (0, 0)
    assert f" callbacks: listening on 127.0.0.1:{port} for http://127.0.0.1:{port}/vonage\n" in err
    assert place.is_the_truth()


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--json", "--log-format", "json"],
        ["status", "--json"],
        ["files", "--json"],
        ["plan", "--json"],
        ["verify", "--json"],
    ],
    ids=lambda command: command[0],
)
def test_no_command_shows_an_address(
    place: Place, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    listen(place, free_port())
    name, *options = command
    first = [] if name == "run" else ["run"]
    assert [call([one, str(place.job)]) for one in first] == [0] * len(first)
    assert call([name, str(place.job), *options]) == 0
    out, err = capsys.readouterr()
    files = [
        path.read_text(errors="replace")
        for path in (place.directory / "reports").rglob("*")
        if path.is_file()
    ]
    tokens = [url.rpartition("/")[2] for url in addresses(place)]
    assert len(tokens) == REPORTS
    assert min(map(len, tokens)) == 32
    shown = "\n".join([out, err, *files])
    assert not [token for token in tokens if token in shown]


def test_an_address_that_is_taken_is_a_warning_and_the_run_looks_by_itself(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen(place, port)
        assert place.run("--json", "--quiet") == 0
    out, err = capsys.readouterr()
    assert err.partition(" ")[2] == (
        f"warning: callback.listen: 127.0.0.1:{port} cannot be listened on (Address already in "
        "use); this run polls its reports\n"
    )
    assert json.loads(out)["callbacks"] is None
    assert place.is_the_truth()


def test_a_run_that_is_never_called_says_so_and_is_complete(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The simulator calls nobody but this machine; as an API that cannot reach the address."""
    listen(place, 0, "https://hooks.example.com/vonage")
    assert place.run("--json", "--quiet") == 0
    out, err = capsys.readouterr()
    assert err.partition(" ")[2] == (
        "warning: callbacks: none came for 24 reports; is https://hooks.example.com/vonage what "
        "reaches 127.0.0.1:0 from outside? The run looked at its reports itself\n"
    )
    assert json.loads(out)["callbacks"] == {"received": 0, "unknown": 0, "refused": 0}
    assert place.is_the_truth()


def test_a_job_with_a_callback_url_of_its_own_keeps_it_which_is_said_once(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write_job(JOB + "callback_url: https://example.com/hook\n")
    listen(place, free_port())
    assert place.run("--json") == 0
    out, err = capsys.readouterr()
    assert err.count("callbacks: reports of job call the job's own callback_url, not here\n") == 1
    assert set(addresses(place)) == {"https://example.com/hook"}
    assert json.loads(out)["callbacks"] == {"received": 0, "unknown": 0, "refused": 0}


def test_a_dry_run_listens_nowhere(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen(place, taken.getsockname()[1])
        assert place.run("--dry-run") == 0
    assert "callback" not in capsys.readouterr().err


# --- check ----------------------------------------------------------------------------------------


def check_line(place: Place, capsys: pytest.CaptureFixture[str]) -> str:
    assert call(["check", str(place.job)]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if " callbacks: " in one]
    return line


def test_check_says_whether_a_run_could_listen(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    listen(place, 0, "https://hooks.example.com/vonage")
    words = (
        "ok       callbacks: a run can listen on 127.0.0.1:0 for https://hooks.example.com/vonage"
    )
    assert check_line(place, capsys) == words


def test_check_warns_of_a_port_that_another_has(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen(place, port)
        assert check_line(place, capsys) == (
            f"warning  callbacks: callback.listen 127.0.0.1:{port} cannot be listened on (Address "
            "already in use); change callback.listen; a run does without"
        )


def test_check_does_not_try_the_port_of_a_run_that_is_active(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen(place, port)
        place.state.parent.mkdir()
        with place.state.with_name("ledger.db.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert check_line(place, capsys) == (
                f"ok       callbacks: 127.0.0.1:{port} was not tried: a run is active, and may "
                "listen there"
            )
