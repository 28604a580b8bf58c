"""Makes the JSON Schemas of both files (draft 2020-12), with which editors complete and check.

It knows the forms and the product table. What takes two places to judge (a window that ends
before it begins, an account that stands twice) only the program itself finds. Editors read YAML
with its types, so wherever the program reads text, what merely looks like a number is allowed too.
"""

from collections.abc import Iterable
from typing import Final

from orchestrator.config.json_forms import (
    CURRENCY,
    REFERENCE_HELP,
    WEB,
    Schema,
    duration,
    flag,
    list_of,
    mapping,
    one_or_more,
    price,
    records,
    span_without_default,
    text,
    word,
)
from orchestrator.config.keys import schema_of
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
from orchestrator.core.settings import Config, NotificationTarget
from orchestrator.core.vonage import MAX_REPORT_MONTHS

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_ACCOUNT: Final = "^[A-Za-z0-9]{8}$"
_FIELD: Final = "^[A-Za-z][A-Za-z0-9_]{0,63}$"
_DATE: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    "([Tt ] ?[0-9]{2}:[0-9]{2}(:[0-9]{2})? ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
)
_CHUNK: Final = "^ *[0-9]{1,6} *(hour|day|week|month)s? *$"
_LAST: Final = "^ *[0-9]{1,6} *(day|week|month)s? *$"


def job_schema() -> Schema:
    """What a job file may hold."""
    top = {
        "name": word("The job's identity. Default: the file's name without its ending.", _NAME),
        "credentials": word("A name under `credentials` in the config.", _NAME, "default"),
        "timezone": text("The IANA name of the zone in which days begin.", default="UTC"),
        "accounts": list_of(_account(), "Whose records are asked for."),
        "products": list_of(_product(), "What is asked of each account."),
        "windows": list_of(_window(), "For which time. Overlaps are merged."),
        "chunk": _chunk(),
        "refetch": span_without_default(
            "What was younger than this when it was asked for is bought once more, when so old."
        ),
        "settle": duration("How long after their time records may still arrive, up to 30d.", "1h"),
        "callback_url": text("Passed on to the API as it is.", WEB),
    }
    required = ("accounts", "products", "windows")
    return {"$schema": _DIALECT, "title": "Job file", **mapping(top, required)}


def config_schema() -> Schema:
    """What a config file may hold."""
    top = schema_of(Config) | {
        "credentials": {
            "description": "API keys by name. Default: VONAGE_* or NEXMO_* of the environment.",
            "type": ["object", "null"],
            "propertyNames": {"pattern": _NAME},
            "minProperties": 1,
            "additionalProperties": mapping(
                {
                    "api_key": word(f"The API key: {REFERENCE_HELP}."),
                    "api_secret": word(f"Its secret: {REFERENCE_HELP} in a private file."),
                },
                ("api_key", "api_secret"),
            ),
        },
        "notify": {
            "description": "Who hears how a run ended.",
            "type": ["array", "null"],
            "items": mapping(schema_of(NotificationTarget), ("on",)),
        },
        "price_per_record": {
            "description": "What one record costs, or what it costs by product.",
            "anyOf": [
                price("For every product."),
                {
                    "type": "object",
                    "properties": {"default": price("For products that are not named.")},
                    "additionalProperties": price("For this product."),
                },
                {"type": "null"},
            ],
        },
        "currency": text("Three letters, beside prices.", CURRENCY),
    }
    return {"$schema": _DIALECT, "title": "Config file", **mapping(top)}


# --- the parts of a job file ----------------------------------------------------------------------


def _account() -> Schema:
    account_id = word("8 letters or digits.", _ACCOUNT)
    long = mapping(
        {
            "id": account_id,
            "credentials": word("Other credentials than the job's.", _NAME),
            "include_subaccounts": flag("Its subaccounts' records too."),
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
    long = mapping(
        {
            "product": one_or_more(name),
            "direction": one_or_more({"enum": list(DIRECTIONS)}),
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
        return one_or_more(flag(""))
    words: Iterable[str] = ()
    if name == "status":
        words = {word for known in STATUSES.values() for word in known}
    elif name == "provider":
        words = PROVIDERS
    value: Schema = {"type": ["string", "number", "boolean"], "minLength": 1}
    return one_or_more(value | ({"examples": sorted(words)} if words else {}))


def _window() -> Schema:
    absolute = mapping(
        {
            "from": text("The first moment that is wanted.", _DATE),
            "to": text("The first moment that is not wanted. Without it: up to now.", _DATE),
        },
        ("from",),
    )
    last = mapping({"last": text("Whole days, up to today's midnight.", _LAST)}, ("last",))
    return {"anyOf": [{"enum": [word.value for word in CalendarWord]}, absolute, last]}


def _chunk() -> Schema:
    size = text(f"At most {MAX_REPORT_MONTHS} months; hours divide 24.", _CHUNK, default="1 month")
    return {
        "description": "The longest time that one report covers.",
        "anyOf": [
            size,
            mapping(
                {"max": size, "target_rows": records("The most records a report should hold.")}
            ),
        ],
    }
