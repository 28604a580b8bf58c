"""How kinds of faults are declared: options, places, and the table of all kinds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from aiohttp import web

    from orchestrator.simulator.clock import WorldClock


class Server(Protocol):
    """What a fault of the whole server may do."""

    @property
    def clock(self) -> WorldClock:
        """The world's clock."""
        ...

    async def restart(self, seconds: float) -> None:
        """Ends every connection, and listens again after so many seconds of the loop."""
        ...


Options = Mapping[str, Any]
CallAct = Callable[[Any, Options], Awaitable["web.StreamResponse"]]
"""Stands around one `simulator.calls.Call`. What it takes is named where kinds are written: they
know calls and reports, and these know the settings, which hold faults."""
QuirkAct = Callable[[Any, Options], None]
"""Changes the `simulator.reports.ReportFaults` of a report."""
ServerAct = Callable[[Server, Options], Awaitable[None]]

CALLS: Final = ("create", "status", "list", "cancel", "download", "records")
PLACES: Final = (*CALLS, "report", "server")
"""Where a fault can strike: at a call, at a report when it is made, or at the whole server."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a kind.

    Attributes:
        read: makes the value of what stands in a file; `ValueError` says what it must be.
        default: None where there is none and the option may be left out.
        required: it must be given.
    """

    read: Callable[[Any], Any]
    default: Any = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault. Exactly one of `in_call`, `in_quirks` and `in_server` is set."""

    name: str
    places: tuple[str, ...]
    options: Mapping[str, Option]
    in_call: CallAct | None = None
    in_quirks: QuirkAct | None = None
    in_server: ServerAct | None = None


KINDS: Final[dict[str, FaultKind]] = {}
"""Every kind by its name."""


def in_calls(*places: str, **options: Option) -> Callable[[CallAct], CallAct]:
    """Declares a kind that stands around one HTTP call; without places, around any."""

    def register(act: CallAct) -> CallAct:
        name = _name(act)
        KINDS[name] = FaultKind(name, places or CALLS, options, in_call=act)
        return act

    return register


def in_quirks(*places: str, **options: Option) -> Callable[[QuirkAct], QuirkAct]:
    """Declares a kind that changes a report for good, or one download of it."""

    def register(act: QuirkAct) -> QuirkAct:
        name = _name(act)
        KINDS[name] = FaultKind(name, places, options, in_quirks=act)
        return act

    return register


def in_server(**options: Option) -> Callable[[ServerAct], ServerAct]:
    """Declares a kind that befalls the server once, at the fault's `after`."""

    def register(act: ServerAct) -> ServerAct:
        name = _name(act)
        KINDS[name] = FaultKind(name, ("server",), options, in_server=act)
        return act

    return register


def _name(act: Callable[..., Any]) -> str:
    return act.__name__.strip("_")


# --- what options may be --------------------------------------------------------------------------


def whole(given: Any) -> int:
    """A whole number."""
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"must be a whole number, not {given!r}")  # noqa: TRY004 - one error for the loader to place
    return given


def number(given: Any) -> float:
    """A number, not negative."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < 1e12:
        raise ValueError(f"must be a number that is not negative, not {given!r}")
    return float(given)


def signed(given: Any) -> float:
    """A number, negative or not."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) < 1e12:
        raise ValueError(f"must be a number, not {given!r}")
    return float(given)


def share(given: Any) -> float:
    """A number between 0 and 1."""
    if number(given) > 1:
        raise ValueError(f"must lie between 0 and 1, not {given!r}")
    return float(given)


def text(given: Any) -> str:
    """Text."""
    if not isinstance(given, str) or not given:
        raise ValueError(f"must be text, not {given!r}")
    return given


def flag(given: Any) -> bool:
    """True or false."""
    if not isinstance(given, bool):
        raise ValueError(f"must be true or false, not {given!r}")  # noqa: TRY004 - one error for the loader to place
    return given


def scalar(given: Any) -> str | bool:
    """A field of a request: text, true or false."""
    if not isinstance(given, str | bool):
        raise ValueError(f"must be text, true or false, not {given!r}")  # noqa: TRY004 - one error for the loader to place
    return given


def http_status(given: Any) -> int:
    """An HTTP status."""
    if not 100 <= whole(given) <= 599:
        raise ValueError(f"must be an HTTP status, not {given!r}")
    return int(given)


def one_of(*words: str) -> Callable[[Any], str]:
    """One of these words."""

    def read(given: Any) -> str:
        if given not in words:
            raise ValueError(f"must be one of {', '.join(words)}, not {given!r}")
        return str(given)

    return read


MADE: Final = Option(flag, default=False)
"""Whether the call does its work before the fault strikes: the report was made all the same."""
