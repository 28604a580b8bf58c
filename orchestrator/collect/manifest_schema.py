"""Describes the lines of a manifest as a JSON Schema, for programs that read it. Writes nothing."""

from typing import Any, Final

from orchestrator.collect.manifest_writing import VERSION
from orchestrator.core.lifecycle import State
from orchestrator.core.record_columns import ColumnType

_Fields = dict[str, dict[str, Any]]


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _number(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "description": description, **more}


def _moment(description: str) -> dict[str, Any]:
    return _text(description, format="date-time", pattern="Z$")


def _nullable(field: dict[str, Any]) -> dict[str, Any]:
    return {**field, "type": [field["type"], "null"]}


_CHECK: Final = _text(
    "CRC-32 of all bytes of the file up to this field, in hex.", pattern="^[0-9a-f]{8}$"
)
_SHA256: Final = _text("SHA-256 of the file, in hex.", pattern="^[0-9a-f]{64}$")
_BODY: Final = {
    "type": "object",
    "description": "What is asked of the API without dates: account, product, direction, filters.",
    "required": ["account_id", "product"],
    "additionalProperties": {"type": ["string", "boolean"]},
}
_COLUMNS: Final = {
    "type": "object",
    "description": "Columns that are otherwise in the file than the API sent them.",
    "additionalProperties": False,
    "properties": {
        name: {"type": "array", "items": {"type": "string"}, "description": description}
        for name, description in (
            ("dropped", "Are not in the file (`output.columns`)."),
            ("hashed", "Hold an HMAC-SHA-256 in the place of each value (`output.columns`)."),
            ("without_type", "Are text in a Parquet file, since a value did not fit the type."),
        )
    },
}
_WINDOW: Final[_Fields] = {
    "date_start": _moment("The first moment that is covered."),
    "date_end": _moment("The first moment after it."),
}
_REACHED: Final[_Fields] = {
    "changes": _number("How many transactions of the ledger have changed something."),
    "events": _number("The number of the ledger's latest event."),
    "last_event": _text("A checksum of that event."),
}
_FACTS: Final[_Fields] = {
    "api_key": _text("The key that bought the report."),
    "job": _text("The name of the job that bought it."),
}
_OF_FILE: Final[_Fields] = {
    "replaces": _number("The report whose newer edition this is."),
    "finding": _text("Why a person had to accept the file; absent: nobody had to."),
    "columns": _COLUMNS,
    "source_sha256": _text(
        "SHA-256 of the archive that the file was made of, in hex.", pattern="^[0-9a-f]{64}$"
    ),
    "column_list": _number("Of the line of kind `column_list` that has the columns of the file."),
    "collected_change": _number("The value of `changes` since which the file is collected."),
}

_FILE: Final[_Fields] = {
    "account_id": _text("Of the records."),
    "product": _text("By its canonical name."),
    "direction": _nullable(_text("None where the product has none.")),
    "filter": {
        "type": "object",
        "description": "The fields of the request that differ from the API's defaults.",
    },
    **_WINDOW,
    "path": _text("From the output directory, with forward slashes."),
    "rows": _number("Records in the file."),
    "size_bytes": _number("Its size."),
    "sha256": _SHA256,
    "request_id": _nullable(_text("The API's id of the report; null: only the file tells of it.")),
    **_FACTS,
    "collected_at": _moment("When it took its name."),
    "body": _BODY,
}
_FILE_MORE: Final[_Fields] = {
    "report": _number("Our number of the report."),
    "edition": _number("From 2 on; absent: the first.", minimum=2),
    **_OF_FILE,
    "intended_ms": {"type": "integer", "description": "When it was asked for: ms since 1970."},
    "submitted_ms": {"type": "integer", "description": "When the API's id became known."},
    "ready_ms": {"type": "integer", "description": "When it was seen finished."},
    "ahead_ms": {"type": "integer", "description": "The API's clock less ours; absent: 0."},
    "foreign": {
        "type": "object",
        "description": "Records in it of other accounts than the report's, by account.",
        "additionalProperties": {"type": "integer", "minimum": 0},
    },
}

_REPORT: Final[_Fields] = {
    "report": _number("Our number of the report."),
    "state": {"enum": [state.value for state in State if state is not State.COLLECTED]},
    **_WINDOW,
    **_FACTS,
    "intended_at": _moment("When it was asked for."),
    "server_ahead": {"type": "number", "description": "The API's clock less ours, in seconds."},
    "body": _BODY,
}
_REPORT_MORE: Final[_Fields] = {
    "callback_url": _text("Sent along, while the API's id is not known."),
    "request_id": _text("The API's id of the report."),
    "submitted_at": _moment("When that became known."),
    "ready_at": _moment("When it was seen finished."),
    "items_count": _number("Records that the API promised."),
    "rows": _number("Records in its file."),
    "size_bytes": _number("The size of the file."),
    "sha256": _SHA256,
    "path": _text("Where its file stands, or will."),
    "reason": _text("Why it is in this state."),
    "changed_at": _moment("When the state changed."),
    "edition": _number("From 2 on; absent: the first.", minimum=2),
    **_OF_FILE,
    "removed_change": _number("The value of `changes` since which its file is gone."),
    "failed": _number("The event by which it came to nothing."),
}

_KINDS: Final[dict[str, tuple[str, _Fields, _Fields]]] = {
    "header": (
        "The first line: of which ledger, and how far that had got when all was written.",
        {
            "version": {"const": VERSION},
            "made_at": _moment("When the manifest was written as a whole."),
            "ledger": _text("Which ledger; random, in hex."),
            "generation": _number("One more each time the ledger was rebuilt.", minimum=1),
            **_REACHED,
        },
        {},
    ),
    "file": ("A collected file.", _FILE, _FILE_MORE),
    "report": ("A report that has no collected file (any more).", _REPORT, _REPORT_MORE),
    "column_list": (
        "The columns of files, in their order. Stands before the lines that name its number.",
        {
            "number": _number("By which files name it."),
            "columns": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": _text("Of the column."),
                        "type": {
                            "enum": [*(kind.value for kind in ColumnType), "bytes"],
                            "description": "As in `orchestrator schema records`; absent in formats "
                            "without types.",
                        },
                    },
                },
            },
        },
        {},
    ),
    "given_up": (
        "A window that no run asks for by itself.",
        {"number": _number("Of the entry.")},
        {
            "gone": {"const": True, "description": "It is given up no longer; nothing follows."},
            **_WINDOW,
            "report": _nullable(_number("The last report of it.")),
            "reason": _nullable(_text("Why it was given up.")),
            "at": _moment("When."),
            "acknowledged": {"type": "boolean", "description": "A person has waived it."},
            "body": _BODY,
        },
    ),
    "series": (
        "The last event whose failure no longer counts for a series.",
        {"retried": _number("Its number."), "body": _BODY},
        {},
    ),
    "resolved": (
        "What the relative windows of a job have become for a series.",
        {
            "job": _text("The name of the job."),
            "windows": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            },
            "body": _BODY,
        },
        {},
    ),
    "mark": (
        "Where the latest of these windows ended.",
        {"job": _text("The name of the job."), "mark": _moment("The end."), "body": _BODY},
        {},
    ),
    "end": (
        "Ends what was written as a whole; what follows was appended since.",
        {"lines": _number("Lines before this one.")},
        {},
    ),
    "reached": ("Ends what one transaction has appended.", _REACHED, {}),
}
"""Of each kind of line: what it is, the fields that it always has, and those that it may have."""


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of one line of `manifest.jsonl`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of manifest.jsonl",
        "description": "JSON Lines in UTF-8. A later line of the same report takes the place of an "
        "earlier one. Later versions may add fields.",
        "oneOf": [
            {
                "type": "object",
                "title": kind,
                "description": description,
                "required": ["kind", *always, "check"],
                "properties": {"kind": {"const": kind}, **always, **maybe, "check": _CHECK},
            }
            for kind, (description, always, maybe) in _KINDS.items()
        ],
    }
