"""The types of options that faults take: each one checks a value of a file of faults."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator


def _whole(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"must be a whole number, not {given!r}")  # noqa: TRY004 - pydantic catches no TypeError
    return given


def _at_least_one(given: Any) -> int:
    if _whole(given) < 1:
        raise ValueError(f"must be at least 1, not {given!r}")
    return int(given)


def _call_numbers(given: Any) -> frozenset[int]:
    numbers = given if isinstance(given, list | tuple) else [given]
    if not numbers or any(_whole(number) < 1 for number in numbers):
        raise ValueError(f"must be a call's number, from 1, or a list of them, not {given!r}")
    return frozenset(numbers)


def _any_number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) < 1e12:
        raise ValueError(f"must be a number, not {given!r}")
    return float(given)


def _number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < 1e12:
        raise ValueError(f"must be a number that is not negative, not {given!r}")
    return float(given)


def _share(given: Any) -> float:
    if _number(given) > 1:
        raise ValueError(f"must lie between 0 and 1, not {given!r}")
    return float(given)


def _text(given: Any) -> str:
    if not isinstance(given, str) or not given:
        raise ValueError(f"must be text, not {given!r}")
    return given


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError(f"must be true or false, not {given!r}")  # noqa: TRY004 - pydantic catches no TypeError
    return given


def _scalar(given: Any) -> str | bool:
    if not isinstance(given, str | bool):
        raise ValueError(f"must be text, true or false, not {given!r}")  # noqa: TRY004 - pydantic catches no TypeError
    return given


def _http_status(given: Any) -> int:
    if not 100 <= _whole(given) <= 599:
        raise ValueError(f"must be an HTTP status, not {given!r}")
    return int(given)


@dataclass(frozen=True, slots=True)
class Choice:
    """Takes one of several words."""

    options: tuple[str, ...]

    def __call__(self, given: Any) -> str:
        """Returns the word, or raises `ValueError`."""
        if given not in self.options:
            raise ValueError(f"must be one of {', '.join(self.options)}, not {given!r}")
        return str(given)


def one_of(*options: str) -> PlainValidator:
    """Takes one of these words: for an annotation of `str`."""
    return PlainValidator(Choice(options))


# An optional value may be left out of a file; an empty value (null) is refused all the same.
Whole = Annotated[int, PlainValidator(_whole)]
OptionalWhole = Annotated[int | None, PlainValidator(_whole)]
OptionalCount = Annotated[int | None, PlainValidator(_at_least_one)]
CallNumbers = Annotated[frozenset[int] | None, PlainValidator(_call_numbers)]
Number = Annotated[float, PlainValidator(_number)]
OptionalNumber = Annotated[float | None, PlainValidator(_number)]
AnyNumber = Annotated[float, PlainValidator(_any_number)]
OptionalAnyNumber = Annotated[float | None, PlainValidator(_any_number)]
Share = Annotated[float, PlainValidator(_share)]
OptionalShare = Annotated[float | None, PlainValidator(_share)]
Text = Annotated[str, PlainValidator(_text)]
OptionalText = Annotated[str | None, PlainValidator(_text)]
Flag = Annotated[bool, PlainValidator(_flag)]
Scalar = Annotated[str | bool, PlainValidator(_scalar)]
OptionalScalar = Annotated[str | bool | None, PlainValidator(_scalar)]
HttpStatus = Annotated[int, PlainValidator(_http_status)]
OptionalHttpStatus = Annotated[int | None, PlainValidator(_http_status)]
