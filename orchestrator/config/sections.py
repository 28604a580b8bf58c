"""Reads mappings key by key: each mistake with its place, so that none hides another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from orchestrator.config.document import MAX_FINDINGS, Findings, KeyPath
from orchestrator.config.messages import one_of, suggestion
from orchestrator.config.parsers import InvalidValue


class Slot(NamedTuple):
    """What may stand under a key: how it is read, and what counts where it is left out."""

    read: Callable[[object], Any]  # raises `InvalidValue` where it is not what belongs there
    default: Any = MISSING  # MISSING: the key must be there


Slots = dict[str, Slot]
"""The keys of a mapping, by their names in the file."""


def as_it_stands(value: object) -> object:
    """For a `Slot` whose content is read later."""
    return value


def listed(value: object) -> list[Any]:
    """For a `Slot` whose entries are read later, one by one."""
    if not isinstance(value, list):
        raise InvalidValue("is not a list", "write [one, two], or one `- entry` a line")
    return value


def default_of(field: Field[Any]) -> Any:
    """The default of a dataclass's field; MISSING where it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def slots_of(kind: type[Any]) -> Slots:
    """The keys that a dataclass declares; each field is annotated with the function that reads it.

    A mapping whose content is sound is then ``kind(**entry(slots_of(kind), …))``.
    """
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: Slot(get_args(hints[field.name])[1], default_of(field))
        for field in fields(kind)
    }


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


def entry(slots: Slots, findings: Findings, path: KeyPath, value: object) -> dict[str, Any] | None:
    """Reads one mapping: the value of every key; None if anything in it is wrong."""
    read, is_sound = _read(slots, findings, path, value)
    return read if is_sound else None


def section(slots: Slots, findings: Findings, path: KeyPath, value: object) -> dict[str, Any]:
    """Reads a mapping whose every key has a default; what is wrong in it becomes its default."""
    return _read(slots, findings, path, value)[0]


def _read(
    slots: Slots, findings: Findings, path: KeyPath, value: object
) -> tuple[dict[str, Any], bool]:
    """What could be read, with the defaults of the rest, and whether nothing is wrong."""
    read = {key: slot.default for key, slot in slots.items() if slot.default is not MISSING}
    if not isinstance(value, dict):
        findings.mistake(path, "is not a mapping of keys", "write {key: value}")
        return read, False
    missing = [key for key in slots if key not in read and key not in value]
    for key in missing:
        findings.mistake(path, f"{key} is missing", f"add {key}")
    given = {key: part for key, part in value.items() if part is not None}
    for key in [key for key in value if key not in given]:
        findings.mistake((*path, key), "is empty", "give it a value, or remove the key")
    # Only so many, and one that shows that there are more: to find what was meant takes its time.
    for key in [key for key in given if key not in slots][: MAX_FINDINGS + 1]:
        _refuse_unknown(slots, findings, (*path, key))
    sound = {
        key: content
        for key, part in given.items()
        if key in slots
        and (content := findings.read((*path, key), slots[key].read, part)) is not None
    }
    return read | sound, not missing and sound.keys() == value.keys()


def _refuse_unknown(slots: Slots, findings: Findings, where: KeyPath) -> None:
    key = str(where[-1])
    keys = "keys here are" if len(slots) > 1 else "only key here is"
    remedy = suggestion(key, slots, f"the {keys} {one_of(slots, 'and')}")
    if len(where) == 1 and key in ELSEWHERE:
        remedy = ELSEWHERE[key]
    findings.mistake(where, "is not a key here", remedy, at_key=True)
