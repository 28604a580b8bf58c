"""Reads ``output.columns``: which columns of collected files are left out, and which are hashed."""

from types import MappingProxyType
from typing import Final

from orchestrator.config import parsers
from orchestrator.config.document import Findings
from orchestrator.config.messages import one_of, shown, suggestion
from orchestrator.config.parsers import InvalidValue
from orchestrator.core.products import ALIASES, PRODUCTS, canonical_name
from orchestrator.core.record_columns import columns_of
from orchestrator.core.settings import (
    ColumnRules,
    ColumnSettings,
    Format,
    OutputSettings,
    plain_name,
)

_RULES: Final = ("drop", "hash")
_KEY: Final = "hash_key"
_DEFAULT: Final = "default"
_FORMS: Final = "write {drop: [message_body], hash: [from, to]}, or such rules by product"


def column_settings(value: object) -> ColumnSettings:
    """Rules for every product, ``{drop: […], hash: […]}``, or rules by product."""
    if not isinstance(value, dict):
        raise InvalidValue("is not a mapping of rules", _FORMS)
    if any(key in _RULES for key in value):
        return ColumnSettings(_rules(value))
    default = ColumnRules()
    products: dict[str, ColumnRules] = {}
    for key, part in value.items():
        if not isinstance(part, dict):
            known = (*_RULES, _DEFAULT, *sorted(PRODUCTS), *ALIASES)
            raise InvalidValue(f"{shown(key)} has no rules", suggestion(key, known, _FORMS))
        if key == _DEFAULT:
            default = _rules(part)
            continue
        product = canonical_name(key)
        if product in products:
            raise InvalidValue(f"{product} has rules already", "remove one")
        products[product] = _rules(part)
    return ColumnSettings(default, MappingProxyType(products))


def check_columns(findings: Findings, output: OutputSettings) -> None:
    """What is wrong with the rules together with the rest of ``output``; unknown names warn."""
    where = ("output", "columns")
    if any(rules.hash for rules in output.columns.all) and output.hash_key is None:
        what = "columns are to be hashed, and there is no key for it"
        findings.mistake(where, what, f"add output.{_KEY}: ${{COLUMN_HASH_KEY}}")
    if output.format is Format.ZIP and any(output.columns.all):
        what = "zip keeps the archive as it came, with all of its columns"
        findings.mistake(where, what, "write another format, such as csv.gz")
    every = {name for product in PRODUCTS for name in columns_of(product)}
    for product, rules in (("", output.columns.default), *output.columns.products.items()):
        known = set(columns_of(product)) or every if product else every
        for name in sorted((rules.drop | rules.hash) - known):
            whose = f" of {product}" if product and known is not every else ""
            what = f"{shown(name)} is no column{whose} known here"
            findings.warning(where, what, suggestion(name, sorted(known), "check the spelling"))
    for product in sorted(PRODUCTS):
        known = {plain_name(name) for name in columns_of(product)}
        if known and known <= set(map(plain_name, output.columns.of(product).drop)):
            what = f"every column of {product} that is known here is dropped"
            findings.mistake(where, what, "keep at least one")


def _rules(value: dict[str, object]) -> ColumnRules:
    for key in value:
        if key not in _RULES:
            remedy = suggestion(key, _RULES, f"the rules are {one_of(_RULES, 'and')}")
            raise InvalidValue(f"{shown(key)} is no rule", remedy)
    drop, hashed = (_names(key, value.get(key, [])) for key in _RULES)
    if both := sorted(drop & hashed):
        raise InvalidValue(f"{both[0]} is both dropped and hashed", "keep one of the two")
    return ColumnRules(drop, hashed)


def _names(rule: str, value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise InvalidValue(f"{rule} is not a list of columns", f"write {rule}: [message_body]")
    return frozenset(parsers.own_text(name) for name in value)
