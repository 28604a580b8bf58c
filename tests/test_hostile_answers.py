"""Answers of the API that are meant to do harm, or might as well be."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import anyio
import pytest
from aiohttp import web
from yarl import URL

from orchestrator.api import bounded_json, wire
from orchestrator.api.client import MAX_LIST_BYTES
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.simulator import Fault, Settings
from orchestrator.simulator.faults.answers import JSON_FORMS
from tests.kit.servers import http_server
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.anyio]

QUARTER = between("2025-11-01", "2026-02-01")
MONTH = between("2026-01-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)
ROOT = Path(__file__).parents[1]
MIB = 1 << 20


# --- JSON: shape ----------------------------------------------------------------------------------


@pytest.mark.virtual
@pytest.mark.parametrize("form", [*JSON_FORMS, "huge"])
@pytest.mark.parametrize("at", ["create", "status", "list"])
async def test_an_answer_of_a_wrong_shape_costs_nothing_and_loses_nothing(
    tmp_path: Path, at: str, form: str
) -> None:
    """Of a create it is an unknown, which is looked for; of the others it is asked again."""
    made = {"made": True, "nth": 2} if at == "create" else {"nth": [1, 2]}
    fault = Fault.of(at, "shape", form=form, **made)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(job(QUARTER))
        assert len(here.sim.world.reports()) == 3


def test_an_id_that_stands_twice_is_none() -> None:
    answer = bounded_json.parse_object(b'{"reports": [{"request_id": "x", "request_id": "y"}]}')
    assert wire.read_list(answer) == ()
    with pytest.raises(bounded_json.WireError, match="request_id cannot be one"):
        wire.read_report(answer["reports"][0])


@pytest.mark.parametrize(
    "piece", [b"[],", b"{},", b"1,", b'"ab",'], ids=["lists", "objects", "numbers", "texts"]
)
def test_more_values_than_any_list_has_are_not_unpacked(piece: bytes) -> None:
    body = b'{"reports": [' + piece * bounded_json.MAX_VALUES + b"1]}"
    with pytest.raises(bounded_json.WireError, match=r"^JSON of more than 1,500,000 values$"):
        bounded_json.parse_object(body)


def test_the_longest_list_of_real_reports_is_read() -> None:
    """As many reports as an answer may hold, with every field that the API echoes."""
    report = (
        b'{"request_id": "ri3p58f-42d57cfd-1234-5678-9abc-67580d95f54a", "request_status":'
        b' "SUCCESS", "direction": "outbound", "product": "SMS", "account_id": "abcd1234",'
        b' "date_start": "2020-05-21T13:27:00+0000", "date_end": "2020-05-21T13:57:00+0000",'
        b' "include_subaccounts": false, "include_message": false, "show_concatenated": false,'
        b' "status": "delivered", "country": "GB", "network": "23410", "client_ref": "a",'
        b' "account_ref": "b", "from": "1", "to": "2", "callback_url": "https://example.com/hook",'
        b' "receive_time": "2020-06-04T10:53:32+0000", "start_time": "2020-06-04T10:53:40+0000",'
        b' "items_count": 1, "_links": {"self": {"href": "https://api.nexmo.com/v2/reports/'
        b'ri3p58f-42d57cfd-1234-5678-9abc-67580d95f54a"}, "download_report": {"href":'
        b' "https://api.nexmo.com/v3/media/42d57cfd-1234-5678-9abc-67580d95f54a"}}}'
    )
    number = MAX_LIST_BYTES // (len(report) + 1) - 1
    body = b'{"reports": [' + b",".join([report] * number) + b"]}"
    assert len(wire.read_list(bounded_json.parse_object(body))) == number


# --- JSON: size -----------------------------------------------------------------------------------

ASK = """
import sys, time
from pathlib import Path
import anyio
from orchestrator.errors import ApiError
from tests.kit.clients import cancel, client_of, create, list_, status

async def download(api):
    async with api.download("/v3/media/f1"):
        pass

CALLS = {"create": create, "status": status, "list": list_, "cancel": cancel, "file": download}

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

async def main(url):
    async with client_of(url) as api:
        for name, call in CALLS.items():
            before, begun = peak(), time.monotonic()
            try:
                await call(api)
            except ApiError as error:
                print(peak() - before, time.monotonic() - begun, name, error, sep="|")

anyio.run(main, sys.argv[1])
"""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "answered more than {most} MiB; no such answer is that long"),
        (302, "redirects"),
        (400, "the API refuses the request (HTTP 400 without words)"),
        (401, "the API does not accept key key00001 (HTTP 401 without words)"),
        (429, "too many requests of key key00001 (HTTP 429 without words)"),
        (500, "the API failed (HTTP 500 without words)"),
    ],
)
async def test_an_answer_of_a_gigabyte_costs_neither_memory_nor_time(
    status: int, words: str
) -> None:
    """Streamed by a real server to a client in a process of its own, call by call."""
    sent: dict[str, int] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        if "media" in request.path and status == 200:
            return web.Response(status=404, body=bytes(MIB))
        response = web.StreamResponse(status=status, headers={"Location": "/v3/media/f1"})
        call = f"{request.method} {request.path} {len(sent)}"
        sent[call] = 0
        await response.prepare(request)
        await response.write(b'{"reports": [')
        for _ in range(1024):
            await response.write(b'{"a": 1},' * (MIB // 9))
            sent[call] += 1
        return response

    async with http_server(answer) as url:
        done = await anyio.run_process(
            [sys.executable, "-c", ASK, url], cwd=ROOT, stderr=subprocess.PIPE
        )
    lines = [line.split("|") for line in done.stdout.decode().splitlines()]
    assert [name for _, _, name, _ in lines] == ["create", "status", "list", "cancel", "file"]
    assert sum(int(grown) for grown, *_ in lines) < 100 * MIB
    assert max(float(seconds) for _, seconds, *_ in lines) < 5
    told = [said for *_, name, said in lines if name != "file"]
    assert all(words.format(most=32 if "account" in said else 1) in said for said in told), told
    assert max(sent.values()) < 64, "whoever sends a gigabyte is not listened to"


# --- what an answer says --------------------------------------------------------------------------


def report(**fields: Any) -> dict[str, Any]:
    return {"request_id": "r-1", "request_status": "PENDING", **fields}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("receive_time", "0001-01-01T00:00:00Z", "receive_time is in the year 1"),
        ("date_end", "9999-12-31T23:59:59Z", "date_end is in the year 9999"),
        ("download_url", "https://a/" + "x" * 9000, "download_url is no address"),
        ("download_url", "https://a/\ud800", "download_url is no address"),
        ("callback_url", "https://a/\nb", "callback_url is no address"),
        ("items_count", 1e400, "items_count is a number that is no count"),
        ("items_count", 10**400, "items_count is no count"),
        ("items_count", -1, "items_count is no count"),
    ],
    ids=["year 1", "year 9999", "long", "half", "line", "inf", "big", "-1"],
)
def test_what_cannot_be_right_never_reaches_the_ledger(
    field: str, value: object, words: str
) -> None:
    read = wire.read_report(report(**{field: value}))
    assert read.unreadable == {field: words}
    assert replace(read, unreadable={}) == wire.read_report(report())


@pytest.mark.parametrize("request_id", ["r\ud800", "x" * 257], ids=["half id", "long id"])
def test_an_id_that_cannot_be_one_is_none(request_id: str) -> None:
    with pytest.raises(bounded_json.WireError, match="request_id cannot be one"):
        wire.read_report(report(request_id=request_id))


def test_texts_are_kept_without_what_a_terminal_would_obey() -> None:
    read = wire.read_report(report(request_status="DONE\x1b[2J\ud800" + "x" * 99, country="\x1b"))
    assert read.status_word == ("DONE\\x1b[2J\\ud800" + "x" * 99)[:64]
    assert read.echo == {"country": "\\x1b"}


EVIL_TEXT = "SMS\x1b]0;owned\x07\ud800\n2026-01-01 error: forged"


@pytest.mark.virtual
async def test_an_evil_echo_is_disputed_in_plain_words(tmp_path: Path) -> None:
    fault = Fault.of("report", "wrong_echo", field="product", value=EVIL_TEXT)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        (one,) = here.reports()
        assert one.state is State.DISPUTED
        assert one.reason.isprintable()
        assert one.reason.endswith("error: forged")


@pytest.mark.virtual
async def test_an_evil_status_word_is_told_in_plain_words_and_counts_as_running(
    tmp_path: Path,
) -> None:
    faults = [
        Fault.of("create", "reset", made=True, nth=1),
        Fault.of("list", "word", status=EVIL_TEXT, first=2),
        Fault.of("status", "word", status=EVIL_TEXT, first=2),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        assert all(note.isprintable() for note in here.seen.notes)
        assert all(one.reason.isprintable() for one in here.reports())
        here.assert_all_is_well(job(MONTH))


@pytest.mark.virtual
@pytest.mark.parametrize(
    "date",
    [
        {"text": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"text": "Mon, 01 Jan 0001 00:00:00 GMT"},
        {"text": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"text": "Fri, 31 Dec 9999 23:59:59 -9959"},
        {"text": "yesterday"},
        {"by": -400_000.0},
        {"by": 400_000.0},
    ],
    ids=["9999", "1", "1970", "beyond the calendar", "no date", "days behind", "days ahead"],
)
@pytest.mark.parametrize("at", ["create", "list", "status"])
async def test_a_false_date_of_the_server_does_no_harm(
    tmp_path: Path, at: str, date: dict[str, Any]
) -> None:
    """Also where creates get lost, and are looked for by the server's clock."""
    faults = [
        Fault.of("create", "reset", made=True, nth=2),
        Fault.of(at, "date", every=2, **date),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(QUARTER))
        for _ in range(2):
            if exit_code(end.remains) is ExitCode.UNFINISHED:
                end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(job(QUARTER))


# --- names that are paths -------------------------------------------------------------------------


@asynccontextmanager
async def renaming(base_url: str, prefix: str) -> AsyncIterator[str]:
    """The API at another address, where every request id begins with this."""
    ours, theirs = f"{prefix}ri3p58f-", "ri3p58f-"
    async with aiohttp.ClientSession() as session:

        async def answer(request: web.Request) -> web.StreamResponse:
            path = request.raw_path.replace(quote(ours, safe=""), theirs)
            kept = {
                name: value
                for name, value in request.headers.items()
                if name in ("Authorization", "Content-Type")
            }
            async with session.request(
                request.method,
                URL(base_url + path, encoded=True),
                headers=kept,
                data=await request.read(),
            ) as response:
                body = await response.read()
            if "json" in response.content_type:
                body = body.replace(theirs.encode(), json.dumps(ours)[1:-1].encode())
                body = body.replace(base_url.encode(), url.encode())
            return web.Response(
                status=response.status, body=body, content_type=response.content_type
            )

        async with http_server(answer) as url:
            yield url


def files_outside(directory: Path, inside: Path) -> list[Path]:
    return [
        path for path in directory.rglob("*") if path.is_file() and not path.is_relative_to(inside)
    ]


@pytest.mark.virtual
@pytest.mark.parametrize(
    "prefix",
    [
        "../../../../",
        "/etc/",
        "C:\\",
        "..%2F..%2F",
        "a?b#c&d=",
        "~/",
        "x" * 200,
        "漢字\U0001f389",
    ],
    ids=["upwards", "absolute", "drive", "encoded", "query", "home", "long", "wide"],
)
async def test_request_ids_that_are_paths_write_nowhere_else(tmp_path: Path, prefix: str) -> None:
    folder = tmp_path / "a" / "b" / "c" / "d"
    folder.mkdir(parents=True)
    async with (
        stage(folder, SMALL) as here,
        renaming(here.sim.base_url, prefix) as url,
    ):
        here.config = replace(here.config, api=replace(here.config.api, base_url=url))
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(job(QUARTER))
        assert all(str(one.request_id).startswith(prefix) for one in here.reports())
    assert files_outside(tmp_path, folder) == []


@pytest.mark.virtual
async def test_a_kept_aside_file_of_an_id_that_is_a_path_stays_inside(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c" / "d"
    folder.mkdir(parents=True)
    faults = with_faults(SMALL, Fault.of("report", "bad_crc"))
    async with (
        stage(folder, faults) as here,
        renaming(here.sim.base_url, "../../../") as url,
    ):
        here.config = replace(here.config, api=replace(here.config.api, base_url=url))
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        (one,) = here.reports()
        assert here.strays() == [
            f".aside/1_..%2F..%2F..%2F{str(one.request_id)[9:]}.txt",
            f".aside/1_..%2F..%2F..%2F{str(one.request_id)[9:]}.zip",
        ]
