"""The simulator with a layer in front that rewrites calls and answers; its bill stays the truth."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from orchestrator.simulator import Settings, Simulator, WorldClock
from orchestrator.simulator.calls import json_answer, problem_answer
from orchestrator.simulator.problems import Refused, no_file, no_report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.simulator.calls import Call
    from orchestrator.simulator.reports import Report

Go = Callable[[], Awaitable[web.StreamResponse]]
"""Asks whoever stands behind: the next deviation, and in the end the simulator."""

Act = Callable[..., Awaitable[web.StreamResponse]]

CALLS: Final = ("create", "status", "list", "cancel", "download")


@dataclass(frozen=True)
class Kind:
    """One way in which the API may deviate.

    Attributes:
        name: of the function that does it.
        words: for people: the first line of its docstring.
        places: the endpoints whose calls it is asked about.
        act: answers a call; its second argument asks those behind it.
        options: for each option the values that are drawn from.
        weight: how often it is drawn.
        loses_creates: whether a create may be left without a readable answer.
        blinds: whether a list may fail to prove what a lost create became.
        unkind: why not everything can be collected under it without a person; empty: it can.
        shares: of the reports, or of the calls, that it may be drawn for.
    """

    name: str
    words: str
    places: tuple[str, ...]
    act: Act
    options: Mapping[str, Sequence[Any]]
    weight: int = 1
    loses_creates: bool = False
    blinds: bool = False
    unkind: str = ""
    shares: Sequence[float] = (1.0,)


KINDS: Final[dict[str, Kind]] = {}
"""Every kind by its name; `deviations` fills it."""


@dataclass(frozen=True)
class Deviation:
    """A kind with its options: what a seed draws.

    Attributes:
        kind: its name in `KINDS`.
        options: as its function takes them.
        share: of the reports (where a call is about one) or of the calls.
        until: seconds of the loop after which it is over; None: never.
    """

    kind: str
    options: tuple[tuple[str, Any], ...] = ()
    share: float = 1.0
    until: float | None = None

    @property
    def of(self) -> Kind:
        """Its kind."""
        return KINDS[self.kind]

    def __str__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options)
        share = "" if self.share >= 1 else f", for {self.share:.0%}"
        until = "" if self.until is None else f", until {self.until:.0f} s"
        return f"{self.kind}{options}{share}{until}: {self.of.words}"


@dataclass
class ObservedSpan:
    """A call as a deviation sees it.

    Attributes:
        front: the server.
        place: the endpoint.
        request: what came.
        number: counts the calls of this endpoint from 1.
        about: the report that it is about; None where there is none, or none is known.
        memory: what this deviation remembers of this report (or of its endpoint).
    """

    front: Front
    place: str
    request: web.Request
    number: int
    about: Report | None
    memory: Counter[str] = field(default_factory=Counter)

    @property
    def now(self) -> float:
        """Seconds since 1970, by the API's clock."""
        return self.front.clock.epoch()

    @property
    def age(self) -> float:
        """Seconds since the report was asked for."""
        assert self.about is not None
        return self.now - self.about.created

    @property
    def ended(self) -> float:
        """Seconds since the report was finished; negative while it is not."""
        assert self.about is not None
        return -1.0 if self.about.ended is None else self.now - self.about.ended

    def count(self, name: str = "calls") -> int:
        """Counts up; the new count."""
        self.memory[name] += 1
        return self.memory[name]

    def not_found(self) -> web.Response:
        """404 as the API words it."""
        if self.place == "download":
            return problem_answer(no_file())
        return problem_answer(no_report(self.request.match_info.get("id", "")))


class Front(Simulator):
    """A simulator whose answers pass through deviations.

    Attributes:
        deviations: first to last, from the client's side.
        dead: the client is no more; what it still sends does not arrive.
        struck: how often each kind changed something.
        creates: loop times of the creates that came.
        tokens: which address of a report's file is the living one, by the report's number.
        refused_calls: counts the calls that might be refused.
        answered: the ids that answers to creates have told.
        exposed: paths to which credentials came though they lie on a host of another name.
        mishaps: errors of the deviations themselves.
        vanished: since when the API has denied a report in every way, by the report's number.
    """

    def __init__(
        self, settings: Settings, clock: WorldClock, deviations: Sequence[Deviation], seed: int
    ) -> None:
        super().__init__(settings, clock)
        self.deviations = tuple(deviations)
        self.dead = False
        self.struck: Counter[str] = Counter()
        self.creates: list[float] = []
        self.tokens: Counter[int] = Counter()
        self.refused_calls = 0
        self.answered: list[str] = []
        self.exposed: list[str] = []
        self.mishaps: list[Exception] = []
        self.vanished: dict[int, float] = {}
        self._seed = seed
        self._memory: dict[tuple[int, object], Counter[str]] = defaultdict(Counter)

    @property
    def elapsed(self) -> float:
        """Seconds of the loop since it began."""
        return self._endpoints.elapsed

    def _handler(
        self, place: str, work: Callable[[Call], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        inner = super()._handler(place, work)

        async def handle(request: web.Request) -> web.StreamResponse:
            if self.dead:
                return _dropped(request)
            if f"http://{request.host}" != self.base_url and "Authorization" in request.headers:
                self.exposed.append(request.path)
            if place == "create":
                self.creates.append(self.elapsed)
            number = self.calls[f"front {place}"] = self.calls[f"front {place}"] + 1
            try:
                answer = await self._through(0, place, number, request, inner)
            except Exception as error:
                self.mishaps.append(error)
                raise
            if place == "create" and is_json(answer):
                self.answered.append(str(content_of(answer).get("request_id")))
            return answer

        return handle

    async def _through(
        self,
        position: int,
        place: str,
        number: int,
        request: web.Request,
        inner: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """What the deviations from `position` on answer, or the simulator behind them."""
        if position == len(self.deviations):
            answer = await inner(request)
            return _dropped(request) if self.dead else answer

        async def go() -> web.StreamResponse:
            return await self._through(position + 1, place, number, request, inner)

        one = self.deviations[position]
        if place not in one.of.places or (one.until is not None and self.elapsed >= one.until):
            return await go()
        about = self.world.find(request.match_info.get("id", ""))
        subject: object = about.number if about is not None else place
        if not self.injector(one, position, about.number if about is not None else number):
            return await go()
        call = ObservedSpan(self, place, request, number, about, self._memory[position, subject])
        return await one.of.act(call, go, **dict(one.options))

    def injector(self, one: Deviation, position: int, number: int) -> bool:
        """Whether a deviation is about this report, or this call: drawn once, by its number."""
        if one.share >= 1:
            return True
        text = f"{self._seed} {position} {one.kind} {number}"
        drawn = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        return drawn < one.share * 2**64


def _dropped(request: web.Request) -> web.Response:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


@asynccontextmanager
async def serving(front: Front) -> AsyncIterator[Front]:
    """Serves on a free port of this machine for as long as the context lasts."""
    async with front.listening(0):
        yield front


# --- for deviations -------------------------------------------------------------------------------


def kind(
    *places: str,
    weight: int = 1,
    loses_creates: bool = False,
    blinds: bool = False,
    unkind: str = "",
    shares: Sequence[float] = (1.0, 1.0, 0.5, 0.2),
    **options: Sequence[Any],
) -> Callable[[Act], Act]:
    """Declares a kind of deviation: its endpoints, and what each option may be."""

    def declare(act: Act) -> Act:
        words = (act.__doc__ or "").partition("\n")[0]
        KINDS[act.__name__] = Kind(
            act.__name__, words, places, act, options, weight, loses_creates, blinds, unkind, shares
        )
        return act

    return declare


def is_good(response: web.StreamResponse) -> bool:
    """Whether it is a 200 of the API that can still be changed."""
    return response.status == 200 and isinstance(response, web.Response) and not response.prepared


def is_json(response: web.StreamResponse) -> bool:
    """Whether it is a 200 that holds one whole object."""
    if not is_good(response):
        return False
    try:
        return isinstance(content_of(response), dict)
    except ValueError:
        return False


def content_of(response: web.StreamResponse) -> dict[str, Any]:
    """The JSON of an answer."""
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    content: dict[str, Any] = json.loads(response.body)
    return content


def edited(
    response: web.StreamResponse, edit: Callable[[dict[str, Any]], None]
) -> web.StreamResponse:
    """The answer with each report object in it changed; anything but a 200 stays as it is."""
    if not is_json(response):
        return response
    content = content_of(response)
    for one in content.get("reports", [content]):
        edit(one)
    return json_answer(content)


def listed(
    response: web.StreamResponse,
    choose: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    **head: Any,
) -> web.StreamResponse:
    """A list with other entries."""
    if not is_json(response):
        return response
    content = content_of(response)
    shown = choose(content["reports"])
    return json_answer({**content, "reports": shown, "items_count": len(shown), **head})


def echo_of(one: dict[str, Any]) -> dict[str, Any]:
    """The part of a report object that repeats the request."""
    echo: dict[str, Any] = one.get("request_params", one)
    return echo


def status_key(one: dict[str, Any]) -> str:
    """The name of the field that holds the report's status."""
    return "request_status" if "request_status" in one else "status"


def links_in(one: dict[str, Any], change: Callable[[str], str]) -> None:
    """Changes the link to the file, where there is one."""
    if "download_url" in one:
        one["download_url"] = change(one["download_url"])
    link = one.get("_links", {}).get("download_report")
    if link:
        link["href"] = change(link["href"])


def without_link(one: dict[str, Any]) -> None:
    """Takes the link to the file away."""
    one.pop("download_url", None)
    one.get("_links", {}).pop("download_report", None)


def refused(
    status: int, words: str = "Refused", headers: dict[str, str] | None = None
) -> web.Response:
    """A problem object of another status."""
    return problem_answer(Refused(status, "about:blank", words, words, headers=headers))
