"""The types of options that faults take: each one checks a value of a file of faults."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any

Check = Callable[[Any], object]
"""Makes the value of an option of what stands in a file; raises `WrongValue` if it is wrong."""


class WrongValue(ValueError):
    """What an option does not take; the text says what it must be."""


def _whole(given: Any, least: float = -inf, most: float = inf) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and least <= given <= most


def _number(given: Any, least: float, most: float) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and least <= given <= most


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _option(
    what: str, fits: Callable[[Any], bool], make: Callable[[Any], object] = lambda given: given
) -> Check:
    """Takes what fits, as `make` makes it; of anything else it says `what` it must be."""

    def check(given: Any) -> object:
        if not fits(given):
            raise WrongValue(f"must be {what}, not {given!r}")
        return make(given)

    return check


@dataclass(frozen=True, slots=True)
class Choice:
    """Takes one of several words."""

    options: tuple[str, ...]

    def __call__(self, given: Any) -> str:
        """Returns the word, or raises `WrongValue`."""
        if given not in self.options:
            raise WrongValue(f"must be one of {', '.join(self.options)}, not {given!r}")
        return str(given)


def one_of(*options: str) -> Choice:
    """Takes one of these words: for an annotation of `str`."""
    return Choice(options)


_MAX: float = 1e12
Whole = Annotated[int, _option("a whole number", _whole)]
Count = Annotated[int, _option("a whole number, at least 1", lambda given: _whole(given, 1))]
CallNumbers = Annotated[
    frozenset[int],
    _option(
        "a call's number, from 1, or a list of them",
        lambda given: bool(_listed(given)) and all(_whole(number, 1) for number in _listed(given)),
        lambda given: frozenset(_listed(given)),
    ),
]
Number = Annotated[
    float,
    _option("a number that is not negative", lambda given: _number(given, 0, _MAX), float),
]
AnyNumber = Annotated[float, _option("a number", lambda given: _number(given, -_MAX, _MAX), float)]
Share = Annotated[float, _option("a number from 0 to 1", lambda given: _number(given, 0, 1), float)]
Text = Annotated[str, _option("text", lambda given: isinstance(given, str) and given != "")]
Flag = Annotated[bool, _option("true or false", lambda given: isinstance(given, bool))]
Scalar = Annotated[
    str | bool, _option("text, true or false", lambda given: isinstance(given, str | bool))
]
HttpStatus = Annotated[int, _option("an HTTP status", lambda given: _whole(given, 100, 599))]
