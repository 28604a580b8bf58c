"""The JSON of what many answers name: series, windows, exit codes. Its keys are a contract."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from orchestrator.core.intervals import Window
from orchestrator.core.local_dates import Chunk
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode
from orchestrator.core.windows import Later
from orchestrator.texts import utc_text


def optional_moment(moment: datetime | None) -> str | None:
    """As `utc_text`; None stays None."""
    return None if moment is None else utc_text(moment)


def window_fields(window: Window) -> dict[str, str]:
    """A window; the end is the first moment that is not in it."""
    return {"start": utc_text(window.start), "end": utc_text(window.end)}


def window_list(windows: Iterable[Window]) -> list[dict[str, str]]:
    """Windows, each as `window_fields`."""
    return list(map(window_fields, windows))


def series_fields(series: Series) -> dict[str, Any]:
    """What names a series; the filter holds the fields that are not at their default."""
    return {
        "account_id": series.account_id,
        "product": series.product,
        "direction": series.direction,
        "filter": series.filters,
    }


def chunk_fields(chunk: Chunk) -> dict[str, Any]:
    """What names a window of a series."""
    return {**series_fields(chunk.series), **window_fields(chunk.window)}


def later_fields(later: Later) -> dict[str, str]:
    """A window that is not ready yet, and when it can be collected."""
    return {
        "window": later.label,
        **window_fields(later.window),
        "available_at": utc_text(later.available_at),
    }


def beside_fields(counts: object) -> dict[str, int]:
    """What there is beside the debt, of anything that counts it: reports, then windows."""
    names = ("open", "held", "given_up", "disputed", "waived", "erased")
    return {name: getattr(counts, name) for name in names}


def exit_fields(code: ExitCode) -> dict[str, Any]:
    """An exit code, as a number and in one word."""
    return {"exit_code": int(code), "exit_word": code.name.lower()}
