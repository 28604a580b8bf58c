"""Faults that are meant: twins, lies, detours, evil archives, odd CSV and JSON, restarts."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import Any

import aiohttp
import anyio
import pytest

from orchestrator.simulator import Fault, Faults, Truth
from orchestrator.simulator.faults.answers import JSON_FORMS
from orchestrator.simulator.faults.bad_files import ARCHIVE_FORMS, CSV_FORMS, HARMLESS, HONEST
from tests.kit.asking import SMS, asking
from tests.kit.servers import http_server

pytestmark = pytest.mark.anyio


def faults(*listed: dict[str, Any], seed: int = 0) -> Faults:
    return Faults(tuple(Fault.of(**one) for one in listed), seed)


# --- lists that lie -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("difference", "field", "echoed"),
    [
        ({}, "account_id", ["abcd1234", "abcd1234"]),
        ({"field": "status", "value": "failed"}, "status", ["failed", None]),
        ({"field": "date_end", "value": "2026-02-01T12:00:00Z"}, "date_end", None),
    ],
    ids=["none", "a filter", "a date"],
)
async def test_somebody_else_asks_for_the_same_just_before(
    difference: dict[str, Any], field: str, echoed: list[str | None] | None
) -> None:
    async with asking(faults=faults({"at": "create", "do": "twin", "nth": 1, **difference})) as ask:
        mine = await ask.created()
        listed = (await ask.listed()).json["reports"]
        assert [one["request_id"] == mine for one in listed] == [False, True]
        found = [one.get(field) for one in listed]
        assert found == (echoed or ["2026-02-01T12:00:00+0000", "2026-02-02T00:00:00+0000"])
        ask.later(hours=1)
        assert ask.world.paid_twice() == {}, "what a stranger buys is not on our bill"


@pytest.mark.parametrize(("made", "reports"), [(True, 2), (False, 1)])
async def test_a_twin_is_all_there_is_when_our_own_create_was_lost(
    made: bool, reports: int
) -> None:
    fault = {"at": "create", "do": "twin", "lost": True, "made": made}
    async with asking(faults=faults(fault)) as ask:
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await ask.create()
        assert (await ask.listed()).json["items_count"] == reports
        assert [one.stranger for one in ask.world.reports()] == [True, False][:reports]


async def test_a_twin_that_the_api_refuses_is_none() -> None:
    fault = {"at": "create", "do": "twin", "field": "direction", "value": "sideways"}
    async with asking(faults=faults(fault)) as ask:
        await ask.created()
        assert len(ask.world.reports()) == 1


@pytest.mark.parametrize("shape", ["classic", "newer"])
async def test_a_field_is_left_out_of_what_the_list_echoes(shape: Any) -> None:
    from orchestrator.simulator import Dialect

    fault = {"at": "list", "do": "omits", "field": "direction", "nth": 1}
    async with asking(dialect=Dialect(shape=shape), faults=faults(fault)) as ask:
        await ask.created()
        first, second = [(await ask.listed()).json["reports"][0] for _ in range(2)]
        assert "direction" not in {**first, **first.get("request_params", {})}
        assert {**second, **second.get("request_params", {})}["direction"] == "outbound"


async def test_a_list_calls_every_report_something_else() -> None:
    fault = {"at": "list", "do": "word", "status": "PENDING"}
    async with asking(faults=faults(fault)) as ask:
        await ask.finished()
        await ask.finished()
        words = {one["request_status"] for one in (await ask.listed()).json["reports"]}
        assert words == {"PENDING"}


# --- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "date"),
    [
        ({"by": -3600}, "Mon, 02 Mar 2026 08:00:00 GMT"),
        ({"by": 86400}, "Tue, 03 Mar 2026 09:00:00 GMT"),
        ({"text": "yesterday"}, "yesterday"),
    ],
)
async def test_the_date_of_an_answer_is_wrong(options: dict[str, Any], date: str) -> None:
    async with asking(faults=faults({"at": "list", "do": "date", "nth": 1, **options})) as ask:
        assert (await ask.listed()).headers["Date"] == date
        assert (await ask.listed()).headers["Date"] == "Mon, 02 Mar 2026 09:00:00 GMT"


@pytest.mark.virtual
async def test_the_server_s_clock_jumps_when_its_time_has_come() -> None:
    fault = {"at": "server", "do": "clock", "by": -7200, "after": 60}
    async with asking(faults=faults(fault)) as ask:
        before = (await ask.create()).json["receive_time"]
        await anyio.sleep(61)
        after = (await ask.create()).json["receive_time"]
        assert (before, after) == ("2026-03-02T09:00:00+0000", "2026-03-02T07:00:00+0000")


# --- links and redirects --------------------------------------------------------------------------


async def test_a_link_may_be_relative() -> None:
    async with asking(faults=faults({"at": "report", "do": "link", "to": "relative"})) as ask:
        report = await ask.finished()
        assert report["_links"]["download_report"]["href"].startswith("/v3/media/")
        assert (await ask.download(report)).record_digest() == Truth(
            ask.world.settings, SMS
        ).record_digest()


async def test_a_link_may_be_missing_from_a_finished_report() -> None:
    async with asking(faults=faults({"at": "report", "do": "link", "to": "missing"})) as ask:
        report = await ask.finished()
        assert report["request_status"] == "SUCCESS"
        assert "download_report" not in report["_links"]


async def test_a_link_may_be_anything() -> None:
    fault = {"at": "report", "do": "link", "to": "file:///etc/passwd"}
    async with asking(faults=faults(fault)) as ask:
        report = await ask.finished()
        assert report["_links"]["download_report"]["href"] == "file:///etc/passwd"


async def test_a_foreign_host_serves_the_file_and_tells_of_credentials_it_got() -> None:
    async with asking(faults=faults({"at": "report", "do": "link", "to": "foreign"})) as ask:
        report = await ask.finished()
        address = report["_links"]["download_report"]["href"]
        assert address.startswith("http://localhost:")
        file = await ask.ask("GET", address, headers={})
        assert file.record_digest() == Truth(ask.world.settings, SMS).record_digest()
        assert ask.simulator.leaks == []
        assert (await ask.ask("GET", address)).status == 400
        assert len(ask.simulator.leaks) == 1
        assert (await ask.ask("GET", address + "0", headers={})).status == 404


async def test_credentials_under_a_foreign_host_s_name_are_a_leak_wherever_they_come() -> None:
    async with asking() as ask:
        await ask.listed()
        assert ask.simulator.leaks == []
        await ask.ask("GET", "/v2/reports", headers={**ask.headers, "Host": "evil.example"})
        assert ask.simulator.leaks == ["/v2/reports"]


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("itself", "/v3/media/{id}"),
        ("chain", "/v3/media/{id}?hop=1"),
        ("nowhere", None),
        ("https://evil.example/x", "https://evil.example/x"),
    ],
)
async def test_a_download_leads_elsewhere(to: str, location: str | None) -> None:
    async with asking(faults=faults({"at": "download", "do": "redirect", "to": to})) as ask:
        report = await ask.finished()
        answer = await ask.download(report, allow_redirects=False)
        file_id = report["_links"]["download_report"]["href"].rpartition("/")[2]
        assert answer.status == 302
        assert answer.headers.get("Location") == (location and location.format(id=file_id))


async def test_a_chain_goes_on_and_on() -> None:
    async with asking(faults=faults({"at": "download", "do": "redirect", "to": "chain"})) as ask:
        report = await ask.finished()
        with pytest.raises(aiohttp.TooManyRedirects):
            await ask.download(report)


async def test_a_download_leads_to_the_file_on_a_foreign_host() -> None:
    fault = {"at": "download", "do": "redirect", "status": 307, "nth": 1}
    async with asking(faults=faults(fault)) as ask:
        file = await ask.download(await ask.finished())  # the client drops Authorization on the way
        assert file.record_digest() == Truth(ask.world.settings, SMS).record_digest()
        assert ask.simulator.leaks == []


# --- archives and CSV -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ARCHIVE_FORMS)
async def test_an_archive_may_be_built_in_any_way(form: str) -> None:
    async with asking(
        faults=faults({"at": "download", "do": "zip", "form": form, "nth": 1})
    ) as ask:
        report = await ask.finished()
        evil, good = await ask.download(report), await ask.download(report)
        assert evil.body != good.body
        if form in HONEST:
            assert evil.record_digest() == good.record_digest()


async def test_a_bomb_is_small_and_promises_what_it_holds() -> None:
    async with asking(faults=faults({"at": "report", "do": "zip", "form": "bomb"})) as ask:
        file = await ask.download(await ask.finished())
        (member,) = file.archive().infolist()
        assert (member.file_size, len(file.body) < 1 << 20) == (256 << 20, True)
        with file.archive().open(member) as stream:
            assert stream.read(1 << 20) == bytes(1 << 20)


@pytest.mark.parametrize(
    ("form", "error"),
    [("encrypted", RuntimeError), ("two_names", zipfile.BadZipFile), ("empty", IndexError)],
)
async def test_an_evil_archive_is_refused_by_others_too(form: str, error: type[Exception]) -> None:
    async with asking(faults=faults({"at": "report", "do": "zip", "form": form})) as ask:
        file = await ask.download(await ask.finished())
        with pytest.raises(error):
            file.record_digest()


@pytest.mark.parametrize("form", CSV_FORMS)
async def test_a_csv_may_be_written_in_any_way(form: str) -> None:
    async with asking(faults=faults({"at": "report", "do": "csv", "form": form})) as ask:
        file = await ask.download(await ask.finished())
        content = file.archive().read(file.archive().namelist()[0])
        truth = b"".join(Truth(ask.world.settings, SMS).csv())
        assert content != truth
        if form in HARMLESS:
            assert file.record_digest() == Truth(ask.world.settings, SMS).record_digest()


async def test_other_line_ends_leave_the_bodies_alone() -> None:
    body = {**SMS, "include_message": True, "date_start": "2026-01-01T00:00:00Z"}
    async with asking(faults=faults({"at": "report", "do": "csv", "form": "crlf"})) as ask:
        file = await ask.download(await ask.finished(**body))
        content = file.archive().read(file.archive().namelist()[0]).decode()
        rows = list(csv.reader(io.StringIO(content, newline="")))
        assert rows[1:] == list(Truth(ask.world.settings, body).rows())
        assert any("\n" in field and "\r" not in field for row in rows for field in row)


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", JSON_FORMS)
async def test_an_answer_may_have_any_shape(form: str) -> None:
    fault = {"at": "list", "do": "shape", "form": form, "nth": 1}
    async with asking(faults=faults(fault)) as ask:
        answer = await ask.listed()
        assert answer.status == 200
        assert answer.body == JSON_FORMS[form]
        assert (await ask.listed()).json["items_count"] == 0


@pytest.mark.parametrize(("made", "reports"), [(False, 0), (True, 1)])
async def test_a_create_is_answered_in_a_wrong_shape(made: bool, reports: int) -> None:
    fault = {"at": "create", "do": "shape", "form": "no_id", "made": made}
    async with asking(faults=faults(fault)) as ask:
        assert "request_id" not in (await ask.create()).json
        assert (await ask.listed()).json["items_count"] == reports


async def test_an_answer_may_be_huge() -> None:
    async with asking(
        faults=faults({"at": "list", "do": "shape", "form": "huge", "mib": 3})
    ) as ask:
        answer = await ask.listed()
        assert len(answer.body) > 3 << 20
        assert json.loads(answer.body)["reports"] == []


# --- reports ended by others, callbacks -----------------------------------------------------------


@pytest.mark.parametrize("phase", ["PENDING", "PROCESSING"])
async def test_somebody_else_cancels_a_report(phase: str) -> None:
    seconds = 1 if phase == "PENDING" else 5
    fault = {"at": "report", "do": "cancelled", "seconds": seconds}
    async with asking(faults=faults(fault)) as ask:
        request_id = await ask.created()
        ask.later(seconds=seconds - 0.5)
        assert (await ask.status(request_id)).json["request_status"] == phase
        ask.later(seconds=1)
        assert (await ask.status(request_id)).json["request_status"] == "ABORTED"
        assert ask.world.charged() == 0


async def test_who_cancels_too_late_changes_nothing() -> None:
    async with asking(faults=faults({"at": "report", "do": "cancelled", "seconds": 60})) as ask:
        assert (await ask.finished())["request_status"] == "SUCCESS"


@pytest.mark.virtual
@pytest.mark.parametrize(
    ("quirk", "words"),
    [
        ({}, ["SUCCESS"]),
        ({"copies": 0}, []),
        ({"copies": 2}, ["SUCCESS", "SUCCESS"]),
        ({"late": 600.0}, ["SUCCESS"]),
        ({"forged": "SUCCESS"}, ["SUCCESS", "SUCCESS"]),
    ],
    ids=str,
)
async def test_callbacks_come_never_twice_late_and_forged(
    quirk: dict[str, Any], words: list[str]
) -> None:
    got: list[tuple[float, dict[str, Any]]] = []

    async def receive(request: aiohttp.web.Request) -> aiohttp.web.Response:
        got.append((anyio.current_time(), await request.json()))
        return aiohttp.web.Response()

    fault = {"at": "report", "do": "callback", **quirk}
    async with http_server(receive) as url, asking(speed=1.0, faults=faults(fault)) as ask:
        began = anyio.current_time()
        await ask.created(callback_url=f"{url}/hook")
        await anyio.sleep(1000)
        assert [one["request_status"] for _, one in got] == words
        if "late" in quirk:
            assert got[0][0] - began > 600
        if "forged" in quirk:
            assert got[0][0] - began < 1
            assert "forged" in got[0][1]["_links"]["download_report"]["href"]


# --- restarts -------------------------------------------------------------------------------------


async def test_a_restart_kills_connections_and_spares_the_world() -> None:
    async with asking() as ask:
        request_id = await ask.created()
        address = ask.simulator.base_url
        await ask.simulator.restart()
        assert ask.simulator.base_url == address
        assert ask.simulator.restarts == 1
        assert (await ask.status(request_id)).status == 200


@pytest.mark.virtual
async def test_a_restart_comes_at_its_second_and_takes_its_time() -> None:
    listed = (
        {"at": "server", "do": "restart", "after": 100, "seconds": 50},
        {"at": "status", "do": "hang", "seconds": 1000, "nth": 2},
    )
    async with asking(faults=faults(*listed)) as ask:
        request_id = await ask.created()
        assert (await ask.status(request_id)).status == 200
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await ask.status(request_id)
        assert anyio.current_time() == pytest.approx(100, abs=1)
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask.status(request_id)
        await anyio.sleep(51)
        assert (await ask.status(request_id)).status == 200
