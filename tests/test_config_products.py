"""Product entries: lists expanded, every product held to the table, unknown ones let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.model import Series
from orchestrator.core.products import PRODUCTS, DirectionRule
from tests.kit.job_files import job_text, read_job

if TYPE_CHECKING:
    from pathlib import Path


def series(directory: Path, products: str) -> list[str]:
    """The expanded series of account abcd1234, in words."""
    job = read_job(directory, job_text(products=products, more="settle: 3d\n")).job
    return [str(one.series).removeprefix("abcd1234 ") for one in job.series]


def mistakes(directory: Path, products: str) -> list[str]:
    """The mistakes, without the file's name."""
    found = read_job(directory, job_text(products=products)).mistakes
    return [mistake.removeprefix("job.yaml:") for mistake in found]


def warnings(directory: Path, products: str) -> list[str]:
    """The warnings of a file without mistakes."""
    reading = read_job(directory, job_text(products=products, more="settle: 3d\n"))
    assert reading.mistakes == []
    return [warning.removeprefix("job.yaml:") for warning in reading.warnings]


@pytest.mark.parametrize(
    ("products", "expanded"),
    [
        ("[VERIFY-API]", ["VERIFY-API"]),
        ("[{product: VERIFY-API}]", ["VERIFY-API"]),
        ("[VOICE]", ["VOICE-CALL"]),
        ("[VOICE-CALL, {product: VOICE-FAILED, direction: inbound}]",
         ["VOICE-CALL", "VOICE-FAILED inbound"]),
        ("[{product: SMS, direction: [outbound, inbound]}]", ["SMS outbound", "SMS inbound"]),
        ("[{product: [SMS, MESSAGES], direction: [outbound, inbound], country: [DE, FR]}]", [
            f"{product} {direction} country={country}"
            for product in ("SMS", "MESSAGES")
            for direction in ("outbound", "inbound")
            for country in ("DE", "FR")
        ]),
        ("[{product: SMS, direction: outbound, show_concatenated: true, include_message: TRUE}]",
         ["SMS outbound include_message=true show_concatenated=true"]),
        ("[{product: CONVERSATIONS, type: SUBTYPE}]", ["CONVERSATIONS type=SUBTYPE"]),
        ("[{product: SMS, direction: outbound, from: 0049123, client_ref: 007}]",
         ["SMS outbound client_ref=007 from=0049123"]),
        ("[{product: NEW-THING, direction: inbound, shade: [red, blue]}]",
         ["NEW-THING inbound shade=red", "NEW-THING inbound shade=blue"]),
        ("[{product: VIDEO-API, session_id: x}, REPORTS-USAGE]",
         ["VIDEO-API session_id=x", "REPORTS-USAGE"]),
    ],
)  # fmt: skip
def test_expansion(tmp_path: Path, products: str, expanded: list[str]) -> None:
    assert series(tmp_path, products) == expanded


@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_every_product_takes_all_its_own_fields(tmp_path: Path, name: str) -> None:
    product = PRODUCTS[name]
    fields = {field: "true" if "_" in field and field.split("_")[0] in ("include", "show") else "x"
              for field in product.fields}  # fmt: skip
    if product.direction is not DirectionRule.INVALID:
        fields["direction"] = "outbound"
    body = ", ".join(f"{field}: {value}" for field, value in {"product": name, **fields}.items())
    (only,) = read_job(tmp_path, job_text(products=f"[{{{body}}}]")).job.series
    expected: dict[str, str | bool] = {
        field: True if value == "true" else value
        for field, value in fields.items()
        if field != "direction"
    }
    assert only.series == Series.of("abcd1234", name, fields.get("direction"), expected)


@pytest.mark.parametrize("name", sorted(PRODUCTS))
def test_every_product_is_held_to_its_rule_for_direction(tmp_path: Path, name: str) -> None:
    required = "".join(f", {field}: x" for field in PRODUCTS[name].required)
    bare = mistakes(tmp_path, f"[{{product: {name}{required}}}]")
    given = mistakes(tmp_path, f"[{{product: {name}, direction: inbound{required}}}]")
    asks = (
        f"2:12: products[0]: {name} needs a direction; write {{product: {name}, direction:"
        " [inbound, outbound]}, or one of the two"
    )
    refuses = f"products[0].direction: {name} takes no direction; remove it"
    match PRODUCTS[name].direction:
        case DirectionRule.REQUIRED:
            assert (bare, given) == ([asks], [])
        case DirectionRule.OPTIONAL:
            assert (bare, given) == ([], [])
        case DirectionRule.INVALID:
            assert bare == []
            assert [one.split(": ", 1)[1] for one in given] == [refuses]


@pytest.mark.parametrize(
    ("products", "messages"),
    [
        ("[sms]", ["2:12: products[0]: sms is not how the API spells it; write SMS"]),
        ("[voice_call]", [("2:12: products[0]: voice_call is not how the API spells it; write"
                          " VOICE-CALL")]),
        ("[../SMS]", [("2:12: products[0]: ../SMS cannot be a product (letters, digits, - and _);"
                      " products are named like SMS or VERIFY-API")]),
        ("[~]", ["2:12: products[0]: is empty; give it a value, or remove the key"]),
        ("[[SMS]]", ["2:12: products[0]: is a list; write a single value"]),
        ("[{direction: inbound}]", [("2:12: products[0]: product is missing; add one, such as"
                                    " product: SMS")]),
        ("[{product: SMS, direction: Outbound}]", [("2:38: products[0].direction: Outbound is not a"
                                                   " direction; did you mean outbound?")]),
        ("[{product: SMS, direction: both}]", [("2:38: products[0].direction: both is not a"
                                               " direction; write inbound, outbound, or"
                                               " [inbound, outbound]")]),
        ("[{product: SMS, direction: [inbound, inbound]}]",
         ["2:48: products[0].direction[1]: inbound stands twice in the list; remove one"]),
        ("[{product: SMS, direction: []}]", [("2:38: products[0].direction: is an empty list; give"
                                             " it a value, or remove the key")]),
        ("[{product: SMS, direction: outbound, status: }]",
         ["2:56: products[0].status: is empty; give it a value, or remove the key"]),
        ("[{product: SMS, direction: outbound, leg_id: x}]",
         [("2:48: products[0].leg_id: SMS does not take leg_id; it takes account_ref, client_ref,"
          " country, from, include_message, include_subaccounts, network, show_concatenated,"
          " status and to")]),
        ("[{product: AMD, status: x}]",
         [("2:27: products[0].status: AMD does not take status; it takes call_id and"
          " include_subaccounts")]),
        ("[{product: VERIFY-API, include_message: true}]",
         [("2:34: products[0].include_message: VERIFY-API does not take include_message; it takes"
          " country, include_subaccounts, locale, network, number_type and to")]),
        ("[CONVERSATIONS]", ["2:12: products[0]: CONVERSATIONS needs type; add type"]),
        ("[{product: SMS, direction: [outbound, inbound], show_concatenated: true}]",
         [("2:59: products[0].show_concatenated: SMS takes show_concatenated only with direction:"
          " outbound; give the other direction an entry of its own, or remove it")]),
        ("[{product: SMS, direction: outbound, include_message: 1}]",
         ["2:65: products[0].include_message: 1 is neither true nor false; write true"]),
        ("[{product: VERIFY-API, account_id: x}]",
         ["2:34: products[0].account_id: is not a key here; accounts stand under `accounts`"]),
        ("[{product: VERIFY-API, date_start: x}]",
         ["2:34: products[0].date_start: is not a key here; times stand under `windows`"]),
        ("[{product: VERIFY-API, a/b: x}]",
         [("2:34: products[0].a/b: cannot be a field of a request (letters, digits and _); check"
          " the spelling")]),
        ("[{product: VERIFY-API, to: {a: b}}]",
         ["2:38: products[0].to: is a mapping of keys; write a single value"]),
        ('[{product: VERIFY-API, to: "a\\nb"}]',
         ["2:38: products[0].to: a\\nb holds a line break or a tab; type the value anew"]),
    ],
)  # fmt: skip
def test_mistakes_in_products(tmp_path: Path, products: str, messages: list[str]) -> None:
    assert mistakes(tmp_path, products) == messages


def test_lists_that_multiply_beyond_measure_are_refused_unexpanded(tmp_path: Path) -> None:
    many = f"[{', '.join(str(number) for number in range(100))}]"
    fields = ", ".join(f"f{number}: {many}" for number in range(50))
    (mistake,) = mistakes(tmp_path, f"[{{product: NEW, {fields}}}]")
    assert mistake.startswith(f"2:12: products[0]: expands to {100**50} series an account")


def test_too_many_series_in_all_are_refused(tmp_path: Path) -> None:
    accounts = f"[{', '.join(f'{number:08}' for number in range(201))}]"
    countries = f"[{', '.join(str(number) for number in range(1000))}]"
    text = job_text(accounts=accounts, products=f"[{{product: AMD2, country: {countries}}}]")
    assert read_job(tmp_path, text).mistakes == [
        "job.yaml:2:11: products: makes 201000 series; at most 200000 can be meant; split the job"
    ]


@pytest.mark.parametrize(
    ("products", "messages"),
    [
        ("[VERIFY-V3]", [("2:12: products[0]: VERIFY-V3 is not a product known here; it is asked"
                         " for all the same; did you mean VERIFY-V2?")]),
        ("[VERIFY-V1]", [("2:12: products[0]: VERIFY-V1 is not a product known here; it is asked"
                         " for all the same; write VERIFY-API")]),
        ("[VERIFY]", [("2:12: products[0]: VERIFY is not a product known here; it is asked for all"
                      " the same; write VERIFY-API (version 1) or VERIFY-V2 (version 2), or"
                      " both")]),
        ("[WHATSAPP]", [("2:12: products[0]: WHATSAPP is not a product known here; it is asked for"
                        " all the same; write {product: MESSAGES, direction: [inbound, outbound],"
                        " provider: whatsapp}")]),
        ("[HOLOGRAMS]", [("2:12: products[0]: HOLOGRAMS is not a product known here; it is asked"
                         " for all the same")]),
        ("[{product: VERIFY-API, contry: DE}]",
         [("2:34: products[0].contry: is not a filter of VERIFY-API known here; it is sent as it"
          " is; did you mean country?")]),
        ("[{product: SMS, direction: outbound, status: [delivered, delivred]}]",
         [("2:68: products[0].status[1]: delivred is not a status of SMS known here; it is sent;"
          " did you mean delivered?")]),
        ("[{product: ASR, status: fine}]",
         [("2:35: products[0].status: fine is not a status of ASR known here; it is sent; known"
          " are error and ok")]),
        ("[{product: MESSAGES, direction: outbound, provider: whatsap}]",
         [("2:63: products[0].provider: whatsap is not a provider of MESSAGES known here; it is"
          " sent; did you mean whatsapp?")]),
        ("[{product: CONVERSATIONS, type: x}]",
         [("2:22: products[0].product: CONVERSATIONS is deprecated by the vendor in favour of"
          " CONVERSATION-EVENT")]),
    ],
)  # fmt: skip
def test_what_is_unknown_or_old_passes_with_a_warning(
    tmp_path: Path, products: str, messages: list[str]
) -> None:
    assert warnings(tmp_path, products) == messages


def test_a_status_filter_that_settles_too_early_gets_a_warning(tmp_path: Path) -> None:
    products = "[{product: SMS, direction: [outbound, inbound], status: delivered}]"
    assert read_job(tmp_path, job_text(products=products)).warnings == [
        (
            "job.yaml:2:67: products[0].status: a status can change for 3d, and settle is 1h:"
            " records that get this status later are missed; drop the filter, or write settle: 3d"
        )
    ]
    assert read_job(tmp_path, job_text(products=products, more="settle: 72h\n")).warnings == []
