"""Turns parts of the tree into schema objects, and pydantic's errors into our own mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.config.document import MAX_FINDINGS, Findings, KeyPath
from orchestrator.config.messages import one_of, suggestion
from orchestrator.config.parsers import InvalidValue

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Entry(BaseModel):
    """One mapping of a file: frozen, no unknown keys. Its fields convert text themselves.

    Every field either has a default or is reported as missing; no field is itself an `Entry`, so
    that a mistake in one part never hides those in another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


E = TypeVar("E", bound=Entry)

ELSEWHERE: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            *("api", "output", "state", "limits", "retry", "poll", "on_unknown", "callback"),
            *("price_per_record", "currency", "notify", "ping", "metrics"),
        ),
        "it belongs in the config file",
    ),
    **dict.fromkeys(
        ("name", "timezone", "accounts", "products", "windows", "chunk", "settle", "refetch"),
        "it belongs in a job file",
    ),
}
"""Keys at the top of the other kind of file."""


def entry(
    schema: type[E], findings: Findings, path: KeyPath, value: object, **context: object
) -> E | None:
    """Reads one mapping, or its short form; None if anything in it is wrong."""
    empty = [key for key, part in value.items() if part is None] if isinstance(value, dict) else []
    for key in empty:
        findings.mistake((*path, key), "is empty", "give it a value, or remove the key")
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if part is not None}
    try:
        read = schema.model_validate(value, context=context)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # One more than are told, so that it shows that there are more.
        for details in found[: MAX_FINDINGS + 1]:
            loc = details["loc"]
            if details["type"] != "missing" or loc[-1] not in empty:
                _translate(schema, findings, path, details)
        return None
    return None if empty else read


def section(
    schema: type[E], findings: Findings, path: KeyPath, value: object, **context: object
) -> E:
    """Reads a mapping whose every key has a default; what is wrong in it becomes its default."""
    read = entry(schema, findings, path, value, **context)
    if read is not None:
        return read
    aside = Findings(findings.document)
    known = {field.alias or name for name, field in schema.model_fields.items()}
    parts = value.items() if isinstance(value, dict) else ()
    left = {
        key: part
        for key, part in parts
        if key in known and entry(schema, aside, path, {key: part}, **context) is not None
    }
    return schema.model_validate(left, context=context)


def _translate(
    schema: type[Entry], findings: Findings, path: KeyPath, details: ErrorDetails
) -> None:
    where = (*path, *details["loc"])
    match details["type"]:
        case "value_error" if isinstance(unfit := details["ctx"]["error"], InvalidValue):
            findings.unfit(where, unfit)
        case "missing":
            key = str(details["loc"][-1])
            findings.mistake(path, f"{key} is missing", f"add {key}")
        case "extra_forbidden":
            key = str(details["loc"][-1])
            known = [field.alias or name for name, field in schema.model_fields.items()]
            keys = "keys here are" if len(known) > 1 else "only key here is"
            remedy = suggestion(key, known, f"the {keys} {one_of(known, 'and')}")
            if not path and key in ELSEWHERE:
                remedy = ELSEWHERE[key]
            findings.mistake(where, "is not a key here", remedy, at_key=True)
        case "list_type":
            findings.mistake(where, "is not a list", "write [one, two], or one `- entry` a line")
        case "model_type" | "model_attributes_type" | "dict_type":
            findings.mistake(where, "is not a mapping of keys", "write {key: value}")
        case _:
            findings.mistake(where, "is not what belongs here", "compare it with the examples")
