"""Lists what `run --log-format json` writes: the types of its lines, and the fields of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

COMMON: Final[Mapping[str, str]] = {
    "time": "of the line, in UTC",
    "level": "`info`, `warning` or `error`; `--quiet` leaves `info` out",
    "type": "what happened: the first column below",
    "event": "the same as a sentence for people; its words may change",
}
"""The fields that every line has."""

_EXIT: Final[Mapping[str, str]] = {
    "exit_code": "of the command",
    "exit_word": "its name",
}


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One type of lines."""

    meaning: str  # when such a line is written
    # beside `COMMON`, each with its meaning
    fields: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()  # those of the fields that a line may lack


EVENTS: Final[Mapping[str, LogEvent]] = {
    "run_begun": LogEvent("the run has the lock and begins", {"jobs": "their names"}),
    "run_progress": LogEvent(
        "how it goes, once a minute",
        {
            "collected": "reports collected in this run",
            "rows": "records of these",
            "bytes": "of their files",
            "waiting": "reports that the API works on",
            "fetching": "reports that are finished and not collected yet",
            "owed_seconds": "time that is not asked for yet, all series together",
            "requests": "made so far",
            "elapsed_seconds": "since the run began",
        },
    ),
    "run_ended": LogEvent(
        "the run came to its end; the last line but for notifications that fail. The fields are "
        "the keys of `run --json` without `files`",
        {
            **dict.fromkeys(("jobs", "now", "seconds", "requests", "collected", "in_all"), ""),
            **dict.fromkeys(("price", "directory", "made_up", "unsettled", "waived", "erased"), ""),
            **dict.fromkeys(("column_drift", "others", "later", "callbacks", "event_loop"), ""),
            **dict.fromkeys(("needs_person", "unfinished", "why", *_EXIT, "run"), ""),
        },
    ),
    "report": LogEvent(
        "a report has another state, or was found open as the run began; `warning` where it came "
        "to nothing, is held or disputed",
        {
            "report": "our number",
            "request_id": "the API's name for it, or null",
            "state": "the [state](commands.md#status) that it has now",
            "cause": "the event that led there, as in [design.md](design.md#the-life-of-a-report); "
            "null where it was found open or is about to be asked for",
            "reason": "why, in words; may be empty",
            "job": "that asked for it",
            "account_id": "",
            "product": "",
            "direction": "",
            "filter": "",
            "start": "the first moment of its window",
            "end": "the first moment after it",
            "rows": "records of its file, or null",
            "bytes": "of its file, or null",
            "path": "of its file in the output directory, or null",
        },
    ),
    "refused": LogEvent(
        "the API refuses a series, an account or a key; nothing more of it in this run",
        {"what": "`series`, `account` or `key`", "name": "which", "reason": "the API's words"},
    ),
    "given_up": LogEvent(
        "no run asks for a window by itself any more",
        {
            "account_id": "",
            "product": "",
            "start": "the first moment of the window",
            "end": "the first moment after it",
            "reason": "why",
        },
    ),
    "api_unreachable": LogEvent(
        "the API does not answer; it is waited for", {"api_key": "whose requests"}
    ),
    "api_reachable": LogEvent(
        "the API answers again", {"api_key": "whose requests", "seconds": "without an answer"}
    ),
    "stopping": LogEvent("a signal has come, or the deadline: the run stops in order"),
    "event_loop": LogEvent(
        "the machine is short of CPU, or its disk is slow",
        dict.fromkeys(("beats", "stall_p50_ms", "stall_p999_ms", "stall_max_ms"), ""),
    ),
    "folded": LogEvent(
        "many lines of one cause: the first three were written, these were counted; `--verbose` "
        "writes each",
        {"folded": "how many", "of": "their type"},
    ),
    "error": LogEvent(
        "the command ends with an error, or the work on a report did",
        {**_EXIT, "traceback": "of a bug of ours"},
        frozenset({"traceback"}),
    ),
    "library": LogEvent(
        "a library that the program uses has warned",
        {"source": "which", "traceback": "where it gave one"},
        frozenset({"traceback"}),
    ),
    "message": LogEvent("all that has no type of its own"),
}
"""By type. Types and fields are a contract: there may be more of both."""
