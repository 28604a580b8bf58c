"""Lists what the text of a notification may name of a run, and finds names that are wrong."""

from string import Formatter
from typing import Final

FIELDS: Final = (
    *("jobs", "outcome", "exit_code", "exit_word", "why", "reports", "records", "requests"),
    *("seconds", "needs_person", "unfinished", "host", "summary"),
)
"""What stands in braces in the text of a target: ``{jobs}: {outcome}``."""


def unknown_field(text: str) -> str | None:
    """The first thing in braces in a text that is no field; None where all of them are.

    Raises:
        ValueError: braces do not match.
    """
    for _, name, format_spec, conversion in Formatter().parse(text):
        if name is not None and (name not in FIELDS or format_spec or conversion):
            return name
    return None
