"""Faults as data: when they strike, what a file of them may say, and each of them over HTTP."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest

from orchestrator.errors import InputError
from orchestrator.simulator import Fault, Faults, Truth
from orchestrator.simulator.faults.calls import Refuse
from orchestrator.simulator.faults.loader import load_faults
from orchestrator.simulator.faults.model import CALLS, KINDS, FaultInjector, WrongFault
from tests.kit.asking import SMS, Answer, Asker, asking

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def faults(*listed: dict[str, Any], seed: int = 0) -> Faults:
    return Faults(tuple(Fault.of(**one) for one in listed), seed)


def injector(calls: int, **selectors: Any) -> list[int]:
    """Which of so many calls are struck, from 1."""
    book = FaultInjector(faults({"at": "create", "do": "reset", **selectors}))
    return [n for n in range(1, calls + 1) if book.strike("create", "a", "SMS", float(n))]


# --- which time -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selectors", "struck"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 3}, [3]),
        ({"nth": [2, 5]}, [2, 5]),
        ({"first": 2}, [1, 2]),
        ({"every": 3}, [3, 6]),
        ({"every": 2, "times": 2}, [2, 4]),
        ({"after": 3, "until": 5}, [3, 4]),
        ({"account": "b"}, []),
        ({"product": "SMS", "nth": 1}, [1]),
        ({"probability": 0}, []),
        ({"probability": 1}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_a_fault_strikes_the_calls_it_names(selectors: dict[str, Any], struck: list[int]) -> None:
    assert injector(6, **selectors) == struck


def test_probability_follows_from_the_seed() -> None:
    def struck(seed: int) -> list[int]:
        book = FaultInjector(faults({"at": "list", "do": "empty", "probability": 0.3}, seed=seed))
        return [n for n in range(1000) if book.strike("list", "", "", 0.0)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert 240 < len(struck(1)) < 360


def test_the_first_fault_that_is_due_strikes_and_all_count() -> None:
    book = FaultInjector(
        faults({"at": "list", "do": "empty", "nth": 1}, {"at": "list", "do": "reset", "nth": 2})
    )
    done = [book.strike("list", "", "", 0.0) for _ in range(3)]
    assert [fault and fault.do for fault in done] == ["empty", "reset", None]
    assert book.struck == (1, 1)


# --- the file -------------------------------------------------------------------------------------


def test_a_file_is_read_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(
        "seed: 7\n"
        "faults:\n"
        "  - {at: create, do: refuse, status: 429, retry_after: 3, every: 10}\n"
        "  - {at: report, do: outcome, status: FAILED, account: 00123456, probability: 0.5}\n"
    )
    loaded = load_faults(path)
    assert loaded.seed == 7
    first, second = loaded.faults
    assert isinstance(first, Refuse)
    assert (first.at, first.do, first.every) == ("create", "refuse", 10)
    assert first.status == 429
    assert first.retry_after == 3
    assert first.made is False
    assert (second.account, second.probability) == ("00123456", 0.5)


def test_a_file_is_read_as_json_too(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"at": "list", "do": "lacks", "newest": 2}]))
    assert load_faults(path) == faults({"at": "list", "do": "lacks", "newest": 2})


def test_an_empty_file_is_no_faults(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("# nothing\n")
    assert load_faults(path) == Faults()


def test_every_mistake_of_a_file_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(
        "sede: 1\n"
        "seed: one\n"
        "faults:\n"
        "  - {at: nowhere, do: reset}\n"
        "  - {at: create, do: explode}\n"
        "  - {at: create, do: gone}\n"
        "  - {at: create, do: refuse}\n"
        "  - {at: create, do: reset, stauts: 1}\n"
        "  - {at: create, do: reset, nth: 0}\n"
        "  - {at: create, do: cut, share: 2}\n"
        "  - {do: reset}\n"
        "  - reset\n"
    )
    with pytest.raises(InputError) as wrong:
        load_faults(path)
    words = str(wrong.value).replace(f"{path}:", "")
    places = "create, status, list, cancel, download, records, report, server"
    when = "account, after, every, first, made, nth, probability, product, times, until"
    assert words.splitlines() == [
        "1:1: sede: no such key; use faults and seed",
        "2:7: seed: must be a whole number",
        f"4:10: faults[0].at: 'nowhere' is no place; use one of {places}",
        "5:22: faults[1].do: 'explode' is no kind of fault; use one of " + ", ".join(sorted(KINDS)),
        "6:10: faults[2].at: gone cannot strike at create; use one of report, download",
        "7:5: faults[3].status: refuse needs it",
        f"8:37: faults[4].stauts: reset has no such key; use one of {when}",
        "9:34: faults[5].nth: must be a call's number, from 1, or a list of them, not 0",
        "10:34: faults[6].share: must be a number from 0 to 1, not 2",
        "11:5: faults[7].at: is missing",
        "12:5: faults[8]: must be a mapping; such as {at: create, do: reset}",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"faults: [", "1:10: cannot be read as YAML here; check this line"),
        (b"[\n" * 5_000, "17:1: is nested deeper than 16 levels"),
        (b"- " * 5_000, "1:33: is nested deeper than 16 levels"),
        (b"faults: 3", "1:9: faults: must be a list"),
        (b"a: &a []\nb: *a", " YAML aliases are not read here"),
        (b"\xff\xfe\xff", " is not UTF-8"),
        (b"#" * (2 << 20), " the file is larger than 1 MiB"),
    ],
    ids=["cut", "deep", "deep without brackets", "no list", "alias", "binary", "large"],
)
def test_a_file_that_cannot_be_read_is_an_input_error(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "faults.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as wrong:
        load_faults(path)
    assert str(wrong.value) == f"{path}:{words}"


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        load_faults(tmp_path / "faults.yaml")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"do": "hang", "seconds": -1}, "seconds: must be a number that is not negative"),
        ({"do": "hang", "seconds": True}, "seconds: must be a number"),
        ({"do": "reset", "made": "yes"}, "made: must be true or false, not 'yes'"),
        ({"do": "refuse", "status": 42}, "status: must be an HTTP status, not 42"),
        ({"do": "refuse", "status": "x"}, "status: must be an HTTP status, not 'x'"),
        ({"do": "reset", "every": 0}, "every: must be a whole number, at least 1, not 0"),
        ({"do": "reset", "account": ""}, "account: must be text, not ''"),
        (
            {"at": "report", "do": "stuck", "phase": "X"},
            "phase: must be one of PENDING, PROCESSING",
        ),
        ({"at": "report", "do": "wrong_echo", "value": 1}, "value: must be text, true or false"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused(fault: dict[str, Any], words: str) -> None:
    with pytest.raises(WrongFault, match=words):
        Fault.of(**{"at": "create", **fault})


# --- at a call, over HTTP -------------------------------------------------------------------------


async def at_call(ask: Asker, place: str) -> Answer:
    """One call of each place; status, cancel and download are of a report that is there."""
    match place:
        case "create":
            return await ask.create()
        case "list":
            return await ask.listed()
        case "records":
            return await ask.ask("GET", "/v2/reports/records", params=SMS)
        case _:
            report = await ask.finished() if place == "download" else (await ask.create()).json
            if place == "download":
                return await ask.download(report)
            method = "GET" if place == "status" else "DELETE"
            return await ask.ask(method, f"/v2/reports/{report['request_id']}")


@pytest.mark.parametrize("place", CALLS)
async def test_each_call_can_be_throttled(place: str) -> None:
    fault = {"at": place, "do": "refuse", "status": 429, "first": 1}
    async with asking(faults=faults(fault)) as ask:
        answer = await at_call(ask, place)
        assert answer.status == 429
        assert answer.json["type"].endswith("#rate-limit")
        assert "Retry-After" not in answer.headers
        assert (await at_call(ask, place)).status == 200


@pytest.mark.parametrize(
    ("options", "status", "kind", "retry_after"),
    [
        ({"status": 429, "retry_after": 7}, 429, "rate-limit", "7"),
        ({"status": 429, "retry_after": 0.5}, 429, "rate-limit", "0.5"),
        (
            {"status": 429, "retry_after": 90, "as_date": True},
            429,
            "rate-limit",
            "Mon, 02 Mar 2026 09:01:30 GMT",
        ),
        ({"status": 403, "rate_limit": True}, 403, "rate-limit", None),
        ({"status": 403}, 403, "forbidden", None),
        ({"status": 401}, 401, "unauthorized", None),
        ({"status": 404}, 404, "not-found", None),
        ({"status": 409}, 409, "invalid-abort-operation", None),
        ({"status": 500}, 500, "internal-error", None),
        ({"status": 503, "retry_after": 30}, 503, "internal-error", "30"),
        ({"status": 418}, 418, "blank", None),
    ],
)
async def test_refusals_have_their_types_and_their_retry_after(
    options: dict[str, Any], status: int, kind: str, retry_after: str | None
) -> None:
    async with asking(faults=faults({"at": "create", "do": "refuse", **options})) as ask:
        answer = await ask.create()
        assert answer.status == status
        assert answer.json["type"].replace(":", "#").endswith(kind)
        assert answer.headers.get("Retry-After") == retry_after
        assert ask.world.bill() == []


MADE = [
    {"do": "refuse", "status": 500, "made": True},
    {"do": "html", "status": 200, "made": True},
    {"do": "html", "status": 502, "made": True},
]


@pytest.mark.parametrize("fault", MADE, ids=str)
async def test_a_create_may_answer_badly_and_have_made_the_report(
    fault: dict[str, Any],
) -> None:
    async with asking(faults=faults({"at": "create", **fault})) as ask:
        answer = await ask.create()
        assert answer.status == fault["status"]
        assert answer.headers["Content-Type"].startswith(
            "text/html" if fault["do"] == "html" else "application/problem+json"
        )
        assert (await ask.listed()).json["items_count"] == 1


async def test_an_html_page_comes_from_something_in_between() -> None:
    async with asking(faults=faults({"at": "create", "do": "html"})) as ask:
        answer = await ask.create()
        assert answer.status == 502
        assert answer.body.startswith(b"<!DOCTYPE html>")
        assert (await ask.listed()).json["items_count"] == 0


@pytest.mark.parametrize("place", CALLS)
async def test_each_call_can_be_reset(place: str) -> None:
    async with asking(faults=faults({"at": place, "do": "reset"})) as ask:
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await at_call(ask, place)


@pytest.mark.parametrize(("made", "reports"), [(False, 0), (True, 1)])
async def test_a_reset_comes_before_or_after_the_report_was_made(made: bool, reports: int) -> None:
    async with asking(faults=faults({"at": "create", "do": "reset", "made": made})) as ask:
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await ask.create()
        assert (await ask.listed()).json["items_count"] == reports


@pytest.mark.parametrize("place", CALLS)
async def test_each_answer_can_break_off(place: str) -> None:
    async with asking(faults=faults({"at": place, "do": "cut"})) as ask:
        with pytest.raises(aiohttp.ClientPayloadError):
            await at_call(ask, place)


async def test_a_large_download_breaks_off_where_it_is_told_to() -> None:
    fault = {"at": "download", "do": "cut", "share": 0.25, "nth": 1}
    async with asking(records_per_day=5000.0, faults=faults(fault)) as ask:
        report = await ask.finished()
        address = report["_links"]["download_report"]["href"]
        received = 0
        async with ask._session.get(address, headers=ask.headers) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                async for piece in response.content.iter_any():
                    received += len(piece)
            assert response.content_length is not None
            assert received == pytest.approx(response.content_length / 4, abs=1)
        assert (await ask.download(report)).record_digest() == Truth(
            ask.world.settings, SMS
        ).record_digest()


@pytest.mark.virtual
@pytest.mark.parametrize("made", [False, True])
async def test_a_call_hangs_for_some_time_of_the_loop(made: bool) -> None:
    fault = {"at": "create", "do": "hang", "seconds": 120, "made": made}
    async with asking(faults=faults(fault)) as ask:
        began = anyio.current_time()
        assert (await ask.create()).status == 200
        assert anyio.current_time() - began >= 120


@pytest.mark.virtual
@pytest.mark.parametrize("made", [False, True])
async def test_a_report_is_made_though_its_client_has_gone(made: bool) -> None:
    fault = {"at": "create", "do": "hang", "seconds": 60, "made": made}
    async with asking(faults=faults(fault)) as ask:
        with anyio.move_on_after(5):
            await ask.create()
        assert (await ask.listed()).json["items_count"] == int(made)
        await anyio.sleep(60)
        assert (await ask.listed()).json["items_count"] == 1


async def test_nothing_hangs_on_when_the_server_ends() -> None:
    fault = {"at": "status", "do": "hang", "seconds": 3600}
    with anyio.fail_after(5):
        async with asking(faults=faults(fault)) as ask:
            with anyio.move_on_after(0.05):
                await ask.status("nobody")


async def test_the_list_lacks_the_newest_reports_for_a_while() -> None:
    fault = {"at": "list", "do": "lacks", "newest": 2, "first": 1}
    async with asking(faults=faults(fault)) as ask:
        ids = [await ask.created() for _ in range(3)]
        answer = (await ask.listed()).json
        assert [one["request_id"] for one in answer["reports"]] == ids[:1]
        assert answer["items_count"] == 1
        assert (await ask.listed()).json["items_count"] == 3


async def test_the_list_is_empty_or_refused() -> None:
    async with asking(
        faults=faults(
            {"at": "list", "do": "empty", "nth": 1},
            {"at": "list", "do": "refuse", "status": 403, "nth": 2},
        )
    ) as ask:
        await ask.created()
        assert (await ask.listed()).json["reports"] == []
        assert (await ask.listed()).status == 403


async def test_one_answer_can_carry_an_unknown_word() -> None:
    fault = {"at": "status", "do": "word", "status": "THINKING", "nth": 1}
    async with asking(faults=faults(fault)) as ask:
        request_id = await ask.created()
        words = [(await ask.status(request_id)).json["request_status"] for _ in range(2)]
        assert words == ["THINKING", "PENDING"]


async def test_a_fault_may_look_at_one_account_and_product_only() -> None:
    fault = {
        "at": "status", "do": "refuse", "status": 503, "account": "ef567890", "product": "SMS",
    }  # fmt: skip
    async with asking(faults=faults(fault)) as ask:
        mine, theirs = await ask.created(), await ask.created(account_id="ef567890")
        assert (await ask.status(mine)).status == 200
        assert (await ask.status(theirs)).status == 503


@pytest.mark.virtual
async def test_a_storm_lasts_as_long_as_it_is_told_to() -> None:
    fault = {"at": "list", "do": "refuse", "status": 429, "after": 60, "until": 180}
    async with asking(faults=faults(fault)) as ask:
        statuses = []
        for _ in range(5):
            statuses.append((await ask.listed()).status)
            await anyio.sleep(50)
        assert statuses == [200, 200, 429, 429, 200]


# --- at a report, over HTTP -----------------------------------------------------------------------


@pytest.mark.parametrize("word", ["FAILED", "ABORTED", "ARCHIVED"])
async def test_a_report_ends_without_a_file_and_free(word: str) -> None:
    fault = {"at": "report", "do": "outcome", "status": word}
    async with asking(faults=faults(fault)) as ask:
        report = await ask.finished()
        assert report["request_status"] == word
        assert "download_report" not in report["_links"]
        assert ask.world.charged() == 0


async def test_a_report_ends_truncated_with_half_of_its_records() -> None:
    fault = {"at": "report", "do": "outcome", "status": "TRUNCATED"}
    async with asking(faults=faults(fault)) as ask:
        report = await ask.finished()
        assert report["request_status"] == "TRUNCATED"
        file = await ask.download(report)
        assert file.record_digest().rows == Truth(ask.world.settings, SMS).count() // 2


@pytest.mark.parametrize("phase", ["PENDING", "PROCESSING"])
async def test_a_report_is_stuck_until_it_is_cancelled(phase: str) -> None:
    fault = {"at": "report", "do": "stuck", "phase": phase}
    async with asking(faults=faults(fault)) as ask:
        request_id = await ask.created()
        ask.later(days=3)
        assert (await ask.status(request_id)).json["request_status"] == phase
        assert (await ask.ask("DELETE", f"/v2/reports/{request_id}")).status == 200


async def test_a_report_s_count_is_wrong_in_every_answer() -> None:
    fault = {"at": "report", "do": "wrong_count", "by": -3}
    async with asking(faults=faults(fault)) as ask:
        report = await ask.finished()
        rows = (await ask.download(report)).record_digest().rows
        listed = (await ask.listed()).json["reports"][0]
        assert report["items_count"] == listed["items_count"] == rows - 3


async def test_a_report_s_echo_is_wrong() -> None:
    fault = {"at": "report", "do": "wrong_echo", "field": "account_id", "value": "ef567890"}
    async with asking(faults=faults(fault)) as ask:
        assert (await ask.finished())["account_id"] == "ef567890"


@pytest.mark.parametrize("at", ["report", "download"])
@pytest.mark.parametrize("per_day", [20.0, 1500.0], ids=["memory", "disk"])
async def test_an_archive_s_checksum_is_wrong_for_good_or_once(at: str, per_day: float) -> None:
    fault = {"at": at, "do": "bad_crc", "nth": 1}
    async with asking(records_per_day=per_day, faults=faults(fault)) as ask:
        report = await ask.finished()
        damaged = [(await ask.download(report)).archive().testzip() is not None for _ in range(2)]
        assert damaged == [True, at == "report"]


@pytest.mark.parametrize("at", ["report", "download"])
async def test_an_archive_lacks_its_end_though_the_answer_is_whole(at: str) -> None:
    fault = {"at": at, "do": "cut_file", "share": 0.9, "nth": 1}
    async with asking(faults=faults(fault)) as ask:
        report = await ask.finished()
        file = await ask.download(report)
        assert file.headers["Content-Length"] == str(len(file.body))
        with pytest.raises(zipfile.BadZipFile):
            file.archive()
        assert ((await ask.download(report)).body == file.body) is (at == "report")


@pytest.mark.parametrize("at", ["report", "download"])
async def test_a_link_is_gone_before_its_time(at: str) -> None:
    fault = {"at": at, "do": "gone", "nth": 1}
    async with asking(faults=faults(fault)) as ask:
        report = await ask.finished()
        assert report["request_status"] == "SUCCESS"
        assert (await ask.download(report)).status == 404
        assert (await ask.download(report)).status == (404 if at == "report" else 200)
