"""One run with everything going wrong, and then a search for its secrets in all that is left."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal

from orchestrator.api import VonageReports
from orchestrator.cli.main import call
from orchestrator.cli.simulating import python_command
from orchestrator.core.policy import ExitCode
from orchestrator.errors import ServerFault
from orchestrator.ledger.sqlite import connect
from orchestrator.simulator import ApiKey, Fault, Faults
from tests.kit import clients
from tests.kit.cli_worlds import SMALL, simulated
from tests.kit.servers import http_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.cli_worlds import Place

SECRETS = ("p%ss w'ord\"\\&=+/:?#ü漢-1", "Xq7-unmistakable-%41-2")
KEYS = (
    ApiKey("abcd1234", SECRETS[0], ("ef567890", "cafe0002", "cafe0003")),
    ApiKey("beta0001", SECRETS[1]),
)
FAULTS = Faults(
    (
        Fault.of("create", "refuse", status=401, account="beta0001", nth=3),
        Fault.of("create", "refuse", status=429, nth=2),
        Fault.of("create", "refuse", status=503, made=True, nth=4),
        Fault.of("create", "reset", made=True, nth=5),
        Fault.of("create", "html", status=200, made=True, nth=6),
        Fault.of("status", "shape", form="types", nth=2),
        Fault.of("list", "refuse", status=403, nth=2),
        Fault.of("report", "outcome", status="FAILED", nth=3),
        Fault.of("report", "wrong_count", nth=4),
        Fault.of("report", "zip", form="parent", nth=5),
        Fault.of("report", "link", to="foreign", nth=6),
        Fault.of("download", "redirect", nth=2),
        Fault.of("download", "cut", nth=3),
    )
)


def disguises(secret: str) -> dict[str, bytes]:
    """The secret in every form in which something might have written it down."""
    forms = {
        "raw": secret,
        "as JSON": json.dumps(secret)[1:-1],
        "as JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1],
        "as Python": repr(secret)[1:-1],
        "as ASCII Python": ascii(secret)[1:-1],
        "in a URL": quote(secret, safe=""),
        "in a form": quote_plus(secret),
        "in a path": quote(secret),
        "base64": base64.b64encode(secret.encode()).decode(),
        "URL base64": base64.urlsafe_b64encode(secret.encode()).decode(),
        "hex": secret.encode().hex(),
        "in UTF-16": "",
    }
    found = {name: text.encode() for name, text in forms.items() if text}
    found["in UTF-16"] = secret.encode("utf-16-le")
    for key in KEYS:
        pair = f"{key.api_key}:{secret}".encode()
        found[f"the header of {key.api_key}"] = base64.b64encode(pair)
    return found


NEEDLES = {
    f"secret {number} {name}": form
    for number, secret in enumerate(SECRETS, 1)
    for name, form in disguises(secret).items()
}


def found_in(content: bytes) -> list[str]:
    """Which disguises of which secret stand there."""
    return [name for name, form in NEEDLES.items() if form in content]


def found_below(directory: Path) -> dict[str, list[str]]:
    """Every file below with a secret in it, by name or content; configs of the test apart."""
    found = {}
    for path in directory.rglob("*"):
        content = os.fsencode(path) + (path.read_bytes() if path.is_file() else b"")
        if here := found_in(content):
            found[str(path.relative_to(directory))] = here
    return found


@pytest.mark.parametrize("name", NEEDLES)
def test_the_search_finds_what_it_looks_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.db").write_bytes(b"\0\0" + NEEDLES[name] + b"\n")
    assert name in found_below(tmp_path)["x.db"]


@contextmanager
def trouble(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place with odd secrets from the environment and a world full of faults."""
    for number, secret in enumerate(SECRETS, 1):
        monkeypatch.setenv(f"ODD_SECRET_{number}", secret)
    with simulated(directory, replace(SMALL, keys=KEYS, faults=FAULTS)) as place:
        write_config(place)
        yield place


@contextmanager
def log_stays(ledger: Path) -> Iterator[None]:
    """Somebody has the ledger open all the time, so its write-ahead log stays to be searched."""
    connection = connect(ledger)
    try:
        yield
    finally:
        connection.close()


def write_config(place: Place, base_url: str | None = None) -> None:
    """The secrets by reference: the files that are searched hold none of their own."""
    (place.directory / "config.yaml").write_text(
        f"api: {{base_url: '{base_url or place.simulator.base_url}', timeout: 5s,"
        " requests_per_second: 500}\n"
        "credentials:\n"
        "  default: {api_key: abcd1234, api_secret: '${ODD_SECRET_1}'}\n"
        "  beta: {api_key: beta0001, api_secret: '${ODD_SECRET_2}'}\n"
        "output: {directory: reports}\n"
        "state: state/ledger.db\n"
        "retry: {attempts: 2, wait_initial: 10ms, wait_max: 20ms}\n"
        "poll: {interval_initial: 20ms, interval_max: 30ms, timeout: 20s}\n",
        encoding="utf-8",
    )


def test_no_secret_is_left_anywhere_after_runs_full_of_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files, ledger and its log, what was said on both streams, in words and as JSON."""
    with trouble(tmp_path, monkeypatch) as place, log_stays(place.state):
        codes = [place.run(), place.run("--json", "--log-format", "json")]
        for command in ("status", "files", "plan", "verify", "check"):
            call([command, str(place.job)])
            call([command, str(place.job), "--json"])
        said = capsys.readouterr()
        assert place.state.with_name("ledger.db-wal").stat().st_size > 10_000
        assert found_below(tmp_path) == {}
    assert set(codes) <= {ExitCode.FINDINGS, ExitCode.UNFINISHED}, said.err
    assert "401" in said.err or "does not accept key" in said.err, "there was trouble to tell of"
    assert found_in((said.out + said.err).encode()) == []
    assert (tmp_path / "state" / "ledger.db").stat().st_size > 10_000
    assert found_below(tmp_path) == {}


def test_a_server_that_repeats_the_secret_is_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Raw and as the header, with whatever JSON escapes in it."""

    async def echo(request: web.Request) -> web.StreamResponse:
        header = request.headers.get("Authorization", "")
        secret = base64.b64decode(header.removeprefix("Basic ")).decode() if header else ""
        parrot = f"{header} {secret} {secret.partition(':')[2]}"
        problem = {"type": "x#forbidden", "title": parrot, "detail": parrot, "instance": parrot}
        return web.json_response(
            {**problem, "invalid_parameters": [{"name": parrot, "reason": parrot}]},
            status={"POST": 422, "GET": 403}.get(request.method, 400),
        )

    with (
        trouble(tmp_path, monkeypatch) as place,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(http_server(echo)) as url,
    ):
        write_config(place, url)
        assert place.run() in (ExitCode.FINDINGS, ExitCode.UNFINISHED)
        call(["check", str(place.job)])
        call(["status", str(place.job)])
        said = capsys.readouterr()
    assert "***" in said.err + said.out
    assert found_in((said.out + said.err).encode()) == []
    assert found_below(tmp_path) == {}


@pytest.mark.anyio
@pytest.mark.parametrize("text", [clients.SECRET, clients.TOKEN], ids=["secret", "header"])
@pytest.mark.parametrize(
    "field", ["request_id", "request_status", "country", "download_url", "callback_url"]
)
async def test_a_report_object_with_the_secret_in_it_is_no_answer(field: str, text: str) -> None:
    """Else it would stand in the ledger, in names of files and in the log."""

    async def parrot(_request: web.Request) -> web.StreamResponse:
        repeated = quote(text, safe="") if field.endswith("url") else text
        report = {"request_id": "r-1", "request_status": "PENDING", field: f"a/{repeated}"}
        return web.json_response({**report, "reports": [report]})

    async with http_server(parrot) as url, clients.client_of(url) as api:
        with pytest.raises(ServerFault) as caught:
            await api.status("r-1")
        assert await clients.list_(api) == ()
    assert str(caught.value).endswith(": answered with our own secret in it")
    assert text not in "".join(traceback.format_exception(caught.value))


@pytest.mark.anyio
@pytest.mark.parametrize("text", [clients.SECRET, clients.TOKEN], ids=["secret", "header"])
@pytest.mark.parametrize("field", ["request_status", "country", "download_url", "callback_url"])
async def test_of_an_answer_to_a_create_with_the_secret_in_it_only_the_id_is_kept(
    field: str, text: str
) -> None:
    """It is paid."""

    async def parrot(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"request_id": "r-1", "request_status": "PENDING", field: text})

    async with http_server(parrot) as url, clients.client_of(url) as api:
        created = await api.create(clients.SERIES, clients.WINDOW, None)
    assert created.request_id == "r-1"
    assert text not in repr(created)


def test_a_bug_tells_no_secret_in_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it happens the client itself, with its header, is at hand as a local variable."""

    async def broken(self: VonageReports, *_: object) -> object:
        headers = self._signed
        raise RuntimeError(f"{self!r} with {len(headers)} headers")

    monkeypatch.setattr(VonageReports, "create", broken)
    with trouble(tmp_path, monkeypatch) as place:
        assert place.run() == ExitCode.BUG
        said = capsys.readouterr()
    assert "RuntimeError" in said.err
    assert found_in((said.out + said.err).encode()) == []
    assert found_below(tmp_path) == {}


def test_objects_that_hold_secrets_do_not_show_them() -> None:
    from orchestrator.core.settings import Credentials, Secret

    credentials = Credentials("default", "abcd1234", Secret(SECRETS[0]))
    error = ValueError(credentials, credentials.api_secret)
    told = "".join(traceback.format_exception(error))
    assert found_in(told.encode()) == []
    assert found_in(f"{credentials} {credentials!r} {credentials.api_secret!s}".encode()) == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads Linux's /proc")
def test_the_process_list_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a run of its own process is at work: its arguments, its name, its open files."""
    with trouble(tmp_path, monkeypatch) as place:
        arguments = python_command(["run", str(place.job)])
        with subprocess.Popen(
            arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            seen = b""
            while process.poll() is None:
                seen += _shown_of(process.pid)
                time.sleep(0.01)
            assert process.stdout is not None
            assert process.stderr is not None
            said = process.stdout.read() + process.stderr.read()
    assert b"job.yaml" in seen
    assert found_in(seen) == []
    assert found_in(said) == []


def _shown_of(pid: int) -> bytes:
    shown = b""
    try:
        for name in ("cmdline", "comm", "status", "maps"):
            shown += Path(f"/proc/{pid}/{name}").read_bytes()
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            shown += os.fsencode(handle.readlink())
    except OSError:  # it has just ended
        pass
    return shown
