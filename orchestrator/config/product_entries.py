"""Reads the entries under ``products``: expands lists, and checks each by the product table."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product as cartesian
from typing import Final

from orchestrator.config import parsers
from orchestrator.config.document import Findings, KeyPath
from orchestrator.config.messages import nearest, one_of, shown, suggestion
from orchestrator.config.parsers import InvalidValue, mismatch
from orchestrator.core import products
from orchestrator.core.model import FieldValue
from orchestrator.core.overlap import CASELESS
from orchestrator.core.products import DIRECTIONS, PRODUCTS, DirectionRule, Product
from orchestrator.texts import field_text

MAX_VARIANTS: Final = 1000
"""Series that one entry may expand to for one account; more is surely a slip."""

_KNOWN_FIELDS: Final = products.COMMON_FIELDS.union(*(known.fields for known in PRODUCTS.values()))

_ELSEWHERE: Final[Mapping[str, str]] = {
    "account_id": "accounts stand under `accounts`",
    "date_start": "times stand under `windows`",
    "date_end": "times stand under `windows`",
    "callback_url": "it stands at the top of the job file",
    "credentials": "it stands at the top of the job file, or at an account",
}
"""Fields of a request that a product entry does not hold."""


_OTHER_NAMES: Final[Mapping[str, str]] = {
    "VERIFY": "write VERIFY-API (version 1) or VERIFY-V2 (version 2), or both",
    "VERIFY-V1": "write VERIFY-API",
    "NUMBER-INSIGHTS": "write NUMBER-INSIGHT (version 1) or NUMBER-INSIGHT-V2, or both",
    "TTS": "write VOICE-TTS",
    "VIDEO": "write VIDEO-API",
    "CALLS": "write VOICE-CALL",
    **{
        name: f"write {{product: MESSAGES, direction: [inbound, outbound], provider: {provider}}}"
        for name, provider in {
            "WHATSAPP": "whatsapp",
            "VIBER": "viber_service_msg",
            "MESSENGER": "messenger",
            "INSTAGRAM": "instagram",
            "MMS": "mms",
            "RCS": "rcs",
        }.items()
    },
}
"""What people call products and channels, and what to write for them."""


@dataclass(frozen=True, slots=True)
class SeriesTemplate:
    """One series to be, still without its account."""

    path: KeyPath  # the entry it comes from
    product: str  # as written; the canonical name is the series' affair
    direction: str | None  # None where there is none
    fields: Mapping[str, FieldValue]  # everything else, as given

    def __str__(self) -> str:
        """For people: ``SMS outbound status=delivered``."""
        words = [self.product] + ([self.direction] if self.direction else [])
        for name, value in self.fields.items():
            words.append(f"{name}={field_text(value)}")
        return shown(" ".join(words))


Choices = dict[str, list["FieldValue"]]


def variants(findings: Findings, path: KeyPath, value: object) -> list[SeriesTemplate]:
    """Every combination that an entry asks for; none if anything in it is wrong."""
    if not isinstance(value, dict):
        product = findings.read(path, parsers.text, value)
        if product is None:
            return []
        value = {"product": product}
    before = findings.count
    choices = {key: _options(findings, (*path, key), key, given) for key, given in value.items()}
    if "product" not in choices:
        findings.mistake(path, "product is missing", "add one, such as product: SMS")
        return []
    for name in choices["product"]:
        _check_by_table(findings, path, str(name), choices)
    count = math.prod(len(options) for options in choices.values())
    if count > MAX_VARIANTS:
        what = f"expands to {count} series an account; at most {MAX_VARIANTS} can be meant"
        findings.mistake(path, what, "shorten the lists, or leave the filter out")
    if findings.count > before:
        return []
    return [
        _variant(path, dict(zip(choices, combination, strict=True)))
        for combination in cartesian(*choices.values())
    ]


def _variant(path: KeyPath, fields: dict[str, FieldValue]) -> SeriesTemplate:
    name = str(fields.pop("product"))
    direction = fields.pop("direction", None)
    return SeriesTemplate(path, name, None if direction is None else str(direction), fields)


def _options(findings: Findings, path: KeyPath, key: str, given: object) -> list[FieldValue]:
    """The values of one field, each once; none if any of them is wrong."""
    if key in _ELSEWHERE:
        findings.mistake(path, "is not a key here", _ELSEWHERE[key], at_key=True)
        return []
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", key):
        what = "cannot be a field of a request (letters, digits and _)"
        findings.mistake(path, what, "check the spelling", at_key=True)
        return []
    if not isinstance(given, list):
        given, places = [given], [path]
    else:
        places = [(*path, number) for number in range(len(given))]
    if not given:
        findings.mistake(path, "is an empty list", "give it a value, or remove the key")
    before = findings.count
    read: list[FieldValue] = []
    for place, text in zip(places, given, strict=True):
        option = findings.read(place, partial(_field_value, key), text)
        if option is None:
            continue
        if option in read:
            findings.mistake(place, f"{shown(str(text))} stands twice in the list", "remove one")
        elif key in CASELESS and str(option).casefold() in {
            str(earlier).casefold() for earlier in read
        }:
            what = f"{shown(str(text))} stands in the list already, in other letters"
            findings.mistake(place, what, "remove one, or its records are bought twice")
        read.append(option)
    return read if findings.count == before else []


def _field_value(key: str, text: object) -> FieldValue:
    if key in products.BOOLEAN_FIELDS:
        return parsers.flag(text)
    word = parsers.own_text(text)
    if key == "product":
        return _product_name(word)
    if key == "direction" and word not in DIRECTIONS:
        remedy = suggestion(word, DIRECTIONS, "write inbound, outbound, or [inbound, outbound]")
        raise mismatch(word, "a direction", remedy)
    return word


def _product_name(word: str) -> str:
    if products.canonical_name(word) in PRODUCTS:
        return word
    # Never a path: the name becomes a folder's.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", word):
        remedy = suggestion(word, PRODUCTS, "products are named like SMS or VERIFY-API")
        raise InvalidValue(f"{shown(word)} cannot be a product (letters, digits, - and _)", remedy)
    spelled = word.upper().replace("_", "-")
    if products.canonical_name(spelled) in PRODUCTS:
        raise InvalidValue(f"{word} is not how the API spells it", f"write {spelled}")
    return word


def _check_by_table(findings: Findings, path: KeyPath, name: str, choices: Choices) -> None:
    """Checks that the entry's fields are ones that the product takes."""
    product = PRODUCTS.get(products.canonical_name(name))
    if product is None:
        guess = nearest(name, PRODUCTS)
        what = f"{shown(name)} is not a product known here; it is asked for all the same"
        remedy = _OTHER_NAMES.get(name.upper().replace("_", "-"), "")
        if not remedy and guess:
            remedy = f"did you mean {guess}?"
        findings.warning((*path, "product"), what, remedy)
        return
    if product.note:
        findings.warning((*path, "product"), f"{product.name} is {product.note}")
    _check_direction(findings, path, product, choices)
    for key in choices:
        if key not in ("product", "direction"):
            _check_field(findings, path, product, key, choices)
    for key in sorted(product.required - choices.keys()):
        findings.mistake(path, f"{product.name} needs {key}", f"add {key}")


def _check_direction(findings: Findings, path: KeyPath, product: Product, choices: Choices) -> None:
    match product.direction:
        case DirectionRule.REQUIRED if "direction" not in choices:
            body = f"{{product: {product.name}, direction: [inbound, outbound]}}"
            remedy = f"write {body}, or one of the two"
            findings.mistake(path, f"{product.name} needs a direction", remedy)
        case DirectionRule.INVALID if "direction" in choices:
            what = f"{product.name} takes no direction"
            findings.mistake((*path, "direction"), what, "remove it", at_key=True)
        case _:
            pass


def _check_field(
    findings: Findings, path: KeyPath, product: Product, key: str, choices: Choices
) -> None:
    where = (*path, key)
    takes = sorted(product.fields | products.COMMON_FIELDS)
    if key in product.outbound_only and choices.get("direction") != ["outbound"]:
        what = f"{product.name} takes {key} only with direction: outbound"
        remedy = "give the other direction an entry of its own, or remove it"
        findings.mistake(where, what, remedy, at_key=True)
    elif product.accepts(key):
        _warn_of_unknown_values(findings, where, product, choices[key])
    elif key in _KNOWN_FIELDS:
        what = f"{product.name} does not take {key}"
        findings.mistake(where, what, f"it takes {one_of(takes, 'and')}", at_key=True)
    else:
        what = f"is not a filter of {product.name} known here; it is sent as it is"
        remedy = suggestion(key, [*takes, "direction"], f"known are {one_of(takes, 'and')}")
        findings.warning(where, what, remedy, at_key=True)


def _warn_of_unknown_values(
    findings: Findings, where: KeyPath, product: Product, options: list[FieldValue]
) -> None:
    known: frozenset[str] | None = None
    if where[-1] == "status":
        known = products.STATUSES.get(product.name)
    elif where[-1] == "provider":
        known = products.PROVIDERS
    if known is None:
        return
    for number, option in enumerate(options):
        word = str(option)
        if word not in known:
            what = f"{shown(word)} is not a {where[-1]} of {product.name} known here; it is sent"
            remedy = suggestion(word, sorted(known), f"known are {one_of(sorted(known), 'and')}")
            place = (*where, number) if len(options) > 1 else where
            findings.warning(place, what, remedy)
