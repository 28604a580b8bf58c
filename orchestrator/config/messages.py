"""Shows values in messages, and guesses which known word was probably meant."""

import difflib
from collections.abc import Iterable, Sequence
from operator import ne

_SHOWN_CHARACTERS = 60

_CLOSE = 0.75
"""How alike two words must be for one to be suggested: a wrong guess is worse than none."""


def shown(text: str) -> str:
    """The text as a message may show it: bounded, and nothing that a terminal would obey."""
    visible = "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in text[: _SHOWN_CHARACTERS + 1]
    )
    if len(text) > _SHOWN_CHARACTERS:
        return f"{visible[:_SHOWN_CHARACTERS]}…"
    return visible or "''"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, whatever the case; None if none is near.

    One other letter, or letters that changed places, as in ``form`` for ``from``, are near
    however short the word is.
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    written = word[:64].lower()
    for lower, candidate in by_lower.items():
        if sorted(lower) == sorted(written) or _differs_in_one_letter(lower, written):
            return candidate
    close = difflib.get_close_matches(written, list(by_lower), n=1, cutoff=_CLOSE)
    return by_lower[close[0]] if close else None


def _differs_in_one_letter(first: str, second: str) -> bool:
    return len(first) == len(second) > 2 and sum(map(ne, first, second)) == 1


def one_of(words: Iterable[str], joint: str = "or") -> str:
    """``a, b or c``."""
    several: Sequence[str] = list(words)
    if len(several) < 2:
        return "".join(several)
    return f"{', '.join(several[:-1])} {joint} {several[-1]}"


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy: the nearest known word as a question, else `otherwise`."""
    guess = nearest(word, known)
    return f"did you mean {guess}?" if guess else otherwise
