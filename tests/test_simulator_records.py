"""The simulator's records: a pure function of seed, stream and time."""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.products import DIRECTIONS, PRODUCTS, DirectionRule
from orchestrator.simulator import RecordDigest, Settings, Truth, digest_csv
from orchestrator.simulator.records.bodies import NASTY
from orchestrator.simulator.records.columns import schema
from orchestrator.simulator.records.source import Query, Records

DAY = 86400
START = 1_767_225_600  # 2026-01-01
OUTBOUND = {"account_id": "abcd1234", "product": "SMS", "direction": "outbound"}
FEBRUARY = (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
STREAMS = [
    (product.name, direction)
    for product in PRODUCTS.values()
    if product.name != "REPORTS-USAGE"
    for direction in (("",) if product.direction is DirectionRule.INVALID else DIRECTIONS)
]


def query(**changes: Any) -> Query:
    whole = Query(("abcd1234",), "SMS", ("outbound",), (), START, START + 7 * DAY)
    return replace(whole, **changes)


def world(per_day: float = 20.0, **more: Any) -> Records:
    return Records(Settings(records_per_day=per_day, **more))


@pytest.mark.parametrize("per_day", [0.3, 20.0, 6000.0], ids=["sparse", "days", "hours"])
@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 2 * DAY), max_size=8))
def test_any_partition_of_a_window_gives_exactly_the_whole(per_day: float, cuts: list[int]) -> None:
    records = world(per_day)
    whole = query(start=START + 1000, end=START + 1000 + 2 * DAY)
    edges = [whole.start, *sorted(whole.start + cut for cut in cuts), whole.end]
    parts = [whole.within(a, b) for a, b in itertools.pairwise(edges)]

    assert [one for part in parts for one in records.ids(part)] == list(records.ids(whole))
    assert sum(records.count(part) for part in parts) == records.count(whole)


@given(seconds=st.integers(0, DAY))
@settings(max_examples=50)
def test_a_single_second_holds_the_records_of_that_second(seconds: int) -> None:
    records = world(90_000.0)
    second = query(start=START + seconds, end=START + seconds + 1)
    hour = START + seconds // 3600 * 3600
    around = query(start=hour, end=hour + 3600)
    assert [draw.uid for draw in records.draws(second)] == [
        draw.uid for draw in records.draws(around) if draw.time == START + seconds
    ]


def test_the_number_of_records_is_what_was_asked_for_on_average() -> None:
    assert 38_000 < world(100.0).count(query(end=START + 400 * DAY)) < 42_000


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"seed": 1}, {"seed": 2}),
        ({"product_factors": {"SMS": 2.0}}, {}),
    ],
    ids=["seed", "factor"],
)
def test_other_settings_make_another_world(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert list(world(**first).ids(query())) != list(world(**second).ids(query()))


def test_every_record_of_every_stream_has_an_id_of_its_own() -> None:
    records = world(40.0)
    ids = [
        one
        for product, direction in STREAMS
        for account in ("abcd1234", "ef567890")
        for one in records.ids(query(product=product, directions=(direction,), accounts=(account,)))
    ]
    assert len(ids) > 10_000
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("product", "direction"), STREAMS, ids=" ".join)
def test_each_stream_has_its_columns_with_its_id_and_its_time(product: str, direction: str) -> None:
    """What windows select by stands in the record, in whole seconds of UTC."""
    asked = query(product=product, directions=(direction,))
    form = asked.schema
    at = form.names.index(form.time_column)
    for row, draw in zip(world().rows(asked), world().draws(asked), strict=True):
        shown = datetime.strptime(row[at], "%Y-%m-%dT%H:%M:%S%z")
        assert int(shown.timestamp()) == draw.time
        assert asked.start <= draw.time < asked.end
        assert row[form.names.index(form.id_column)] == draw.uid
        assert row[form.names.index("account_id")] == "abcd1234"


@pytest.mark.parametrize(
    ("product", "direction", "columns"),
    [
        (
            "SMS",
            "inbound",
            (
                "account_id message_id direction from to message_body network network_name country"
                " country_name date_received currency total_price"
            ),
        ),
        (
            "MESSAGES",
            "inbound",
            (
                "account_id message_id direction from to message_body provider date_received"
                " currency total_price"
            ),
        ),
        (
            "WEBSOCKET-CALL",
            "",
            "account_id call_id date_start date_end duration status currency price total_price",
        ),
        (
            "ASR",
            "inbound",
            (
                "account_id call_id direction from to call_date_start date_start date_end duration"
                " status status_description currency price total_price"
            ),
        ),
    ],
    ids=["sms", "messages", "websocket", "asr"],
)
def test_the_columns_are_those_of_real_files(product: str, direction: str, columns: str) -> None:
    form = schema(product, direction, include_message=True, show_concatenated=False)
    assert list(form.names) == columns.split()


def test_outbound_sms_have_the_columns_of_2026_too() -> None:
    names = Truth(Settings(), OUTBOUND, *FEBRUARY).columns
    assert names[-3:] == ("udh", "validity_period", "workflow_id")
    assert "message_body" not in names


def test_include_message_adds_the_body_and_changes_no_record() -> None:
    plain = Truth(Settings(), OUTBOUND, *FEBRUARY)
    full = Truth(Settings(), {**OUTBOUND, "include_message": True}, *FEBRUARY)
    at = full.columns.index("message_body")
    assert [row[:at] + row[at + 1 :] for row in full.rows()] == list(plain.rows())


def test_bodies_are_nasty_and_come_back_from_the_csv_as_they_are() -> None:
    truth = Truth(Settings(records_per_day=100), {**OUTBOUND, "include_message": True}, *FEBRUARY)
    text = b"".join(truth.csv()).decode()
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    at = truth.columns.index("message_body")
    assert tuple(read[0]) == truth.columns
    assert read[1:] == list(truth.rows())
    assert set(NASTY) <= {row[at] for row in read[1:]}


def test_every_field_is_quoted_and_lines_end_with_lf() -> None:
    text = b"".join(Truth(Settings(), OUTBOUND, *FEBRUARY).csv()).decode()
    lines = text.split("\n")
    assert "\r" not in text
    assert lines.pop() == ""
    assert all(line.startswith('"') and line.endswith('"') for line in lines)
    assert lines[0].split(",") == [f'"{name}"' for name in text[1 : text.index('"\n')].split('","')]


FILTERED = [
    ("SMS", "outbound", "status", "delivered"),
    ("SMS", "inbound", "country", "NO"),
    ("SMS", "outbound", "network", "23415"),
    ("SMS", "outbound", "from", "ACME"),
    ("MESSAGES", "outbound", "provider", "whatsapp"),
    ("VOICE-CALL", "inbound", "status", "busy"),
    ("VERIFY-API", "", "locale", "fr-fr"),
    ("VERIFY-V2", "", "channel", "email"),
    ("NUMBER-INSIGHT-V2", "", "risk", "high"),
    ("NETWORK-API-EVENT", "", "product_name", "sim-swap"),
]


@pytest.mark.parametrize(("product", "direction", "name", "value"), FILTERED)
def test_a_filter_selects_by_the_column_of_its_name(
    product: str, direction: str, name: str, value: str
) -> None:
    records = world(200.0)
    whole = query(product=product, directions=(direction,))
    at = whole.schema.names.index(name)
    found = list(records.rows(replace(whole, filters=((name, value),))))
    assert found == [row for row in records.rows(whole) if row[at] == value]
    assert 0 < len(found) < records.count(whole)


@pytest.mark.parametrize(
    ("product", "field"),
    [(product.name, field) for product in PRODUCTS.values() for field in sorted(product.fields)],
)
def test_every_filter_of_the_table_can_be_applied(product: str, field: str) -> None:
    asked = query(product=product, filters=((field, "no record has this"),))
    assert world().count(asked) == 0


def test_a_call_id_finds_one_call() -> None:
    calls = query(product="VOICE-CALL", directions=DIRECTIONS)
    wanted = list(world().ids(calls))[5]
    assert list(world().ids(replace(calls, filters=(("call_id", wanted),)))) == [wanted]


def test_subaccounts_bring_their_own_records_under_their_own_names() -> None:
    def record_digest(account: str, *, family: bool = False) -> RecordDigest:
        body = {**OUTBOUND, "account_id": account, "include_subaccounts": family}
        return Truth(Settings(), body, *FEBRUARY).record_digest()

    accounts = Settings().family("abcd1234")
    assert accounts == ("abcd1234", "ef567890", "cafe0002", "cafe0003")
    together = RecordDigest()
    for account in accounts:
        together += record_digest(account)
    assert record_digest("abcd1234", family=True) == together


def test_without_a_direction_calls_of_both_come() -> None:
    body = {"account_id": "abcd1234", "product": "VOICE-CALL"}
    truth = Truth(Settings(), body, *FEBRUARY)
    at = truth.columns.index("direction")
    inbound, outbound = (
        Truth(Settings(), {**body, "direction": one}, *FEBRUARY).record_digest()
        for one in DIRECTIONS
    )
    assert {row[at] for row in truth.rows()} == set(DIRECTIONS)
    assert truth.record_digest() == inbound + outbound


def test_a_record_that_arrives_late_is_there_later() -> None:
    records = world(100.0, arrival_lag=timedelta(hours=6))
    day = query(end=START + DAY)
    soon = records.count(replace(day, seen_at=START + DAY))
    later = records.count(replace(day, seen_at=START + DAY + 6 * 3600))
    assert soon < later == records.count(day)


def test_large_bodies_have_the_length_that_was_asked_for() -> None:
    body = {**OUTBOUND, "include_message": True}
    truth = Truth(Settings(bulk_body_bytes=4000), body, *FEBRUARY)
    at = truth.columns.index("message_body")
    assert {len(row[at]) for row in truth.rows()} == {4000}
    read = digest_csv(io.BytesIO(b"".join(truth.csv())))
    assert read == truth.record_digest()


def test_pieces_of_csv_stay_small() -> None:
    body = {**OUTBOUND, "include_message": True}
    truth = Truth(Settings(bulk_body_bytes=4000, records_per_day=100), body, *FEBRUARY)
    assert max(map(len, truth.csv())) < 300_000


def test_an_id_is_enough_to_find_its_record() -> None:
    wanted = query()
    ids = list(world().ids(wanted))[3:5]
    found = list(world().find(replace(wanted, start=0, end=0), [*ids, "not-an-id", "0" * 36]))
    at = wanted.schema.names.index("message_id")
    assert [row[at] for row in found] == ids


def test_a_tally_sees_order_as_nothing_and_a_repeated_record_as_something() -> None:
    rows = [["a", "b"], ["c", "d"], ["a", "b"]]
    assert RecordDigest().add_all(rows) == RecordDigest().add_all(reversed(rows))
    assert RecordDigest().add_all(rows) != RecordDigest().add_all(rows[:2])
    assert (
        RecordDigest().add_all([["ab", ""]]).digest != RecordDigest().add_all([["a", "b"]]).digest
    )


def test_a_csv_without_a_header_has_no_tally() -> None:
    with pytest.raises(ValueError, match="not even a header row"):
        digest_csv(io.BytesIO(b""))


def test_a_truth_needs_a_window() -> None:
    with pytest.raises(ValueError, match="date_start is missing"):
        Truth(Settings(), OUTBOUND)


def test_what_the_world_itself_did_has_no_truth_beforehand() -> None:
    with pytest.raises(ValueError, match="look at the bill"):
        Truth(Settings(), {"account_id": "abcd1234", "product": "REPORTS-USAGE"}, *FEBRUARY)
