"""JSON Schema of both files (draft 2020-12), for the completion and the red lines of editors.

It knows the forms and the product table. What takes two places to judge (a window that ends
before it begins, an account that stands twice) only the program itself finds. Editors read YAML
with its types, so wherever the program reads text, what merely looks like a number is allowed too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.config import config_entries as limits
from orchestrator.config.amounts import MAX_PRICE, MAX_RECORDS, PERIODS
from orchestrator.config.config_entries import choices
from orchestrator.config.parsers import spelled_duration
from orchestrator.core.model import CalendarWord
from orchestrator.core.products import (
    ALIASES,
    BOOLEAN_FIELDS,
    COMMON_FIELDS,
    DIRECTIONS,
    PRODUCTS,
    PROVIDERS,
    STATUSES,
    DirectionRule,
)
from orchestrator.core.settings import (
    ApiSettings,
    Format,
    Limits,
    OnTimeout,
    OnUnknown,
    PollPolicy,
    Readers,
    RetryPolicy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_ACCOUNT: Final = "^[A-Za-z0-9]{8}$"
_FIELD: Final = "^[A-Za-z][A-Za-z0-9_]{0,63}$"
_DURATION: Final = "^[0-9]{1,9}(ms|s|m|h|d)$"
_WEB: Final = r"^https?://[^@\s\\/]+([/?#]\S*)?$"
_PLAIN_WEB: Final = r"^https?://[^@\s\\/?#]+(/[^\s\\?#]*)?$"
_DATE: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    "([Tt ] ?[0-9]{2}:[0-9]{2}(:[0-9]{2})? ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
)
_CHUNK: Final = "^ *[0-9]{1,6} *(hour|day|week|month)s? *$"
_RECORDS: Final = (
    r"^ *([0-9]{1,3}([,_][0-9]{3})+|[0-9]{1,15})(\.[0-9]{1,9})? *"
    "([kKmM]|[tT][hH][oO][uU][sS][aA][nN][dD]|[mM][iI][lL][lL][iI][oO][nN])? *$"
)
_PRICE: Final = r"^ *([0-9]{1,9}(\.[0-9]{1,12})?|\.[0-9]{1,12}) *$"
_LAST: Final = "^ *[0-9]{1,6} *(day|week|month)s? *$"
_REFERENCE_HELP: Final = "${VARIABLE}, file:PATH, or the text itself"


def job_schema() -> Schema:
    """What a job file may hold."""
    top = {
        "name": _word("The job's identity. Default: the file's name without its ending.", _NAME),
        "credentials": _word("A name under `credentials` in the config.", _NAME, "default"),
        "timezone": _text("The IANA name of the zone in which days begin.", default="UTC"),
        "accounts": _list(_account(), "Whose records are asked for."),
        "products": _list(_product(), "What is asked of each account."),
        "windows": _list(_window(), "For which time. Overlaps are merged."),
        "chunk": _chunk(),
        "settle": _duration("How long after their time records may still arrive, up to 30d.", "1h"),
        "callback_url": _text("Passed on to the API as it is.", _WEB),
    }
    required = ("accounts", "products", "windows")
    return {"$schema": _DIALECT, "title": "Job file", **_mapping(top, required)}


def config_schema() -> Schema:
    """What a config file may hold."""
    api, limit, retry, poll = ApiSettings(), Limits(), RetryPolicy(), PollPolicy()
    top = {
        "api": _section(
            "Where the API is, and how fast each key may ask it.",
            base_url=_text("https, or http on this machine.", _WEB, default=api.base_url),
            requests_per_second=_number(
                "The API allows 5 to each key.", api.requests_per_second, limits.MAX_RATE
            ),
            timeout=_span("For one request as a whole.", api.timeout),
            file_records=_records("The most records that one of its files holds, about."),
            proxy=_text(
                f"A forward proxy, http://HOST:PORT or none: {_REFERENCE_HELP}. Default: the"
                " environment's."
            ),
            ca_file=_text("Authorities in PEM form that are trusted too, relative to this file."),
        ),
        "credentials": {
            "description": "API keys by name. Default: VONAGE_* or NEXMO_* of the environment.",
            "type": ["object", "null"],
            "propertyNames": {"pattern": _NAME},
            "minProperties": 1,
            "additionalProperties": _mapping(
                {
                    "api_key": _word(f"The API key: {_REFERENCE_HELP}."),
                    "api_secret": _word(f"Its secret: {_REFERENCE_HELP} in a private file."),
                },
                ("api_key", "api_secret"),
            ),
        },
        "output": _section(
            "Where collected files go, and in which form.",
            directory=_text("Relative to this file.", default="reports"),
            format=_choice("The form of the files.", choices(Format), Format.CSV.value),
            mode=_choice("Who may read the files.", choices(Readers), Readers.PRIVATE.value),
        ),
        "state": _text("The ledger, relative to this file.", default="state/ledger.db"),
        "limits": _section(
            "How much at once.",
            in_flight=_count("Open reports per API key.", limit.in_flight, limits.MAX_IN_FLIGHT),
            downloads=_count("Downloads over all keys.", limit.downloads, limits.MAX_DOWNLOADS),
            max_records=_by_period(
                "The most records that one run asks for, over all keys.", _records
            ),
            max_cost=_by_period("The same in money, by price_per_record.", _money),
        ),
        "retry": _section(
            "Retry of single requests.",
            attempts=_count("Tries in all.", retry.attempts, limits.MAX_ATTEMPTS),
            wait_initial=_span("The first wait.", retry.wait_initial),
            wait_max=_span("The longest wait.", retry.wait_max),
        ),
        "poll": _section(
            "How often and how long an open report is looked at.",
            interval_initial=_span("The first pause.", poll.interval_initial),
            interval_max=_span("The longest pause.", poll.interval_max),
            timeout=_span("How long one run waits for one report.", poll.timeout),
            on_timeout=_choice(
                "What becomes of the report then.", choices(OnTimeout), poll.on_timeout.value
            ),
        ),
        "on_unknown": _choice(
            "What becomes of a create without an answer.", choices(OnUnknown), OnUnknown.HOLD.value
        ),
        "callback": {
            **_section(
                "Our own receiver of callbacks.",
                listen=_text("HOST:PORT", r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$"),
                public_url=_text("Under which address the API reaches it.", _PLAIN_WEB),
            ),
            "required": ["listen", "public_url"],
        },
        "price_per_record": {
            "description": "What one record costs, or what it costs by product.",
            "anyOf": [
                _price("For every product."),
                {
                    "type": "object",
                    "properties": {"default": _price("For products that are not named.")},
                    "additionalProperties": _price("For this product."),
                },
                {"type": "null"},
            ],
        },
        "currency": _text("Three letters, beside prices.", "^ *[A-Za-z]{3} *$"),
    }
    return {"$schema": _DIALECT, "title": "Config file", **_mapping(top)}


# --- the parts of a job file ----------------------------------------------------------------------


def _account() -> Schema:
    account_id = _word("8 letters or digits.", _ACCOUNT)
    long = _mapping(
        {
            "id": account_id,
            "credentials": _word("Other credentials than the job's.", _NAME),
            "include_subaccounts": _flag("Its subaccounts' records too."),
        },
        ("id",),
    )
    return {"anyOf": [account_id, long]}


def _product() -> Schema:
    """Short form, or a mapping whose other keys depend on the product.

    A name that the table lacks passes with any field, as it does in the program.
    """
    name = {"description": "A product of the Reports API.", "examples": sorted(PRODUCTS)}
    name |= {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}
    fields = sorted(COMMON_FIELDS.union(*(product.fields for product in PRODUCTS.values())))
    long = _mapping(
        {
            "product": _one_or_more(name),
            "direction": _one_or_more({"enum": list(DIRECTIONS)}),
            **{field: _field(field) for field in fields},
        },
        ("product",),
    )
    del long["additionalProperties"]
    long["patternProperties"] = {_FIELD: True}
    long["additionalProperties"] = False
    long["allOf"] = [_rule(product) for product in PRODUCTS]
    short = name | {"not": {"enum": _long_only()}}
    return {"anyOf": [short, long]}


def _long_only() -> list[str]:
    """Products that the short form cannot ask for, since something more is required."""
    names = [
        name
        for name, product in PRODUCTS.items()
        if product.direction is DirectionRule.REQUIRED or product.required
    ]
    return names + [alias for alias, name in ALIASES.items() if name in names]


def _rule(name: str) -> Schema:
    """What follows if an entry names this product, alone or in a list."""
    product = PRODUCTS[name]
    spelled = [name, *(alias for alias, canonical in ALIASES.items() if canonical == name)]
    named = {"anyOf": [{"enum": spelled}, {"type": "array", "contains": {"enum": spelled}}]}
    known = {field for other in PRODUCTS.values() for field in other.fields}
    refused = dict.fromkeys(sorted(known - product.fields), False)
    if product.direction is DirectionRule.INVALID:
        refused["direction"] = False
    required = sorted(product.required)
    if product.direction is DirectionRule.REQUIRED:
        required.append("direction")
    return {
        "if": {"properties": {"product": named}, "required": ["product"]},
        "then": {"properties": refused, "required": required},
    }


def _field(name: str) -> Schema:
    if name in BOOLEAN_FIELDS:
        return _one_or_more(_flag(""))
    words: Iterable[str] = ()
    if name == "status":
        words = {word for known in STATUSES.values() for word in known}
    elif name == "provider":
        words = PROVIDERS
    value: Schema = {"type": ["string", "number", "boolean"], "minLength": 1}
    return _one_or_more(value | ({"examples": sorted(words)} if words else {}))


def _window() -> Schema:
    absolute = _mapping(
        {
            "from": _text("The first moment that is wanted.", _DATE),
            "to": _text("The first moment that is not wanted. Without it: up to now.", _DATE),
        },
        ("from",),
    )
    last = _mapping({"last": _text("Whole days, up to today's midnight.", _LAST)}, ("last",))
    return {"anyOf": [{"enum": [word.value for word in CalendarWord]}, absolute, last]}


def _chunk() -> Schema:
    size = _text("At most 13 months; hours divide 24.", _CHUNK, default="1 month")
    return {
        "description": "The longest time that one report covers.",
        "anyOf": [
            size,
            _mapping(
                {"max": size, "target_rows": _records("The most records a report should hold.")}
            ),
        ],
    }


def _records(description: str) -> Schema:
    schema = _text(f"{description} Such as 5 million, 500k, 5000000.", _RECORDS)
    return schema | {"type": ["string", "integer"], "minimum": 1, "maximum": MAX_RECORDS}


def _money(description: str) -> Schema:
    schema = _text(f"{description} A decimal number, such as 250.", _PRICE)
    return schema | {"type": ["string", "number"], "exclusiveMinimum": 0}


def _by_period(description: str, one: Callable[[str], Schema]) -> Schema:
    periods = {period: one(f"In a {period}.") for period in PERIODS}
    return {
        "description": f"{description} Or for a run, a day and a month of UTC, each.",
        "anyOf": [one("In a run."), {**_mapping(periods), "minProperties": 1}, {"type": "null"}],
    }


def _price(description: str) -> Schema:
    schema = _text(f"{description} A decimal number, such as 0.00005.", _PRICE)
    return schema | {"type": ["string", "number"], "minimum": 0, "maximum": int(MAX_PRICE)}


# --- forms ----------------------------------------------------------------------------------------


def _mapping(properties: dict[str, Schema], required: Iterable[str] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def _section(description: str, **properties: Schema) -> Schema:
    """A part of the config; an empty one counts as left out."""
    return {"description": description, **_mapping(properties), "type": ["object", "null"]}


def _list(items: Schema, description: str) -> Schema:
    return {"description": description, "type": "array", "minItems": 1, "items": items}


def _one_or_more(value: Schema) -> Schema:
    several = {"type": "array", "minItems": 1, "uniqueItems": True, "items": value}
    return {"anyOf": [value, several]}


def _text(description: str, pattern: str = "", default: str | None = None) -> Schema:
    schema: Schema = {"description": description, "type": "string", "minLength": 1}
    schema |= {"pattern": pattern} if pattern else {}
    return schema | ({} if default is None else {"default": default})


def _word(description: str, pattern: str = "", default: str | None = None) -> Schema:
    """Text that may look like a number: an editor takes 12345678 for one."""
    return _text(description, pattern, default) | {"type": ["string", "number"]}


def _flag(description: str) -> Schema:
    words = [True, False, "true", "false"]
    return {"enum": words} | ({"description": description} if description else {})


def _duration(description: str, default: str) -> Schema:
    return _text(f"{description} Such as 500ms, 5s, 10m, 6h, 2d.", _DURATION, default)


def _span(description: str, default: timedelta) -> Schema:
    return _duration(description, spelled_duration(default))


def _choice(description: str, words: list[str], default: str) -> Schema:
    return {"description": description, "enum": words, "default": default}


def _count(description: str, default: int, most: int) -> Schema:
    schema: Schema = {"description": description, "type": "integer", "minimum": 1}
    return schema | {"maximum": most, "default": default}


def _number(description: str, default: float, most: float) -> Schema:
    schema: Schema = {"description": description, "type": "number", "exclusiveMinimum": 0}
    return schema | {"maximum": most, "default": default}
