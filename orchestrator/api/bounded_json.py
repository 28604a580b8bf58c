"""Parses the JSON of an answer within bounds of memory, and says what it is where it is not JSON.

Knows nothing of reports: that is `orchestrator.api.wire`.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

MAX_VALUES: Final = 1_500_000
"""Maximum number of commas and brackets in an answer: the longest list of real reports has fewer.

Two bytes of JSON may become a hundred in memory.
"""

MAX_DIGITS: Final = 400
"""Maximum number of digits of a whole number; converting a longer one takes too long."""

MAX_DEPTH: Final = 1000
"""Maximum number of brackets in an answer that is parsed leniently: the parser recurses."""


class WireError(ValueError):
    """An answer is not what the call promises; the text says what it is instead."""


class TooManyValues(WireError):
    """An answer has more than `MAX_VALUES` values."""


def parse_object(
    body: bytes, drop: Callable[[dict[str, Any]], bool] | None = None
) -> dict[str, Any]:
    """Parses an answer that must be a JSON object.

    What the standard of JSON does not allow (NaN, two values of one name) makes only that field
    `Unreadable`.

    Args:
        drop: says of each object, the inner ones first, whether it is of no use; such a one
            becomes `Unreadable` at once, so that thousands of them take no memory.

    Raises:
        WireError: it is not JSON, or not an object.
        TooManyValues: it has more than `MAX_VALUES` values.
    """
    # Commas inside texts are counted too, so the bound is generous.
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise TooManyValues(f"JSON of more than {MAX_VALUES:,} values")
    try:
        answer = json.loads(
            body.decode("utf-8-sig"),
            parse_constant=Unreadable,
            parse_int=_whole_number,
            object_pairs_hook=_fields if drop is None else partial(_fields_unless, drop),
        )
    except RecursionError:
        raise WireError("JSON that is nested too deeply") from None
    except UnicodeDecodeError:
        raise WireError("bytes that are not UTF-8") from None
    except ValueError:
        raise WireError(_describe(body)) from None
    if not isinstance(answer, dict):
        raise WireError(f"JSON, but {kind_of(answer)} where an object belongs")
    return answer


def first_object(body: bytes) -> dict[str, Any] | None:
    """Parses the object with which an answer begins, whatever follows it.

    Bytes that are not UTF-8 become U+FFFD, and texts may hold control characters.
    None: the answer begins with no object, or nests deeper than `MAX_DEPTH` might allow.
    """
    text = body.decode("utf-8", "replace").lstrip()
    if text.count("[") + text.count("{") > MAX_DEPTH:
        return None
    try:
        answer, _ = _LENIENT.raw_decode(text)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


class Unreadable:
    """Stands for a value that JSON cannot have: NaN, or two values of one name.

    Attributes:
        kind: what it is, for messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object; a name with two different values becomes `Unreadable`."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: dict[str, Any] = {}
        for name, value in pairs:
            if name in seen and seen[name] != value:
                fields[name] = Unreadable("two values of one name")
            seen.setdefault(name, value)
    return fields


def _fields_unless(
    drop: Callable[[dict[str, Any]], bool], pairs: list[tuple[str, Any]]
) -> dict[str, Any] | Unreadable:
    fields = _fields(pairs)
    return _DROPPED if drop(fields) else fields


def _whole_number(digits: str) -> int | Unreadable:
    return int(digits) if len(digits) <= MAX_DIGITS else Unreadable("a number without end")


def _describe(body: bytes) -> str:
    """What an answer is that is not JSON, for messages."""
    start = body.lstrip()[:1]
    if not start:
        return "nothing"
    if start == b"<":
        return "a page of HTML or XML"
    return "JSON that is cut or broken" if start in b"{[" else "something that is not JSON"


def kind_of(value: object) -> str:  # noqa: PLR0911 - one arm a kind
    """The kind of a JSON value, for messages: ``a number``, ``null``."""
    match value:
        case Unreadable():
            return value.kind
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


_DROPPED: Final = Unreadable("an object of no use")

_LENIENT: Final = json.JSONDecoder(
    parse_constant=Unreadable, parse_int=_whole_number, object_pairs_hook=_fields, strict=False
)
