"""`check` against a simulator on this machine; `schema`; and the help of these commands."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from orchestrator.app import check_api, check_disk
from orchestrator.app.check_disk import Level
from orchestrator.app.setup import SystemClock
from orchestrator.cli.main import call
from orchestrator.config import config_schema, job_schema
from orchestrator.core.model import Series
from orchestrator.errors import LedgerError
from orchestrator.ledger import integrity, open_ledger
from orchestrator.simulator import Fault, Faults, Settings, Simulator, serve
from tests.kit.archives import without_zstd
from tests.kit.home import enter, write_job
from tests.kit.ledgers import book, day, span

if TYPE_CHECKING:
    from collections.abc import Iterator

REAL = "https://api.nexmo.com"
SECRET = "Simulated-Secret-1"
JOB = "accounts: [abcd1234, ef567890]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and the credentials of a simulator's first key."""
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("VONAGE_API_KEY", "abcd1234")
    monkeypatch.setenv("VONAGE_API_SECRET", SECRET)
    return tmp_path


@contextmanager
def simulator(**settings: Any) -> Iterator[Simulator]:
    """A simulator in a thread of its own, as a command runs a loop of its own."""
    world = Settings(rate=None, **settings)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(world)) as running,
    ):
        yield running


def configure(home: Path, base_url: str, more: str = "") -> None:
    (home / "config.yaml").write_text(
        f"api: {{base_url: '{base_url}', requests_per_second: 500, timeout: 5s}}\n{more}",
        encoding="utf-8",
    )


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the line of each subject (the last one where there are several)."""
    code = call(["check", *arguments])
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err
    lines = [line.partition(": ") for line in captured.out.splitlines()]
    return code, {head.split()[1]: f"{head.split()[0]}: {words}" for head, _, words in lines}


def test_where_all_is_well_each_thing_is_ok(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with simulator() as api:
        configure(home, api.base_url)
        code, lines = check(capsys, write_job(home, JOB))
    free = lines.pop("disk")
    assert free.startswith(f"ok: state {home}/state (not made yet) can be written, ")
    assert lines == {
        "config": f"ok: {home}/config.yaml",
        "job": "ok: nightly (nightly.yaml): 2 series",
        "credentials": "ok: default is key abcd1234, and has a secret",
        "reach": f"ok: {api.base_url} takes connections",
        "rights": "ok: key abcd1234 may ask for the reports of 2 accounts",
        "clock": lines["clock"],
        "lock": "ok: free: no run is active on this ledger",
        "ledger": f"ok: none yet at {home}/state/ledger.db: the first run begins it",
    }
    assert lines["clock"].startswith("ok: within ")
    assert code == 0


def test_nothing_is_bought_and_nothing_is_made(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator() as api:
        configure(home, api.base_url)
        check(capsys, write_job(home, JOB))
        assert api.world.all_reports() == ()
    assert sorted(path.name for path in home.iterdir()) == ["config.yaml", "nightly.yaml"]


def test_without_a_job_each_key_is_asked_for_its_own_account(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator() as api:
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert lines["rights"] == "ok: key abcd1234 may ask for the reports of account abcd1234"
    assert "job" not in lines
    assert code == 0


def test_programs_get_the_same_as_objects(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with simulator() as api:
        configure(home, api.base_url)
        assert call(["check", "--json"]) == 0
    first, *others = json.loads(capsys.readouterr().out)
    assert first == {
        "level": "ok",
        "subject": "config",
        "words": f"{home}/config.yaml",
        "remedy": "",
    }
    assert {one["subject"] for one in others} == {
        "credentials",
        "reach",
        "rights",
        "clock",
        "disk",
        "lock",
        "ledger",
    }


def test_a_wrong_secret_is_an_error_with_a_remedy(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VONAGE_API_SECRET", "another")
    with simulator() as api:
        configure(home, api.base_url)
        code, lines = check(capsys, write_job(home, JOB))
    assert lines["rights"].startswith("error: the API does not accept key abcd1234 (HTTP 401 ")
    assert lines["rights"].endswith("); check the key and its secret in the credentials")
    assert lines["rights"].count("check the key") == 1
    assert code == 1


def test_an_account_that_is_not_the_keys_is_an_error(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator() as api:
        configure(home, api.base_url)
        job = write_job(home, JOB.replace("ef567890", "zzzz9999"))
        code, lines = check(capsys, job)
    assert lines["rights"].startswith(
        "error: key abcd1234 may not ask for account zzzz9999 (HTTP 403 "
    )
    assert lines["rights"].endswith(
        "); use the account's own credentials, or those of its primary account, and let the "
        "Reports API be enabled for it"
    )
    assert code == 1


def test_a_list_that_fails_is_a_warning(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with simulator(faults=Faults((Fault.of("list", "refuse", status=503),))) as api:
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert lines["rights"].startswith("warning: key abcd1234, account abcd1234: ")
    assert lines["rights"].endswith("; try again later")
    assert lines["rights"].count("try again later") == 1
    assert code == 0


def test_a_clock_that_is_wrong_is_a_warning(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with simulator(now=datetime.now(UTC) + timedelta(minutes=10)) as api:
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert re.fullmatch(
        # The Date header has whole seconds, and the calls take their time.
        r"warning: this machine's clock is (59\d|60\d) seconds behind the API's; if "
        rf"{api.base_url} is a simulator, it has a clock of its own; else let it be set from the "
        r"network \(NTP\)",
        lines["clock"],
    )
    assert code == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "within 0 seconds of the API's"),
        (-60, "within 60 seconds of the API's"),
        (61, "this machine's clock is 61 seconds behind the API's"),
        (-3600, "this machine's clock is 3,600 seconds ahead of the API's"),
    ],
)
def test_clocks_in_words(seconds: int, words: str) -> None:
    assert check_api.clock(timedelta(seconds=seconds), REAL).text == words


def test_no_simulator_is_suspected_behind_the_real_api() -> None:
    assert (
        check_api.clock(timedelta(hours=1), REAL).remedy == "let it be set from the network (NTP)"
    )


def test_a_server_that_is_down_is_one_error_and_the_rest_is_checked(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator() as api:
        url = api.base_url
    configure(home, url)
    code, lines = check(capsys)
    assert lines["reach"] == (
        f"error: {url.removeprefix('http://')} refuses the connection; is the server up?"
    )
    assert "rights" not in lines
    assert "ledger" in lines
    assert code == 1


def test_missing_credentials_are_bad_input_and_the_rest_is_checked(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VONAGE_API_SECRET")
    with simulator() as api:
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert lines["credentials"].startswith(
        f"error: {home}/config.yaml: credentials.default.api_secret: the variable "
        "VONAGE_API_SECRET is not set"
    )
    assert lines["reach"].startswith("ok: ")
    assert "rights" not in lines
    assert code == 2


def test_every_mistake_of_the_files_is_a_line(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(home, "accounts: [abcd1234]\nproducts: [SMS]\nwindow: [yesterday]\n")
    assert call(["check", job]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error    input: nightly.yaml") for line in lines)


def test_warnings_of_the_files_are_lines(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with simulator() as api:
        configure(home, api.base_url)
        job = write_job(home, JOB.replace("VERIFY-API", "NEW-PRODUCT"))
        code, lines = check(capsys, job)
    assert lines["input"].startswith("warning: nightly.yaml:2:12: products[0]: ")
    assert code == 0


def test_a_run_that_holds_the_lock_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "state").mkdir()
    with simulator() as api, (home / "state/ledger.db.lock").open("w") as held:
        held.write("4711\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert lines["lock"] == "ok: held: process 4711 is running"
    assert code == 0


def test_a_ledger_is_counted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with book(home / "state/ledger.db", home / "reports", day("2026-02-01")) as ledger:
        ledger.submitted(Series.of("abcd1234", "VERIFY-API"), span("2026-01-01", "2026-02-01"))
    with simulator() as api:
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert lines["ledger"] == f"ok: {home}/state/ledger.db: 1 series, 1 report"
    assert code == 0


def test_a_ledger_that_is_gone_from_beside_its_files_is_bad_input(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "reports/report_account=abcd1234").mkdir(parents=True)
    with simulator() as api:
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert lines["ledger"].startswith(f"error: there is no ledger at {home}/state/ledger.db")
    assert code == 2


def test_a_damaged_ledger_is_an_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "state").mkdir()
    (home / "state/ledger.db").write_bytes(b"this is no database at all" * 100)
    with simulator() as api:
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert lines["ledger"].startswith("error: ")
    assert code == 74


def test_a_ledger_that_may_not_be_written_is_an_error(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = home / "state" / "ledger.db"
    with book(ledger, home / "reports", day("2026-02-01")):
        pass
    monkeypatch.setattr(os, "access", lambda path, _: path != ledger)
    with simulator() as api:
        configure(home, api.base_url)
        code, lines = check(capsys)
    assert lines["disk"].startswith(f"error: {ledger} may not be written; ")
    assert code == 74


def test_a_disk_that_fails_is_an_error_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: exit 70, with a traceback."""

    def fail(path: Path) -> bool:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(check_disk, "is_dir", fail)
    found = check_disk.folder("output.directory", tmp_path)
    assert str(found).startswith(
        f"error    disk: output.directory {tmp_path} cannot be written (Input/output error); "
    )
    assert found.code == 74
    monkeypatch.setattr(integrity, "is_file", fail)
    ledger = tmp_path / "ledger.db"
    with pytest.raises(LedgerError, match=f"the ledger {ledger}: Input/output error; check `state"):
        anyio.run(_open, ledger)


def test_an_output_directory_that_cannot_be_searched_is_an_error(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: exit 70, with a traceback, before Python 3.13."""
    stale = OSError(errno.ESTALE, "Stale file handle", str(home / "reports"))
    with simulator() as api:
        configure(home, api.base_url)
        monkeypatch.setattr(Path, "glob", Mock(side_effect=stale))
        code, lines = check(capsys)
    assert f"cannot read {home}/reports: Stale file handle; look at the disk" in lines["ledger"]
    assert code == 74


async def _open(ledger: Path) -> None:
    async with open_ledger(ledger, SystemClock(), timedelta(), check_later=True):
        pass


def test_an_output_directory_that_is_a_file_is_an_error(home: Path) -> None:
    (home / "reports").write_text("", encoding="utf-8")
    found = check_disk.folder("output.directory", home / "reports/deep/er")
    assert str(found) == (
        f"error    disk: {home}/reports is a file, where output.directory needs a directory; "
        "move it away, or change output.directory"
    )


def test_a_link_that_leads_nowhere_is_an_error(home: Path) -> None:
    (home / "reports").symlink_to(home / "unplugged")
    assert str(check_disk.folder("output.directory", home / "reports")) == (
        f"error    disk: {home}/reports is a link that leads nowhere, where output.directory needs "
        "a directory; move it away, or change output.directory"
    )


def test_a_file_system_that_takes_no_files_is_an_error() -> None:
    found = check_disk.folder("output.directory", Path("/proc/reports"))
    assert str(found) == (
        "error    disk: output.directory /proc/reports (not made yet) cannot be written (No such "
        "file or directory); give the user who runs this the right to write in /proc, or change "
        "output.directory"
    )


def test_a_format_without_its_library_is_bad_input_to_check_and_run(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_zstd(monkeypatch)
    words = "csv.zst files need the library backports.zstd, which is not installed; install it with"
    with simulator() as api:
        configure(home, api.base_url, "output: {format: csv.zst}\n")
        code, lines = check(capsys, write_job(home, JOB))
        assert (code, lines["format"].partition(" `pip")[0]) == (2, f"error: {words}")
        assert call(["run", "nightly.yaml"]) == 2
        assert words in capsys.readouterr().err
        assert api.world.all_reports() == ()


HASHED = "output: {columns: {hash: [to]}, hash_key: '${HASH_KEY}'}\n"


def test_a_missing_key_of_hashes_is_bad_input_to_check_and_run(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HASH_KEY", raising=False)
    words = f"{home}/config.yaml: output.hash_key: the variable HASH_KEY is not set"
    with simulator() as api:
        configure(home, api.base_url, HASHED)
        code, lines = check(capsys, write_job(home, JOB))
        assert lines["credentials"].startswith(f"error: {words}")
        assert code == 2
        assert call(["run", "nightly.yaml"]) == 2
        assert words in capsys.readouterr().err
        assert api.world.all_reports() == ()


@pytest.mark.parametrize(("length", "level"), [(15, "warning"), (16, "ok")])
def test_a_key_of_hashes_that_can_be_guessed_is_a_warning(
    length: int,
    level: str,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HASH_KEY", "k" * length)
    with simulator() as api:
        configure(home, api.base_url, HASHED)
        code, lines = check(capsys)
    assert lines["credentials"].startswith(f"{level}: ")
    assert code == 0


def test_metrics_that_cannot_be_written_are_a_warning(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator() as api:
        configure(home, api.base_url, "metrics: {textfile: gone/run.prom}\n")
        code, lines = check(capsys)
    assert lines["notify"].startswith(f"warning: metrics.textfile: {home}/gone is not there")
    assert code == 0


def test_little_room_is_a_warning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_disk, "LITTLE_SPACE_BYTES", 10**18)
    found = check_disk.folder("state", home)
    assert found.level is Level.WARNING
    assert found.remedy == "one report can need more: make room"
    assert list(home.iterdir()) == []


def test_a_name_that_does_not_exist_is_told_as_such(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(home, "https://reports.invalid")
    code, lines = check(capsys)
    assert lines["reach"] == (
        "error: the name reports.invalid is not found; check the address and the network"
    )
    assert code == 1


# --- schema, help ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "schema"), [("job", job_schema()), ("config", config_schema())], ids=["job", "config"]
)
def test_schemas_are_printed_as_json(
    kind: str, schema: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["schema", kind]) == 0
    assert json.loads(capsys.readouterr().out) == schema


def test_there_is_no_schema_of_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["schema", "ledger"]) == 2
    assert "'ledger' is not one of 'job', 'config'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plan", "status", "files", "verify", "check", "schema"])
def test_help_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Example" in text
    assert f"`orchestrator {name}" in text
