"""The simulator over HTTP: every endpoint, its refusals, the life of a report and its file."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from orchestrator.core.products import PRODUCTS, DirectionRule
from orchestrator.simulator import Dialect, Settings, Truth
from tests.kit.asking import ALL, NOW, SMS, asking

pytestmark = pytest.mark.anyio


async def test_a_report_goes_from_pending_to_a_file_that_is_the_truth() -> None:
    async with asking() as ask:
        made = await ask.create(include_message=True, status="delivered")
        assert made.status == 200
        assert made.headers["Content-Type"] == "application/json; charset=utf-8"
        link = f"{ask.simulator.base_url}/v2/reports/{made.json['request_id']}"
        assert made.json == {
            "request_id": made.json["request_id"],
            "request_status": "PENDING",
            "product": "SMS",
            "account_id": "abcd1234",
            "direction": "outbound",
            "date_start": "2026-02-01T00:00:00+0000",
            "date_end": "2026-02-02T00:00:00+0000",
            "include_subaccounts": False,
            "include_message": True,
            "show_concatenated": False,
            "status": "delivered",
            "receive_time": "2026-03-02T09:00:00+0000",
            "start_time": "2026-03-02T09:00:00+0000",
            "items_count": 0,
            "_links": {"self": {"href": link}},
        }
        ask.later(seconds=5)
        report = (await ask.status(made.json["request_id"])).json
        assert report["request_status"] == "PROCESSING"
        assert report["items_count"] == 0
        ask.later(minutes=5)
        report = (await ask.status(made.json["request_id"])).json
        assert report["request_status"] == "SUCCESS"
        file = await ask.download(report)
        truth = Truth(ask.world.settings, {**SMS, "include_message": True, "status": "delivered"})
        assert report["items_count"] == truth.count() > 0
        assert file.record_digest() == truth.record_digest()


async def test_the_archive_is_as_real_ones_are() -> None:
    """One deflated member, sizes in a data descriptor, a UTF-8 name: flag bits 3 and 11."""
    async with asking() as ask:
        report = await ask.finished(include_message=True)
        file = await ask.download(report)
        assert file.status == 200
        assert file.headers["Content-Type"] == "application/octet-stream"
        assert file.headers["Content-Length"] == str(len(file.body))
        assert file.headers["Content-Disposition"] == (
            f'attachment; filename="SMS_{report["request_id"]}.zip"'
        )
        archive = file.archive()
        (member,) = archive.infolist()
        assert member.filename == "report_SMS_abcd1234_20260302.csv"
        assert (member.flag_bits, member.compress_type) == (1 << 3 | 1 << 11, 8)
        assert file.body[14:26] == bytes(12)
        assert archive.testzip() is None
        written = b"".join(Truth(Settings(), {**SMS, "include_message": True}).csv())
        assert archive.read(member) == written


async def test_a_large_file_comes_from_disk_and_is_the_same() -> None:
    async with asking(records_per_day=1500.0) as ask:
        report = await ask.finished()
        file = await ask.download(report)
        assert file.record_digest() == Truth(ask.world.settings, SMS).record_digest()
        assert file.record_digest().rows > 500


@pytest.mark.parametrize("product", [one for one in PRODUCTS if one != "REPORTS-USAGE"])
async def test_every_product_can_be_asked_for(product: str) -> None:
    rule = PRODUCTS[product]
    fields: dict[str, Any] = {"product": product}
    fields["direction"] = "inbound" if rule.direction is DirectionRule.REQUIRED else None
    fields |= {"type": "ip-voice"} if "type" in rule.required else {}
    async with asking() as ask:
        report = await ask.finished(**fields)
        file = await ask.download(report)
        body = {**SMS, **fields}
        truth = Truth(ask.world.settings, {k: v for k, v in body.items() if v is not None})
        assert report["items_count"] == truth.count() > 0
        assert file.record_digest() == truth.record_digest()


async def test_subaccounts_stand_in_one_file_under_their_own_ids() -> None:
    async with asking() as ask:
        file = await ask.download(await ask.finished(include_subaccounts="true"))
        truth = Truth(ask.world.settings, {**SMS, "include_subaccounts": True})
        assert file.record_digest() == truth.record_digest()
        assert {row[0] for row in truth.rows()} == {
            "abcd1234", "ef567890", "cafe0002", "cafe0003",
        }  # fmt: skip


# --- refusals -------------------------------------------------------------------------------------

BAD = {"Authorization": aiohttp.encode_basic_auth("abcd1234", "wrong")}


@pytest.mark.parametrize("headers", [{}, BAD, {"Authorization": "Basic %%%"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/reports"),
        ("GET", "/v2/reports"),
        ("GET", "/v2/reports/records"),
        ("GET", "/v2/reports/some-id"),
        ("DELETE", "/v2/reports/some-id"),
        ("GET", "/v3/media/some-id"),
    ],
)
async def test_nothing_without_the_right_credentials(
    method: str, path: str, headers: dict[str, str]
) -> None:
    async with asking() as ask:
        answer = await ask.ask(method, path, headers=headers)
        assert answer.status == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["type"] == "https://developer.nexmo.com/api-errors#unauthorized"
        assert answer.json["detail"] == "You did not provide correct credentials."


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000])
async def test_what_is_no_json_object_gets_400(payload: bytes) -> None:
    async with asking() as ask:
        answer = await ask.ask("POST", "/v2/reports", data=payload)
        assert answer.status == 400
        assert answer.json["type"].endswith("#invalid-json")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"account_id": None}, {"account_id": "Missing required parameter"}),
        ({"account_id": "short"}, {"account_id": "Must have 8 characters"}),
        ({"account_id": 12345678}, {"account_id": "Must be a string"}),
        ({"product": None}, {"product": "Missing required parameter"}),
        ({"direction": None}, {"direction": "Missing required parameter"}),
        ({"direction": "sideways"}, {"direction": "Must be one of [inbound, outbound]"}),
        ({"product": "AMD"}, {"direction": "Not supported for product AMD"}),
        ({"provider": "sms"}, {"provider": "Not supported for product SMS"}),
        (
            {"direction": "inbound", "show_concatenated": True},
            {"show_concatenated": "Only supported with direction outbound"},
        ),
        ({"product": "CONVERSATIONS", "direction": None}, {"type": "Missing required parameter"}),
        ({"include_message": "yes"}, {"include_message": "Must be true or false"}),
        ({"include_message": 1}, {"include_message": "Must be true or false"}),
        ({"country": 44}, {"country": "Must be a string"}),
        (
            {"date_start": "yesterday"},
            {"date_start": "'yesterday' is not of the form yyyy-mm-ddThh:mm:ss[.sss]±hh:mm"},
        ),
        ({"date_end": "2026-02-01T00:00:00Z"}, {"date_end": "Must be later than date_start"}),
        (
            {"date_start": "2025-01-01T23:59:59Z"},
            {"date_end": "The date range must not be longer than 13 months"},
        ),
        ({"callback_url": "ftp://x"}, {"callback_url": "Must be an HTTP or HTTPS URL"}),
        (
            {"direction": None, "country": 44},
            {"direction": "Missing required parameter", "country": "Must be a string"},
        ),
    ],
)
async def test_a_bad_parameter_is_named_in_a_422(
    fields: dict[str, Any], wrong: dict[str, str]
) -> None:
    async with asking() as ask:
        answer = await ask.create(**fields)
        assert answer.status == 422
        assert answer.json["title"] == "Unprocessable entity"
        assert answer.wrong == wrong
        assert ask.world.bill() == []


async def test_an_unknown_product_is_refused_unless_this_world_has_it() -> None:
    async with asking(extra_products=frozenset({"HOLOGRAM"})) as ask:
        refused = await ask.create(product="TELEX")
        assert refused.wrong["product"].startswith("Could not resolve product name.")
        report = await ask.finished(product="HOLOGRAM", direction=None, colour=None)
        assert (await ask.download(report)).record_digest().rows == report["items_count"] > 0


async def test_voice_is_taken_as_voice_call() -> None:
    async with asking() as ask:
        assert (await ask.finished(product="VOICE"))["product"] == "VOICE-CALL"


async def test_without_dates_the_last_seven_days_are_meant() -> None:
    async with asking() as ask:
        report = (await ask.create(date_start=None, date_end=None)).json
        assert report["date_start"] == "2026-02-23T09:00:00+0000"
        assert report["date_end"] == "2026-03-02T09:00:00+0000"


async def test_an_account_of_another_key_is_forbidden() -> None:
    async with asking() as ask:
        refused = [
            await ask.create(account_id="beta0001"),
            await ask.listed("beta0001"),
            await ask.ask("GET", "/v2/reports/records", params={**SMS, "account_id": "beta0001"}),
        ]
        assert [answer.status for answer in refused] == [403, 403, 403]
        assert {answer.json["type"].split("#")[1] for answer in refused} == {"forbidden"}


async def test_another_key_s_report_and_file_are_not_there() -> None:
    async with asking() as ask:
        report = await ask.finished()
        other = ask.world.settings.keys[1]
        theirs = {"Authorization": aiohttp.encode_basic_auth(other.api_key, other.api_secret)}
        path = f"/v2/reports/{report['request_id']}"
        statuses = [
            (await ask.ask("GET", path, headers=theirs)).status,
            (await ask.ask("DELETE", path, headers=theirs)).status,
            (await ask.download(report, headers=theirs)).status,
        ]
        assert statuses == [404, 404, 404]


@pytest.mark.parametrize(
    ("method", "path", "title"),
    [
        ("GET", "/v2/reports/nobody", "Invalid report ID"),
        ("DELETE", "/v2/reports/nobody", "Invalid report ID"),
        ("GET", "/v3/media/nobody", "Not found"),
        ("GET", "/v1/messages", "Not found"),
        ("PUT", "/v2/reports", "Not found"),
    ],
)
async def test_what_is_not_there_gets_404(method: str, path: str, title: str) -> None:
    async with asking() as ask:
        answer = await ask.ask(method, path)
        assert (answer.status, answer.json["title"]) == (404, title)
        assert answer.json["type"].endswith("#not-found")


# --- cancel, expiry, limits -----------------------------------------------------------------------


@pytest.mark.parametrize("waited", [0, 5], ids=["pending", "processing"])
async def test_a_cancelled_report_is_aborted_and_costs_nothing(waited: int) -> None:
    async with asking() as ask:
        request_id = await ask.created()
        ask.later(seconds=waited)
        answer = await ask.ask("DELETE", f"/v2/reports/{request_id}")
        assert (answer.status, answer.json["request_status"]) == (200, "ABORTED")
        ask.later(hours=1)
        report = (await ask.status(request_id)).json
        assert report["request_status"] == "ABORTED"
        assert "download_report" not in report["_links"]
        assert ask.world.charged() == 0


async def test_what_has_ended_cannot_be_cancelled() -> None:
    async with asking() as ask:
        report = await ask.finished()
        answer = await ask.ask("DELETE", f"/v2/reports/{report['request_id']}")
        assert answer.status == 409
        assert answer.json["type"].endswith("#invalid-abort-operation")


async def test_a_file_lives_72_hours_and_a_report_four_days() -> None:
    async with asking() as ask:
        report = await ask.finished()
        request_id = report["request_id"]
        ask.later(hours=70, minutes=59)
        assert (await ask.download(report)).status == 200
        ask.later(minutes=2)
        assert (await ask.download(report)).status == 404
        assert (await ask.status(request_id)).json["request_status"] == "SUCCESS"
        ask.later(hours=23, minutes=58)
        assert (await ask.status(request_id)).status == 200
        ask.later(minutes=1)
        assert (await ask.status(request_id)).status == 404


async def test_beyond_the_largest_file_a_report_is_truncated() -> None:
    async with asking(records_per_day=100.0, max_rows=40) as ask:
        report = await ask.finished()
        file = await ask.download(report)
        assert (report["request_status"], report["items_count"]) == ("TRUNCATED", 40)
        assert file.record_digest().rows == 40
        assert ask.world.charged() == 40


@pytest.mark.parametrize(
    ("product", "direction", "day", "kept"),
    [
        ("SMS", "outbound", "2025-02-01", False),
        ("SMS", "outbound", "2025-02-03", True),
        ("VIDEO-API", None, "2025-12-01", False),
        ("VIDEO-API", None, "2025-12-03", True),
    ],
)
async def test_records_are_gone_after_their_retention(
    product: str, direction: str | None, day: str, kept: bool
) -> None:
    """13 months; 90 days for the product that keeps them shorter."""
    window = {"date_start": f"{day}T00:00:00Z", "date_end": f"{day}T23:00:00Z"}
    async with asking(retention=True) as ask:
        report = await ask.finished(product=product, direction=direction, **window)
        assert (report["items_count"] > 0) is kept


async def test_what_has_not_happened_yet_is_in_no_report() -> None:
    async with asking(records_per_day=500.0) as ask:
        window = {"date_start": "2026-03-02T00:00:00Z", "date_end": "2026-03-03T00:00:00Z"}
        report = await ask.finished(**window)
        there = {"date_start": "2026-03-02T00:00:00Z", "date_end": "2026-03-02T09:00:03Z"}
        assert report["items_count"] == Truth(ask.world.settings, {**SMS, **there}).count()


async def test_one_report_is_worked_on_at_a_time_where_the_server_does_one() -> None:
    async with asking(concurrency=1) as ask:
        first, second = await ask.created(), await ask.created()
        ask.later(seconds=4)
        words = [(await ask.status(one)).json["request_status"] for one in (first, second)]
        assert words == ["PROCESSING", "PENDING"]
        ask.later(hours=1)
        assert (await ask.status(second)).json["request_status"] == "SUCCESS"


# --- the list -------------------------------------------------------------------------------------


async def test_the_list_shows_reports_by_account_status_and_time_of_creation() -> None:
    async with asking() as ask:
        old = await ask.created()
        ask.later(hours=1)
        new = await ask.created()
        other = await ask.created(account_id="ef567890")

        async def ids(*args: str, **more: str) -> list[str]:
            answer = await ask.listed(*args, **more)
            assert answer.json["items_count"] == len(answer.json["reports"])
            return [one["request_id"] for one in answer.json["reports"]]

        assert await ids() == [old, new]
        assert await ids("ef567890") == [other]
        assert await ids(status="SUCCESS, FAILED") == [old]
        assert await ids(status="PENDING") == [new]
        assert await ids(date_from="2026-03-02T10:00:00Z") == [new]
        assert await ids(date_to="2026-03-02T10:59:00+0100") == [old]
        ask.later(days=7)
        assert await ids() == [new]
        assert await ids(date_from="2026-03-01T00:00:00Z") == [old, new]


async def test_the_list_answers_its_own_address_and_whole_report_objects() -> None:
    async with asking() as ask:
        await ask.created(callback_url="https://example.com/hook")
        answer = (await ask.listed()).json
        assert answer["self_link"].startswith(f"{ask.simulator.base_url}/v2/reports?account_id=")
        assert answer["reports"][0]["callback_url"] == "https://example.com/hook"


@pytest.mark.parametrize(
    ("under", "account", "key"), [("account", 1, 0), ("key", 0, 1), ("both", 1, 1)]
)
async def test_where_a_subaccount_s_report_is_listed_is_a_setting(
    under: str, account: int, key: int
) -> None:
    async with asking(list_under=under) as ask:
        await ask.created(account_id="ef567890")
        assert (await ask.listed("ef567890")).json["items_count"] == account
        assert (await ask.listed("abcd1234")).json["items_count"] == key


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"status": ALL}, "account_id"),
        ({"account_id": "abcd1234"}, "status"),
        ({"account_id": "abcd1234", "status": "DONE"}, "status"),
        ({"account_id": "abcd1234", "status": ALL, "date_from": "today"}, "date_from"),
    ],
)
async def test_a_bad_list_query_gets_400(query: dict[str, str], name: str) -> None:
    async with asking() as ask:
        answer = await ask.ask("GET", "/v2/reports", params=query)
        assert answer.status == 400
        assert list(answer.wrong) == [name]


# --- rate, clock, dialects, callbacks -------------------------------------------------------------


async def test_past_five_calls_a_second_a_key_gets_429_and_others_do_not() -> None:
    async with asking(rate=5.0) as ask:
        statuses = [(await ask.status("nobody")).status for _ in range(7)]
        assert statuses[:5] == [404] * 5
        assert statuses[5] == 429
        throttled = await ask.listed()
        assert throttled.json["type"].endswith("#rate-limit")
        assert "Retry-After" not in throttled.headers
        other = ask.world.settings.keys[1]
        theirs = {"Authorization": aiohttp.encode_basic_auth(other.api_key, other.api_secret)}
        assert (await ask.ask("GET", "/v2/reports/x", headers=theirs)).status == 404
        assert ask.simulator.throttled >= 2
        assert ask.simulator.calls["status"] == 8


@pytest.mark.virtual
async def test_the_rate_is_counted_in_the_loop_s_time_not_the_world_s() -> None:
    async with asking(rate=5.0, speed=1000.0) as ask:
        await anyio.sleep(10)
        statuses = []
        for _ in range(20):
            statuses.append((await ask.status("nobody")).status)
            await anyio.sleep(0.1)
        assert 429 in statuses
        await anyio.sleep(1)
        statuses.clear()
        for _ in range(20):
            statuses.append((await ask.status("nobody")).status)
            await anyio.sleep(0.2)
        assert set(statuses) == {404}


async def test_the_date_header_is_the_world_s() -> None:
    async with asking() as ask:
        assert (await ask.listed()).headers["Date"] == "Mon, 02 Mar 2026 09:00:00 GMT"
        ask.later(days=2)
        assert (await ask.status("nobody")).headers["Date"] == "Wed, 04 Mar 2026 09:00:00 GMT"


@pytest.mark.virtual
async def test_a_fast_world_ends_reports_soon() -> None:
    async with asking(speed=3600.0) as ask:
        request_id = await ask.created()
        await anyio.sleep(0.1)
        assert (await ask.status(request_id)).json["request_status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("offset", "date"),
    [("+0000", "+0000"), ("+00:00", "+00:00"), ("Z", "Z")],
)
async def test_dates_are_answered_in_the_offset_of_the_dialect(offset: str, date: str) -> None:
    async with asking(dialect=Dialect(offset=offset)) as ask:  # type: ignore[arg-type]
        report = await ask.finished()
        assert report["date_start"] == f"2026-02-01T00:00:00{date}"
        assert report["receive_time"] == f"2026-03-02T09:00:00{date}"


async def test_the_newer_shape_nests_the_request_and_links_the_file_itself() -> None:
    newer = Dialect(shape="newer", prefix=False, early_fields=False)
    async with asking(dialect=newer) as ask:
        made = (await ask.create(status="delivered")).json
        assert made["status"] == "PENDING"
        assert "items_count" not in made
        assert len(made["request_id"]) == 36
        ask.later(hours=1)
        report = (await ask.status(made["request_id"])).json
        assert report["status"] == "SUCCESS"
        assert report["request_params"]["status"] == "delivered"
        file = await ask.ask("GET", report["download_url"])
        assert file.record_digest().rows == report["items_count"]


async def test_a_mixed_dialect_speaks_all_of_them() -> None:
    async with asking(dialect=Dialect(offset="mixed", shape="mixed")) as ask:
        reports = [(await ask.create()).json for _ in range(30)]
        offsets = {report["receive_time"][19:] for report in reports}
        assert offsets == {"+0000", "+00:00", "Z"}
        assert {"request_params" in report for report in reports} == {True, False}


async def test_ids_differ_and_follow_from_the_seed() -> None:
    async def ids(seed: int) -> list[str]:
        async with asking(seed=seed) as ask:
            return [await ask.created() for _ in range(50)]

    first = await ids(1)
    assert len(set(first)) == 50
    assert first == await ids(1)
    assert not set(first) & set(await ids(2))


@pytest.mark.parametrize("ending", ["SUCCESS", "ABORTED"])
async def test_a_callback_tells_of_the_end_with_the_object_of_the_status_call(
    ending: str,
) -> None:
    told: list[Any] = []
    heard = anyio.Event()

    async def hook(request: web.Request) -> web.Response:
        told.append(await request.json())
        heard.set()
        return web.Response()

    application = web.Application()
    application.router.add_post("/hook", hook)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with asking() as ask:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            request_id = await ask.created(callback_url=url)
            await ask.created(callback_url="https://192.0.2.1/elsewhere")
            if ending == "ABORTED":
                await ask.ask("DELETE", f"/v2/reports/{request_id}")
            else:
                ask.later(hours=1)
            with anyio.fail_after(5):
                await heard.wait()
            assert told == [(await ask.status(request_id)).json]
            assert told[0]["request_status"] == ending
    finally:
        await runner.cleanup()


@pytest.mark.virtual
async def test_a_callback_comes_by_itself_when_its_time_has_come() -> None:
    heard = anyio.Event()

    async def hook(request: web.Request) -> web.Response:
        heard.set()
        return web.Response()

    application = web.Application()
    application.router.add_post("/", hook)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with asking(speed=1.0) as ask:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            await ask.created(callback_url=url)
            began = anyio.current_time()
            await heard.wait()
            assert 5 < anyio.current_time() - began < 60
    finally:
        await runner.cleanup()


async def test_range_requests_are_answered_only_where_the_world_has_them() -> None:
    part = {"Range": "bytes=100-"}
    async with asking() as ask:
        report = await ask.finished()
        whole = await ask.download(report, headers={**ask.headers, **part})
        assert (whole.status, "ETag" in whole.headers) == (200, False)
    async with asking(ranges=True) as ask:
        report = await ask.finished()
        answer = await ask.download(report, headers={**ask.headers, **part})
        assert answer.status == 206
        assert answer.body == whole.body[100:]
        assert answer.headers["Content-Range"] == (
            f"bytes 100-{len(whole.body) - 1}/{len(whole.body)}"
        )
        changed = {**ask.headers, **part, "If-Range": '"another"'}
        assert (await ask.download(report, headers=changed)).status == 200


# --- the synchronous call -------------------------------------------------------------------------


async def test_records_come_page_by_page_and_are_the_truth() -> None:
    async with asking(records_per_day=2500.0) as ask:
        records: list[list[str]] = []
        sizes = []
        address = "/v2/reports/records"
        answer = await ask.ask("GET", address, params=SMS)
        while True:
            page = answer.json
            sizes.append(page["items_count"])
            records += [list(record.values()) for record in page["records"]]
            if "next" not in page["_links"]:
                break
            assert "cursor=" in page["_links"]["next"]["href"]
            answer = await ask.ask("GET", page["_links"]["next"]["href"])
        assert sizes[:-1] == [1000] * (len(sizes) - 1)
        assert len(sizes) > 1
        assert records == list(Truth(ask.world.settings, SMS).rows())
        assert ask.world.charged() == len(records)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"date_end": "2026-02-02T00:00:01Z"}, "date_end"),
        ({"date_end": None}, "date_end"),
        ({"product": "TELEX"}, "product"),
        ({"cursor": "MTA=", "iv": "0"}, "cursor"),
        ({"cursor": "%%%", "iv": "0"}, "cursor"),
        ({"id": "x"}, "date_start"),
    ],
)
async def test_a_bad_synchronous_query_gets_422(changes: dict[str, Any], name: str) -> None:
    query = {key: value for key, value in {**SMS, **changes}.items() if value is not None}
    async with asking() as ask:
        answer = await ask.ask("GET", "/v2/reports/records", params=query)
        assert answer.status == 422
        assert name in answer.wrong


async def test_records_are_found_by_their_ids() -> None:
    async with asking() as ask:
        truth = Truth(ask.world.settings, SMS)
        wanted = next(truth.rows())[truth.columns.index("message_id")]
        query = {
            "product": "SMS",
            "account_id": "abcd1234",
            "direction": "outbound",
            "id": f"{wanted},nobody",
        }
        answer = (await ask.ask("GET", "/v2/reports/records", params=query)).json
        assert [record["message_id"] for record in answer["records"]] == [wanted]
        assert answer["ids_not_found"] == "nobody"


async def test_the_synchronous_call_has_a_rate_of_its_own() -> None:
    async with asking(rate=5.0, sync_rate=10.0) as ask:
        statuses = [
            (await ask.ask("GET", "/v2/reports/records", params=SMS)).status for _ in range(9)
        ]
        assert statuses == [200] * 9
        assert (await ask.listed()).status == 200


async def test_the_server_listens_where_it_is_told_and_leaves_nothing_behind() -> None:
    async with asking(records_per_day=1500.0) as ask:
        report = await ask.finished()
        await ask.download(report)
        folder = ask.simulator._endpoints.media._folder
        assert folder is not None
        assert await anyio.Path(folder.name).exists()
        url = ask.simulator.base_url
    assert not await anyio.Path(folder.name).exists()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)


async def test_what_fails_inside_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="of the test"):
        async with asking():
            raise KeyError("of the test")


def test_the_world_has_two_independent_primaries() -> None:
    settings = Settings()
    assert settings.accounts == ("abcd1234", "ef567890", "cafe0002", "cafe0003", "beta0001")
    assert settings.keys[1].accounts == ("beta0001",)
    assert "Secret" not in repr(settings)


async def test_a_world_begun_anew_gives_its_reports_other_ids() -> None:
    """A ledger that knows the reports of an earlier simulator must not meet their ids again."""
    ids = set()
    for hours in (0, 1):
        async with asking(now=NOW + timedelta(hours=hours)) as ask:
            ids.add(await ask.created())
    assert len(ids) == 2


async def test_salt_changes_every_id_and_no_record() -> None:
    ids, tallies = set(), []
    for salt in ("", "a", "b"):
        async with asking(salt=salt) as ask:
            report = await ask.finished()
            link = report["_links"]["download_report"]["href"]
            ids |= {report["request_id"], link.rpartition("/")[2]}
            tallies.append((await ask.download(report)).record_digest())
    assert len(ids) == 6
    assert tallies[0].rows > 0
    assert tallies == [tallies[0]] * 3
