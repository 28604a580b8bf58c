"""What the simulated API charges, and how a test or a demo asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.simulator import Truth
from tests.kit.asking import SMS, asking

pytestmark = pytest.mark.anyio

FIRST_HALF = {"date_end": "2026-02-01T12:00:00Z"}
SECOND_HALF = {"date_start": "2026-02-01T12:00:00Z"}


async def test_disjoint_chunks_pay_each_record_once() -> None:
    async with asking() as ask:
        await ask.finished(**FIRST_HALF)
        await ask.finished(**SECOND_HALF)
        assert ask.world.charged() == Truth(ask.world.settings, SMS).count()
        assert ask.world.paid_twice() == {}


@pytest.mark.parametrize(
    ("fields", "shared"),
    [
        ({}, SMS),
        ({"date_start": "2026-02-01T20:00:00Z", "date_end": "2026-02-03T00:00:00Z"},
         {**SMS, "date_start": "2026-02-01T20:00:00Z"}),
        ({"status": "delivered"}, {**SMS, "status": "delivered"}),
        ({"include_subaccounts": True}, SMS),
        ({"include_message": True}, SMS),
    ],
    ids=["same", "overlap", "filter", "subaccounts", "message"],
)  # fmt: skip
async def test_a_record_in_two_reports_is_paid_twice(
    fields: dict[str, Any], shared: dict[str, Any]
) -> None:
    async with asking() as ask:
        first = (await ask.finished())["request_id"]
        second = (await ask.finished(**fields))["request_id"]
        truth = Truth(ask.world.settings, shared)
        at = truth.columns.index("message_id")
        expected = {row[at] for row in truth.rows()}
        twice = ask.world.paid_twice()
        assert set(twice) == expected != set()
        assert set(twice.values()) == {tuple(sorted((first, second)))}


@pytest.mark.parametrize(
    "fields",
    [
        {"direction": "inbound"},
        {"account_id": "ef567890"},
        {"product": "MESSAGES"},
        {"date_start": "2026-02-02T00:00:00Z", "date_end": "2026-02-03T00:00:00Z"},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_other_streams_and_windows_share_nothing(fields: dict[str, Any]) -> None:
    async with asking() as ask:
        await ask.finished()
        await ask.finished(**fields)
        assert ask.world.paid_twice() == {}


async def test_only_what_a_truncated_file_holds_was_paid_for() -> None:
    async with asking(records_per_day=50.0, max_rows=10) as ask:
        await ask.finished()
        await ask.finished(**FIRST_HALF)
        twice = ask.world.paid_twice()
        assert len(twice) == 10
        assert ask.world.charged() == 20


async def test_a_usage_report_is_free_and_tells_of_every_report_and_query() -> None:
    async with asking() as ask:
        paid = await ask.finished()
        failed = await ask.created(product="AMD", direction=None)
        await ask.ask("DELETE", f"/v2/reports/{failed}")
        await ask.ask("GET", "/v2/reports/records", params=SMS)
        await ask.created(account_id="ef567890")
        usage = await ask.finished(
            product="REPORTS-USAGE",
            direction=None,
            date_start="2026-03-01T00:00:00Z",
            date_end="2026-03-04T00:00:00Z",
        )
        text = (await ask.download(usage)).archive()
        rows = text.read(text.namelist()[0]).decode().splitlines()
        assert rows[0].startswith('"account_id","id","acc","master_account_id"')
        assert usage["items_count"] == len(rows) - 1 == 3
        assert [row.split(",")[1].strip('"') for row in rows[1:3]] == [
            ask.world.bill()[-1].request_id, paid["request_id"],
        ]  # fmt: skip
        charges = {charge.request_id: charge for charge in ask.world.bill()}
        assert charges[usage["request_id"]].charged == 0
        assert charges[failed].charged == 0
        assert charges[paid["request_id"]].charged == paid["items_count"]


async def test_the_bill_is_open_to_other_processes() -> None:
    async with asking() as ask:
        report = await ask.finished(status="delivered")
        await ask.created(account_id="ef567890")
        bill = (await ask.ask("GET", "/_sim/bill", headers={})).json
        assert bill["paid_twice"] == {}
        assert bill["charged"] == report["items_count"]
        paid, waiting = bill["reports"]
        assert paid == {
            "request_id": report["request_id"],
            "api_key": "abcd1234",
            "account_id": "abcd1234",
            "product": "SMS",
            "body": {
                "direction": "outbound",
                "product": "SMS",
                "account_id": "abcd1234",
                "include_subaccounts": False,
                "include_message": False,
                "show_concatenated": False,
                "status": "delivered",
            },
            "date_start": "2026-02-01T00:00:00Z",
            "date_end": "2026-02-02T00:00:00Z",
            "rows": report["items_count"],
            "charged": report["items_count"],
            "status": "SUCCESS",
        }
        assert (waiting["status"], waiting["charged"]) == ("PENDING", 0)


async def test_the_truth_is_open_to_other_processes() -> None:
    async with asking() as ask:
        years = {"date_start": "2023-01-01T00:00:00Z", "date_end": "2026-01-01T00:00:00Z"}
        query = {**SMS, **years, "include_message": "true"}
        answer = await ask.ask("GET", "/_sim/truth", headers={}, params=query)
        truth = Truth(ask.world.settings, query)
        assert answer.json == {
            "rows": truth.record_digest().rows,
            "digest": truth.record_digest().digest,
            "columns": list(truth.columns),
        }


@pytest.mark.parametrize(
    ("query", "status"),
    [({**SMS, "product": "TELEX"}, 422), ({"account_id": "abcd1234", "product": "AMD"}, 400)],
)
async def test_a_truth_that_cannot_be_told_is_refused(query: dict[str, str], status: int) -> None:
    async with asking() as ask:
        assert (await ask.ask("GET", "/_sim/truth", params=query)).status == status


async def test_every_one_of_many_small_reports_is_on_the_bill() -> None:
    async with asking() as ask:
        for _ in range(200):
            await ask.created(**FIRST_HALF)
        ask.later(hours=2)
        charges = ask.world.bill()
        rows = Truth(ask.world.settings, {**SMS, **FIRST_HALF}).count()
        assert [charge.charged for charge in charges] == [rows] * 200
        assert len(ask.world.reports()) == 200
