"""The JSON Schemas that editors get agree with what the program itself takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from orchestrator.config import config_schema, job_schema
from orchestrator.config.job_entries import AccountEntry, ChunkEntry, JobHead, window_slots
from orchestrator.config.sections import slots_of
from orchestrator.core.products import PRODUCTS
from tests.kit.job_files import job_text, read_job, read_settings

ROOT = Path(__file__).parent.parent

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


class Core12(yaml.SafeLoader):
    """YAML as editors read it: dates are text, and only true and false are booleans."""


Core12.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:null")
        or (tag == "tag:yaml.org,2002:bool" and first in "tTfF")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def fits(schema: Any, value: Any) -> bool:
    """A validator for the keywords that our schemas use; others are an error."""
    if isinstance(schema, bool):
        return schema
    return all(_keyword(schema, word, value) for word in schema)


def _keyword(schema: dict[str, Any], word: str, value: Any) -> bool:  # noqa: PLR0911, PLR0912  one arm a keyword
    rule = schema[word]
    match word:
        case "$schema" | "title" | "description" | "default" | "examples":
            return True
        case "type":
            return any(_is(kind, value) for kind in ([rule] if isinstance(rule, str) else rule))
        case "enum":
            return any(type(one) is type(value) and one == value for one in rule)
        case "pattern":
            return not isinstance(value, str) or bool(re.search(rule, value))
        case "minLength":
            return not isinstance(value, str) or len(value) >= rule
        case "minimum":
            return not _is("number", value) or value >= rule
        case "exclusiveMinimum":
            return not _is("number", value) or value > rule
        case "maximum":
            return not _is("number", value) or value <= rule
        case "minItems":
            return not isinstance(value, list) or len(value) >= rule
        case "uniqueItems":
            return not isinstance(value, list) or len(set(map(str, value))) == len(value)
        case "items":
            return not isinstance(value, list) or all(fits(rule, one) for one in value)
        case "contains":
            return not isinstance(value, list) or any(fits(rule, one) for one in value)
        case "minProperties":
            return not isinstance(value, dict) or len(value) >= rule
        case "required":
            return not isinstance(value, dict) or set(rule) <= value.keys()
        case "propertyNames":
            return not isinstance(value, dict) or all(fits(rule, key) for key in value)
        case "properties" | "patternProperties" | "additionalProperties":
            return not isinstance(value, dict) or _members(schema, word, value)
        case "anyOf":
            return any(fits(one, value) for one in rule)
        case "allOf":
            return all(fits(one, value) for one in rule)
        case "not":
            return not fits(rule, value)
        case "if":
            return not fits(rule, value) or fits(schema["then"], value)
        case "then":
            return True
        case _:
            raise AssertionError(f"{word} is no keyword that this validator knows")


def _is(kind: str, value: Any) -> bool:
    if kind in ("number", "integer"):
        numbers = (int, float) if kind == "number" else int
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, _TYPES[kind])


def _members(schema: dict[str, Any], word: str, value: dict[str, Any]) -> bool:
    named = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    match word:
        case "properties":
            return all(fits(rule, value[key]) for key, rule in named.items() if key in value)
        case "patternProperties":
            return all(
                fits(rule, value[key])
                for pattern, rule in patterns.items()
                for key in value
                if re.search(pattern, key)
            )
        case _:
            rest = [
                key
                for key in value
                if key not in named and not any(re.search(pattern, key) for pattern in patterns)
            ]
            return all(fits(schema["additionalProperties"], value[key]) for key in rest)


def load(text: str) -> Any:
    return yaml.load(text, Core12)


@pytest.mark.parametrize("name", ["nightly", "backfill", "demo"])
def test_the_shipped_jobs_fit(name: str) -> None:
    assert fits(job_schema(), load((ROOT / f"jobs/{name}.yaml").read_text()))


def test_the_example_config_fits() -> None:
    assert fits(config_schema(), load((ROOT / "config.example.yaml").read_text()))


@pytest.mark.parametrize(
    "text",
    [
        job_text(),
        job_text(accounts="[12345678, '00123456', {id: abcd1234, credentials: emea}]"),
        job_text(accounts="[{id: abcd1234, include_subaccounts: true}]"),
        job_text(products="[VOICE, {product: [SMS, MESSAGES], direction: [inbound, outbound]}]"),
        job_text(products="[{product: SMS, direction: outbound, to: 49123, country: NO}]"),
        job_text(products="[{product: SMS, direction: outbound, include_message: [true, false]}]"),
        job_text(products="[{product: CONVERSATIONS, type: x}]"),
        job_text(products="[{product: NEW-THING, direction: inbound, shade: 7}]"),
        job_text(products="[{product: AMD, new_filter: x}]"),
        job_text(windows="[{from: 2025-01-01, to: 2025-02-01T10:00:00+01:00}, {last: 7 days}]"),
        job_text(more="chunk: 12 hours\nsettle: 0s\ntimezone: Europe/London\n"),
        job_text(more="chunk: {max: 13 months}\nname: a.b-c_d\ncredentials: emea\n"),
        job_text(more="callback_url: https://example.com/hook?a=b\n"),
    ],
)
def test_what_the_program_takes_fits(tmp_path: Path, text: str) -> None:
    assert read_job(tmp_path, text).mistakes == []
    assert fits(job_schema(), load(text))


@pytest.mark.parametrize(
    "text",
    [
        "accounts: [abcd1234]\nproducts: [AMD]\n",
        job_text(more="chunks: 1 day\n"),
        job_text(accounts="[]"),
        job_text(accounts="[abc]"),
        job_text(accounts="[{credentials: x}]"),
        job_text(products="[SMS]"),
        job_text(products="[CONVERSATIONS]"),
        job_text(products="[{direction: inbound}]"),
        job_text(products="[{product: SMS, country: DE}]"),
        job_text(products="[{product: SMS, direction: both}]"),
        job_text(products="[{product: SMS, direction: inbound, leg_id: x}]"),
        job_text(products="[{product: [AMD, VOICE], direction: inbound}]"),
        job_text(products="[{product: AMD, direction: inbound}]"),
        job_text(products="[{product: AMD, include_message: true}]"),
        job_text(products="[{product: SMS, direction: inbound, include_message: perhaps}]"),
        job_text(windows="[{last: 7 hours}]"),
        job_text(windows="[{to: 2025-01-01}]"),
        job_text(windows="[{from: 01/02/2025}]"),
        job_text(windows="[someday]"),
        job_text(more="settle: 60\n"),
        job_text(more="chunk: 1 year\n"),
        job_text(more="callback_url: https://u:p@example.com/\n"),
    ],
)
def test_what_the_program_refuses_by_its_form_does_not_fit(tmp_path: Path, text: str) -> None:
    assert read_job(tmp_path, text).mistakes != []
    assert not fits(job_schema(), load(text))


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("limits:\n", True),
        ("limits: {downloads: 64}\n", True),
        ("limits: {downloads: 65}\n", False),
        ("limits: {max_records: {run: 500k, day: 2 million}, max_cost: 12.5}\n", True),
        ("limits: {max_records: {week: 5}}\n", False),
        ("limits: {max_cost: 0}\n", False),
        ("api: {file_records: 7 million}\n", True),
        ("output: {format: zip}\n", True),
        ("output: {format: orc}\n", False),
        ("on_unknown: resubmit\n", True),
        ("poll: {on_timeout: replace}\n", True),
        ("poll: {on_timeout: retry}\n", False),
        ("api: {requests_per_second: 2.5, timeout: 5m}\n", True),
        ("api: {requests_per_second: 0}\n", False),
        ("api: {proxy: 'http://proxy.corp:3128'}\n", True),
        ("api: {proxy: none}\n", True),
        ("api: {proxy: [a]}\n", False),
        ("credentials: {a: {api_key: 12345678, api_secret: 'file:x'}}\n", True),
        ("credentials: {a: {api_key: x}}\n", False),
        ("credentials: {}\n", False),
        ("callback: {listen: 'h:1', public_url: 'https://h/'}\n", True),
        ("callback: {listen: 'h:1'}\n", False),
        ("callback: {listen: 'h:1', public_url: 'https://h/a/b'}\n", True),
        ("callback: {listen: 'h:1', public_url: 'https://h/a?b'}\n", False),
        ("callback: {listen: 'h:1', public_url: 'https://h#a'}\n", False),
        ("callback: {listen: 'h:1', public_url: 'https://u@h/'}\n", False),
        ("accounts: [x]\n", False),
    ],
)
def test_configs_fit_if_the_program_takes_them(tmp_path: Path, text: str, sound: bool) -> None:
    _, mistakes, _ = read_settings(tmp_path, text)
    assert (mistakes == []) is sound
    assert fits(config_schema(), load(text)) is sound


def test_the_schemas_have_the_very_keys_of_the_program() -> None:
    job = job_schema()["properties"]
    assert job.keys() == slots_of(JobHead).keys()
    assert (
        job["accounts"]["items"]["anyOf"][1]["properties"].keys() == slots_of(AccountEntry).keys()
    )
    assert job["chunk"]["anyOf"][1]["properties"].keys() == slots_of(ChunkEntry).keys()
    windows = [one.get("properties", {}).keys() for one in job["windows"]["items"]["anyOf"]]
    assert set().union(*windows) == window_slots(ZoneInfo("UTC")).keys()
    fields = job["products"]["items"]["anyOf"][1]["properties"].keys()
    assert {field for product in PRODUCTS.values() for field in product.fields} <= fields


def _undescribed(properties: dict[str, Any]) -> list[str]:
    return [name for name, schema in properties.items() if not schema.get("description")]


def test_every_key_is_described() -> None:
    assert _undescribed(job_schema()["properties"]) == []
    config = config_schema()["properties"]
    assert _undescribed(config) == []
    assert [
        name for part in config.values() for name in _undescribed(part.get("properties", {}))
    ] == []
