"""What a run tells the world while it works: a few events, and who subscribes to them.

The engine tells; statistics, budget, log, and whatever else wants to know subscribe. No subscriber
changes what the engine does by being there or not.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.debt import Debt
from orchestrator.core.lifecycle import Event
from orchestrator.core.model import Report

Facts = Mapping[str, object]
"""What a line is about, for machines; ``type`` says what happened: one of those of
docs/logs.md, and ``message`` where it is missing."""

Level = Literal["debug", "info", "warning", "error"]
"""How much a message matters. ``debug`` is for one who wants to see every step."""


@dataclass(frozen=True, slots=True)
class DebtKnown:
    """The debt of one series of one job is computed, as the run begins."""

    debt: Debt


@dataclass(frozen=True, slots=True)
class ReportChanged:
    """A report as it stands now."""

    report: Report
    # what changed it; None: it was found open, or its intent has just been written
    event: Event | None


@dataclass(frozen=True, slots=True)
class BytesReceived:
    """More bytes of a report's archive have come; many times for each download."""

    report: Report
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence for people."""

    level: Level
    text: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class RequestMade:
    """A request to the API has its answer, or none."""

    call: str  # method and route, without ids
    seconds: float  # it took; a download its whole transfer
    error: str = ""  # the kind of the error that it ended with; empty if there was none
    status: int | None = None  # the HTTP status of that error; None without one


RunEvent = DebtKnown | ReportChanged | BytesReceived | RequestMade | Message

Subscriber = Callable[[RunEvent], None]
"""Takes an event; is called in the event loop, so it must not block. It ignores what it need not
know: events may be added to the union."""


class RunEvents:
    """Passes the events of one run on to its subscribers, in the order of their subscription.

    Attributes:
        failure: the first error of a subscriber that may fail; the run goes on all the same.
    """

    def __init__(self, *subscribers: Subscriber) -> None:
        self.failure: BaseException | None = None
        self._essential: list[Subscriber] = []
        self._subscribers = subscribers

    @contextmanager
    def subscribed(self, subscriber: Subscriber) -> Iterator[None]:
        """Meanwhile tells `subscriber` of every event, before others. Its errors end the run."""
        self._essential.append(subscriber)
        try:
            yield
        finally:
            self._essential.remove(subscriber)

    def notify(self, event: RunEvent) -> None:
        """Tells every subscriber of an event."""
        for subscriber in self._essential:
            subscriber(event)
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except BaseException as error:  # noqa: BLE001 - a display must not end a run, nor `exit`
                self.failure = self.failure or error

    def message(self, level: Level, text: str, **facts: object) -> None:
        """Tells every subscriber of a `Message`."""
        self.notify(Message(level, text, facts))
