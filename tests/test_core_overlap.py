"""No record is bought twice by one job: refused where it is sure, warned of where it is likely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.model import Series
from orchestrator.core.overlap import covers, differing
from tests.kit.job_files import job_text, read_job

if TYPE_CHECKING:
    from pathlib import Path


def many(*entries: str) -> str:
    return "".join(f"\n  - {entry}" for entry in entries)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            ["VERIFY-API", "AMD", "VERIFY-API"],
            "5:5: products[2]: asks for VERIFY-API, as products[0] in line 3 does already",
        ),
        (
            ["VOICE", "VOICE-CALL"],
            "4:5: products[1]: asks for VOICE-CALL, as products[0] in line 3 does already",
        ),
        (
            [
                "{product: SMS, direction: [inbound, outbound]}",
                "{product: SMS, direction: outbound, include_message: false}",
            ],
            (
                "4:5: products[1]: asks for SMS outbound include_message=false, as products[0] in"
                " line 3 does already"
            ),
        ),
        (
            ["{product: [VOICE, VOICE-CALL], to: x}"],
            "3:5: products[0]: asks for VOICE-CALL to=x twice",
        ),
    ],
)
def test_the_same_series_twice_is_refused(tmp_path: Path, entries: list[str], message: str) -> None:
    # Two accounts: it is told once all the same.
    text = job_text(accounts="[abcd1234, ef567890]", products=many(*entries))
    assert read_job(tmp_path, text).mistakes == [f"job.yaml:{message}; remove one of the two"]


WHOLE = "{product: SMS, direction: outbound}"
DROP = "drop the narrower one, or its records are bought twice"


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            WHOLE,
            "{product: SMS, direction: outbound, country: DE}",
            "SMS outbound country=DE is a part of products[0] in line 3 (SMS outbound); " + DROP,
        ),
        (
            "{product: SMS, direction: outbound, country: DE, network: x}",
            "{product: SMS, direction: outbound, country: DE}",
            "SMS outbound country=DE holds all of products[0] in line 3 (SMS outbound country=DE"
            " network=x); " + DROP,
        ),
        (
            "{product: SMS, direction: outbound, country: gb}",
            "{product: SMS, direction: outbound, country: GB}",
            (
                "SMS outbound country=GB has the same records as products[0] in line 3"
                " (SMS outbound country=gb); only country differs; drop one of the two, or its"
                " records are bought twice"
            ),
        ),
        (
            "VOICE-CALL",
            "{product: VOICE-CALL, direction: inbound}",
            "VOICE-CALL inbound is a part of products[0] in line 3 (VOICE-CALL); " + DROP,
        ),
        (
            WHOLE,
            "{product: SMS, direction: outbound, include_message: true}",
            (
                "SMS outbound include_message=true has the same records as products[0] in line 3"
                " (SMS outbound); only include_message differs; drop one of the two, or its records"
                " are bought twice"
            ),
        ),
        (
            "{product: VERIFY-API, include_subaccounts: true}",
            "VERIFY-API",
            "VERIFY-API is a part of products[0] in line 3"
            " (VERIFY-API include_subaccounts=true); " + DROP,
        ),
    ],
)
def test_a_part_of_another_entry_gets_a_warning_that_names_both(
    tmp_path: Path, first: str, second: str, message: str
) -> None:
    reading = read_job(tmp_path, job_text(products=many(first, second)))
    assert reading.mistakes == []
    assert reading.warnings == [f"job.yaml:4:5: products[1]: {message}"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (WHOLE, "{product: SMS, direction: inbound}"),
        (WHOLE, "{product: MESSAGES, direction: outbound}"),
        ("{product: VERIFY-API, country: DE}", "{product: VERIFY-API, country: FR}"),
        ("{product: VERIFY-API, country: DE}", "{product: VERIFY-API, network: x}"),
        (
            "{product: VERIFY-API, include_subaccounts: true, country: DE}",
            "VERIFY-API",
        ),
    ],
)
def test_entries_of_which_neither_holds_the_other_get_no_warning(
    tmp_path: Path, first: str, second: str
) -> None:
    reading = read_job(tmp_path, job_text(products=many(first, second)))
    assert (reading.mistakes, reading.warnings) == ([], [])


def test_subaccounts_beside_another_account_of_the_same_credentials(tmp_path: Path) -> None:
    accounts = "[ef567890, {id: abcd1234, include_subaccounts: true}]"
    assert read_job(tmp_path, job_text(accounts=accounts)).mistakes == [
        (
            "job.yaml:1:58: accounts[1].include_subaccounts: include_subaccounts beside account"
            " ef567890 (line 1) of the same credentials (default): records would be bought twice;"
            " remove include_subaccounts, or keep this account alone"
        )
    ]


def test_subaccounts_at_a_product_with_several_accounts(tmp_path: Path) -> None:
    text = job_text(
        accounts="[ef567890, abcd1234]",
        products="[{product: VERIFY-API, include_subaccounts: true}]",
    )
    assert read_job(tmp_path, text).mistakes == [
        (
            "job.yaml:2:55: products[0].include_subaccounts: include_subaccounts beside several"
            " accounts (ef567890 and abcd1234) of the same credentials (default): records would be"
            " bought twice; remove include_subaccounts, or keep this account alone"
        )
    ]


def test_subaccounts_beside_accounts_of_other_credentials(tmp_path: Path) -> None:
    accounts = "[{id: ef567890, credentials: emea}, {id: abcd1234, include_subaccounts: true}]"
    job = read_job(tmp_path, job_text(accounts=accounts)).job
    assert [str(one.series) for one in job.series] == [
        "ef567890 VERIFY-API",
        "abcd1234 VERIFY-API include_subaccounts=true",
    ]


@pytest.mark.parametrize("said", ["true", "false"])
def test_subaccounts_may_be_said_at_account_and_product_alike(tmp_path: Path, said: str) -> None:
    text = job_text(
        accounts=f"[{{id: abcd1234, include_subaccounts: {said}}}]",
        products=f"[{{product: VERIFY-API, include_subaccounts: {said}}}]",
    )
    (only,) = read_job(tmp_path, text).job.series
    assert only.series.body["include_subaccounts"] is (said == "true")


def test_subaccounts_said_one_way_here_and_another_there(tmp_path: Path) -> None:
    text = job_text(
        accounts="[{id: abcd1234, include_subaccounts: true}]",
        products="[{product: VERIFY-API, include_subaccounts: false}]",
    )
    assert read_job(tmp_path, text).mistakes == [
        (
            "job.yaml:2:55: products[0].include_subaccounts: account abcd1234 in line 1 says true,"
            " this entry says the contrary; say it in one of the two places"
        )
    ]


SERIES = st.builds(
    lambda account, direction, fields: Series.of(account, "SMS", direction, fields),
    st.sampled_from(["abcd1234", "ef567890"]),
    st.sampled_from(["inbound", "outbound"]),
    st.fixed_dictionaries(
        {},
        optional={
            "country": st.sampled_from(["DE", "FR"]),
            "network": st.sampled_from(["1", "2"]),
            "include_message": st.booleans(),
            "include_subaccounts": st.booleans(),
        },
    ),
)


@given(SERIES, SERIES, SERIES)
def test_covering_is_an_order(one: Series, two: Series, three: Series) -> None:
    assert covers(one, one)
    assert not (covers(one, two) and covers(two, three)) or covers(one, three)
    if covers(one, two) and covers(two, one):
        assert set(differing(one, two)) <= {"include_message"}
