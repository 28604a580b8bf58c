"""Reads the sections of the config file by the keys that `core.settings` declares.

Of each declaration it makes what reads the key, and the JSON Schema that editors get. It looks up
no secret and opens no file but those that a key names for their content.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from orchestrator.config import amounts, json_forms, parsers
from orchestrator.config.ca_file import read_authorities
from orchestrator.config.columns import column_settings
from orchestrator.config.document import Findings, KeyPath
from orchestrator.config.json_forms import Schema
from orchestrator.config.messages import one_of, shown, suggestion
from orchestrator.config.parsers import InvalidValue, StoreUrl
from orchestrator.config.references import Origin, proxy_reference, secret_reference
from orchestrator.config.sections import Slot, Slots, as_it_stands, default_of, entry, section
from orchestrator.core.keys import Form, Key

S = TypeVar("S")

Reader = Callable[[object, Origin], Any]
"""Makes the value of a field of what stands in the file, and of where that file is."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """A field of a settings class that is a key."""

    field: Field[Any]  # of the dataclass
    key: Key  # its declaration
    kind: Any  # its type, without the annotation and without None

    @property
    def name(self) -> str:
        """The key in the file."""
        return self.key.name or self.field.name

    @property
    def default(self) -> Any:
        """The field's default; MISSING where it has none."""
        return default_of(self.field)

    def default_at(self, origin: Origin) -> Any:
        """As `default`, also where that is text to be read."""
        return self.read(self.key.written, origin) if self.key.written else self.default

    @property
    def is_required(self) -> bool:
        """Whether the file must have it."""
        return self.default is MISSING and not self.key.written

    @property
    def written(self) -> "_Written":
        """How its text is read, and what editors are told of it."""
        return _FORMS.get(self.key.form) or _of_type(self.kind, self.key)

    def read(self, value: object, origin: Origin) -> Any:
        """The value of the field.

        Raises:
            InvalidValue: it is not what belongs there.
        """
        return self.written.read(value, origin)

    def schema(self) -> Schema:
        """What editors are told of it."""
        return self.written.schema(self.key.help, self.key.written or self.default)


def declared(settings: type[Any]) -> tuple[_Declared, ...]:
    """The keys that a settings class declares, in order."""
    hints = get_type_hints(settings, include_extras=True)
    found = []
    for field in fields(settings):
        hint = hints[field.name]
        keys = [note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Key)]
        if keys:
            kind = get_args(hint)[0]
            if isinstance(kind, types.UnionType):
                (kind,) = (part for part in get_args(kind) if part is not types.NoneType)
            found.append(_Declared(field, keys[0], kind))
    return tuple(found)


def is_section(key: _Declared) -> bool:
    """Whether a key of the top holds keys of its own."""
    return hasattr(key.kind, "__dataclass_fields__") and bool(declared(key.kind))


def slots_of_settings(settings: type[Any], origin: Origin) -> Slots:
    """The keys of a settings class; a default that is text is read, too.

    What stands under a key that is a section is not looked at: it is read on its own.
    """
    return {
        key.name: Slot(as_it_stands, None)
        if is_section(key)
        else Slot(partial(key.read, origin=origin), key.default_at(origin))
        for key in declared(settings)
    }


def settings_of(
    settings: type[S], findings: Findings, path: KeyPath, value: object, origin: Origin
) -> S:
    """A section of the file; what is wrong in it is told, and becomes its default."""
    read = section(slots_of_settings(settings, origin), findings, path, value)
    return settings(**fields_of(settings, read))


def required_settings_of(
    settings: type[S], findings: Findings, path: KeyPath, value: object, origin: Origin
) -> S | None:
    """As `settings_of`, for a section that has no defaults; None if anything in it is wrong."""
    read = entry(slots_of_settings(settings, origin), findings, path, value)
    return None if read is None else settings(**fields_of(settings, read))


def fields_of(settings: type[Any], read: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the values of keys fill, sections apart."""
    return {key.field.name: read[key.name] for key in declared(settings) if not is_section(key)}


def defaults_of(settings: type[Any], origin: Origin) -> dict[str, Any]:
    """The fields, sections apart, where the file says nothing."""
    slots = slots_of_settings(settings, origin)
    return fields_of(settings, {name: slot.default for name, slot in slots.items()})


def schema_of(settings: type[Any]) -> dict[str, Schema]:
    """The JSON Schema of each key; of a section that of its keys."""
    schemas = {}
    for key in declared(settings):
        if is_section(key):
            parts = schema_of(key.kind)
            required = [part.name for part in declared(key.kind) if part.is_required]
            schemas[key.name] = json_forms.section(key.key.help, parts, required)
        else:
            schemas[key.name] = key.schema()
    return schemas


# --- how text becomes values ----------------------------------------------------------------------


def choices(words: type[Enum]) -> list[str]:
    """The words that a setting takes."""
    return [word.value for word in words]


def _choice(value: object, words: type[Enum]) -> Enum:
    word = parsers.text(value)
    known = choices(words)
    for candidate in words:
        if candidate.value == word:
            return candidate
    raise InvalidValue(
        f"{shown(word)} is none of the choices", suggestion(word, known, f"write {one_of(known)}")
    )


def _choices(value: object, words: type[Enum]) -> tuple[Enum, ...]:
    given = value if isinstance(value, list) else [value]
    if not given:
        raise InvalidValue("is an empty list", f"write {one_of(choices(words))}")
    return tuple(_choice(word, words) for word in given)


def _path(value: object, origin: Origin) -> Path:
    word, remedy = parsers.text(value), "write the path out; relative ones begin at this file"
    if "$" in word:
        raise InvalidValue(f"{shown(word)} holds a variable, which only credentials may", remedy)
    if parsers.holds_placeholder(word):
        what = f"{shown(word)} holds a placeholder that nothing has filled in"
        raise InvalidValue(what, remedy)
    return origin.absolute(word)


def _path_or_store(value: object, origin: Origin) -> Path | StoreUrl:
    word = parsers.text(value)
    # With a slash too few it would be a folder on this machine, named like a bucket.
    is_store = "://" in word or word.startswith(("s3:", "gs:", "az:"))
    return parsers.store_url(word) if is_store else _path(value, origin)


@dataclass(frozen=True, slots=True)
class _Written:
    """A form of text: how it is read, and what editors are told of it (help, default)."""

    read: Reader
    schema: Callable[[str, Any], Schema]


def _plain(read: Callable[[object], Any]) -> Reader:
    return lambda value, _origin: read(value)


def _of_type(kind: Any, key: Key) -> _Written:
    """The form of a field whose type says how its text is read."""
    least, most = key.least, key.most
    if get_origin(kind) is tuple:
        words = get_args(kind)[0]
        several = json_forms.one_or_more({"enum": choices(words)})
        return _Written(
            _plain(lambda value: _choices(value, words)),
            lambda help_text, _: {"description": help_text, **several},
        )
    if issubclass(kind, Enum):
        return _Written(
            _plain(lambda value: _choice(value, kind)),
            lambda help_text, default: json_forms.choice(help_text, choices(kind), default.value),
        )
    if kind is timedelta:
        assert isinstance(least, timedelta)
        assert isinstance(most, timedelta)
        return _Written(_plain(lambda value: parsers.duration(value, least, most)), json_forms.span)
    assert isinstance(most, int | float), f"{key.help} has no upper bound"
    if kind is int:
        assert least is None or isinstance(least, int | float)
        bounds = 1 if least is None else int(least), int(most)
        return _Written(
            _plain(lambda value: parsers.whole_number(value, *bounds)),
            lambda help_text, default: json_forms.count(help_text, default, *bounds),
        )
    assert kind is float, f"{key.help}: {kind} needs a form"
    return _Written(
        _plain(lambda value: parsers.positive_number(value, most)),
        lambda help_text, default: json_forms.number(help_text, default, most),
    )


def _text(pattern: str = "") -> Callable[[str, Any], Schema]:
    return lambda help_text, default: json_forms.text(
        help_text, pattern, default if isinstance(default, str) and default else None
    )


def _by_period(read: Callable[[object], Any], schema: Callable[[str], Schema]) -> _Written:
    return _Written(
        _plain(lambda value: amounts.by_period(value, read)),
        lambda help_text, _: json_forms.by_period(help_text, schema),
    )


_FORMS: Final[dict[Form, _Written]] = {
    Form.BASE_URL: _Written(_plain(parsers.base_url), _text(json_forms.WEB)),
    Form.PUBLIC_URL: _Written(_plain(parsers.public_url), _text(json_forms.PLAIN_WEB)),
    Form.LISTEN_ADDRESS: _Written(_plain(parsers.listen_address), _text(json_forms.LISTEN)),
    Form.PATH: _Written(_path, _text()),
    Form.PATH_OR_STORE: _Written(_path_or_store, _text()),
    Form.CERTIFICATES: _Written(
        lambda value, origin: read_authorities(_path(value, origin)), _text()
    ),
    Form.REFERENCE: _Written(secret_reference, _text()),
    Form.COMMAND: _Written(_plain(parsers.command_line), _text()),
    Form.TEXT: _Written(_plain(parsers.text), _text()),
    Form.COLUMNS: _Written(
        _plain(column_settings), lambda help_text, _: json_forms.column_rules(help_text)
    ),
    Form.PROXY: _Written(proxy_reference, _text()),
    Form.RECORDS: _Written(
        _plain(amounts.records), lambda help_text, _: json_forms.records(help_text)
    ),
    Form.SIZE: _Written(_plain(parsers.size), _text(json_forms.SIZE)),
    Form.RECORDS_BY_PERIOD: _by_period(amounts.records, json_forms.records),
    Form.MONEY_BY_PERIOD: _by_period(amounts.money, json_forms.money),
}
"""Every form but `Form.BY_TYPE`."""
