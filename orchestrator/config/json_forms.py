"""The building blocks of the JSON Schemas of job file and config file."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final

from orchestrator.config.amounts import MAX_PRICE, MAX_RECORDS, PERIODS
from orchestrator.config.parsers import spelled_duration

Schema = dict[str, Any]

WEB: Final = r"^https?://[^@\s\\/]+([/?#]\S*)?$"
PLAIN_WEB: Final = r"^https?://[^@\s\\/?#]+(/[^\s\\?#]*)?$"
LISTEN: Final = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$"
SIZE: Final = r"^ *[0-9]{1,9}(\.[0-9]{1,9})? *([kMGT]?B) *$"
CURRENCY: Final = "^ *[A-Za-z]{3} *$"
REFERENCE_HELP: Final = "${VARIABLE}, file:PATH, command:LINE, or the text itself"
_DURATION: Final = "^[0-9]{1,9}(ms|s|m|h|d)$"
_RECORDS: Final = (
    r"^ *([0-9]{1,3}([,_][0-9]{3})+|[0-9]{1,15})(\.[0-9]{1,9})? *"
    "([kKmM]|[tT][hH][oO][uU][sS][aA][nN][dD]|[mM][iI][lL][lL][iI][oO][nN])? *$"
)
_PRICE: Final = r"^ *([0-9]{1,9}(\.[0-9]{1,12})?|\.[0-9]{1,12}) *$"


def mapping(properties: dict[str, Schema], required: Iterable[str] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": [*required]} if required else {})


def section(
    description: str, properties: dict[str, Schema], required: Iterable[str] = ()
) -> Schema:
    """A part of the config; an empty one counts as left out."""
    schema = {"description": description, **mapping(properties, required)}
    return schema | {"type": ["object", "null"]}


def list_of(items: Schema, description: str) -> Schema:
    return {"description": description, "type": "array", "minItems": 1, "items": items}


def one_or_more(value: Schema) -> Schema:
    several = {"type": "array", "minItems": 1, "uniqueItems": True, "items": value}
    return {"anyOf": [value, several]}


def text(description: str, pattern: str = "", default: str | None = None) -> Schema:
    schema: Schema = {"description": description, "type": "string", "minLength": 1}
    schema |= {"pattern": pattern} if pattern else {}
    return schema | ({} if default is None else {"default": default})


def word(description: str, pattern: str = "", default: str | None = None) -> Schema:
    """Text that may look like a number: an editor takes 12345678 for one."""
    return text(description, pattern, default) | {"type": ["string", "number"]}


def flag(description: str) -> Schema:
    words = [True, False, "true", "false"]
    return {"enum": words} | ({"description": description} if description else {})


def duration(description: str, default: str) -> Schema:
    return text(f"{description} Such as 500ms, 5s, 10m, 6h, 2d.", _DURATION, default)


def span(description: str, default: timedelta) -> Schema:
    return duration(description, spelled_duration(default))


def span_without_default(description: str) -> Schema:
    return text(f"{description} Such as 12h, 3d.", _DURATION)


def choice(description: str, words: list[str], default: str) -> Schema:
    return {"description": description, "enum": words, "default": default}


def count(description: str, default: int, least: int, most: int) -> Schema:
    schema: Schema = {"description": description, "type": "integer", "minimum": least}
    return schema | {"maximum": most, "default": default}


def number(description: str, default: float, most: float) -> Schema:
    schema: Schema = {"description": description, "type": "number", "exclusiveMinimum": 0}
    return schema | {"maximum": most, "default": default}


def records(description: str) -> Schema:
    schema = text(f"{description} Such as 5 million, 500k, 5000000.", _RECORDS)
    return schema | {"type": ["string", "integer"], "minimum": 1, "maximum": MAX_RECORDS}


def money(description: str) -> Schema:
    schema = text(f"{description} A decimal number, such as 250.", _PRICE)
    return schema | {"type": ["string", "number"], "exclusiveMinimum": 0}


def by_period(description: str, amount: Callable[[str], Schema]) -> Schema:
    periods = {period: amount(f"In a {period}.") for period in PERIODS}
    return {
        "description": f"{description} Or for a run, a day and a month of UTC, each.",
        "anyOf": [amount("In a run."), {**mapping(periods), "minProperties": 1}, {"type": "null"}],
    }


def column_rules(description: str) -> Schema:
    names = {"type": "array", "items": {"type": "string", "minLength": 1}}
    rules = mapping({"drop": names, "hash": names})
    by_product = {"type": "object", "additionalProperties": rules}
    return {"description": description, "anyOf": [rules, by_product]}


def price(description: str) -> Schema:
    schema = text(f"{description} A decimal number, such as 0.00005.", _PRICE)
    return schema | {"type": ["string", "number"], "minimum": 0, "maximum": int(MAX_PRICE)}
