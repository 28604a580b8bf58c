"""Makes the logger that writes lines to standard error, as text or JSON, without secrets."""

import logging
import traceback
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from orchestrator.reporting.log_events import COMMON
from orchestrator.texts import printable, utc_text

_LEVELS: Final = {"info": 20, "warning": 30, "error": 40}


def logger(
    stream: TextIO,
    *,
    json: bool,
    mask: Callable[[str], str],
    now: Callable[[], datetime],
    quiet: bool = False,
) -> FilteringBoundLogger:
    """A logger that writes a line a call: ``log.info(text, fact=…)``.

    Args:
        stream: where the lines go; each is flushed.
        json: JSON Lines with the facts; else the time and the text.
        mask: takes the secrets out.
        now: the time that the lines carry.
        quiet: nothing below warnings.
    """

    def stamped(_logger: object, _method: str, event: EventDict) -> EventDict:
        first = (event.pop("level"), event.pop("type", "message"), event.pop("event"))
        common = zip(COMMON, (utc_text(now()), *first), strict=True)
        return {**dict(common), **event}

    def masked(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {key: _masked(part, mask) for key, part in event.items()}

    processors: list[Processor] = [structlog.processors.add_log_level, stamped, masked]
    processors.append(structlog.processors.JSONRenderer() if json else _plain)
    wrapped: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(
            _LEVELS["warning" if quiet else "info"]
        ),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return wrapped


def _plain(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """``2026-03-01T04:05:00Z warning: text``; the facts stand in the text already."""
    level = "" if event["level"] == "info" else f"{event['level']}: "
    return f"{event['time']} {level}{printable(event['event'])}"


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    match value:
        case str():
            return mask(value)
        case dict():
            return {key: _masked(part, mask) for key, part in value.items()}
        case list() | tuple():
            return [_masked(part, mask) for part in value]
        case _:
            return value


class LibraryLines(logging.Handler):
    """Writes what libraries log, from warnings on, as lines of ours.

    Args:
        log: where the lines go.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        facts = {"source": record.name}
        if record.exc_info:
            facts["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        self._log.warning(record.getMessage(), type="library", **facts)
