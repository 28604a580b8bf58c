"""The simulator's HTTP server: authentication, rate limit, faults, routes, restarts."""

from __future__ import annotations

import base64
import hmac
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Final

import anyio
from aiohttp import web

from orchestrator.simulator import problems
from orchestrator.simulator.callbacks import Callbacks
from orchestrator.simulator.calls import WRONG_DATE, Call, FaultOfCall, Work, problem_answer
from orchestrator.simulator.clock import WorldClock
from orchestrator.simulator.debugging import Debugging
from orchestrator.simulator.endpoints import Endpoints
from orchestrator.simulator.faults.calls import FaultOfServer
from orchestrator.simulator.faults.model import FaultOfReport
from orchestrator.simulator.settings import ApiKey, Settings
from orchestrator.simulator.synchronous import Synchronous
from orchestrator.simulator.world import World

# Longer than any client keeps a connection, so that the server never closes it first.
_KEEP_ALIVE_SECONDS: Final = 3600.0
_HOST: Final = "127.0.0.1"
_SHUTDOWN_SECONDS: Final = 1.0  # How long the end of the server waits for calls in progress.
_REMEMBERED_CALLS: Final = 100_000  # The maximum length of `Simulator.call_times`.


class TokenBucket:
    """Limits the calls of one API key; a pause saves up the calls of one second at most.

    Args:
        rate: calls a second of the loop's time; None is no limit.
        now: the loop's time, in seconds.
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate or 0.0)
        self._tokens = self._capacity
        self._filled = now

    def take(self, now: float) -> bool:
        """Whether a call may pass now; if so, it is counted."""
        if self._rate is None:
            return True
        self._tokens = min(self._capacity, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True


class Simulator:
    """A running simulator. Get one from `serve`."""

    def __init__(self, settings: Settings, clock: WorldClock) -> None:
        self.settings = settings
        self.clock = clock
        # the state behind the server; use it on the loop's thread only
        self.world = World(settings, clock)
        first = settings.keys[0]
        self.api_key, self.api_secret = first.api_key, first.api_secret
        self.accounts = first.accounts  # of the first key, its own first
        # how many calls came, by place; throttled and unauthorised ones count too
        self.calls: Counter[str] = Counter()
        self.throttled = 0  # how many of them got 429 by the rate limit (not by a fault)
        # (loop time, API key, place) of the latest calls that were let in or throttled
        self.call_times: deque[tuple[float, str, str]] = deque(maxlen=_REMEMBERED_CALLS)
        # paths that were asked for with credentials under another host name
        self.leaks: list[str] = []
        self.restarts = 0  # how often it was restarted
        self._closing = anyio.Event()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._port = 0
        self._endpoints = Endpoints(self.world)
        self._keys = {_basic(key): key for key in settings.keys}
        now = anyio.current_time()
        self._buckets = {key: TokenBucket(settings.rate, now) for key in settings.keys}
        self._sync_buckets = {key: TokenBucket(settings.sync_rate, now) for key in settings.keys}
        self._date = (0, "")

    @property
    def base_url(self) -> str:
        """Where it listens, without a slash at the end."""
        return self._endpoints.base_url

    def revoke(self, key: ApiKey) -> None:
        """From now on the secret of this key is refused. Another one of the same key is not."""
        del self._keys[_basic(key)]

    # --- one call --------------------------------------------------------------------------------

    def _handler(
        self, place: str, work: Work
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answered(call: Call) -> web.StreamResponse:
            try:
                return await work(call)
            except problems.Refused as refused:
                return problem_answer(refused)

        async def handle(request: web.Request) -> web.StreamResponse:
            self.calls[place] += 1
            if f"http://{request.host}" != self.base_url:
                self.leaks.append(request.path)
            try:
                key = self._authenticated(request)
                self._throttle(key, place)
            except problems.Refused as refused:
                return problem_answer(refused)
            call = self._call(place, request, key, answered)
            if place in self.world.injector.places:
                return await self._with_faults(call)
            return await answered(call)

        return handle

    def _call(self, place: str, request: web.Request, key: ApiKey, work: Work) -> Call:
        return Call(
            place, request, key, self.clock, work, self._closing,
            self._endpoints.create_as_stranger, self._endpoints.ids_created_by,
        )  # fmt: skip

    async def _file_on_other_host(self, request: web.Request) -> web.StreamResponse:
        """The file as another host serves it: credentials do not belong there."""
        if "Authorization" in request.headers:
            self.leaks.append(request.path)
            return web.Response(status=400, text="Authorization is not wanted here")
        key = self.settings.keys[0]
        call = self._call("download", request, key, self._endpoints.download_on_other_host)
        try:
            return await call.proceed()
        except problems.Refused:
            return web.Response(status=404)

    def _authenticated(self, request: web.Request) -> ApiKey:
        header = request.headers.get("Authorization", "")
        for expected, key in self._keys.items():
            if hmac.compare_digest(header.encode(), expected.encode()):
                return key
        raise problems.unauthorized()

    def _throttle(self, key: ApiKey, place: str) -> None:
        buckets = self._sync_buckets if place == "records" else self._buckets
        now = anyio.current_time()
        self.call_times.append((now, key.api_key, place))
        if not buckets[key].take(now):
            self.throttled += 1
            raise problems.too_fast()

    async def _with_faults(self, call: Call) -> web.StreamResponse:
        account, product = await self._about(call)
        fault = self.world.injector.strike(call.place, account, product, self._endpoints.elapsed)
        if isinstance(fault, FaultOfCall):
            return await fault.answer(call)
        if isinstance(fault, FaultOfReport):
            call.file_faults = (fault,)
        return await call.proceed()

    async def _about(self, call: Call) -> tuple[str, str]:
        """The account and product that a call is about; empty where it does not say."""
        report = self.world.find(call.request.match_info.get("id", ""))
        if report is not None:
            return report.request.account_id, report.request.product
        if call.place == "create":
            try:
                body = json.loads(await call.request.read())
                return str(body.get("account_id", "")), str(body.get("product", ""))
            except (ValueError, AttributeError, RecursionError):
                return "", ""
        return call.request.query.get("account_id", ""), call.request.query.get("product", "")

    # --- the server ------------------------------------------------------------------------------

    def _application(self) -> web.Application:
        application = web.Application()
        endpoints = self._endpoints
        debugging = Debugging(self.world, endpoints)
        records = Synchronous(self.world, endpoints).records
        route = application.router.add_route
        route("POST", "/v2/reports", self._handler("create", endpoints.create))
        route("GET", "/v2/reports", self._handler("list", endpoints.listed))
        route("GET", "/v2/reports/records", self._handler("records", records))
        route("GET", "/v2/reports/{id}", self._handler("status", endpoints.status))
        route("DELETE", "/v2/reports/{id}", self._handler("cancel", endpoints.cancel))
        route("GET", "/v3/media/{id}", self._handler("download", endpoints.download))
        route("GET", "/_sim/bill", debugging.bill)
        route("GET", "/_sim/truth", debugging.truth)
        route("GET", "/_sim/file/{id}", self._file_on_other_host)
        route("*", "/{rest:.*}", _nothing_there)
        application.on_response_prepare.append(self._put_date)
        return application

    async def _put_date(self, _request: web.Request, response: web.StreamResponse) -> None:
        wrong = response.headers.pop(WRONG_DATE, None)
        if wrong is not None:
            response.headers["Date"] = wrong
            return
        second = int(self.clock.epoch())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        response.headers["Date"] = self._date[1]

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[Simulator]:
        """Listens for as long as the context lasts. Use `serve`."""
        self.clock.begin()
        callbacks = Callbacks(self.world, self._endpoints.describe)
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=False,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        self._runner = runner
        try:
            await runner.setup()
            self._port = port
            await self._listen()
            self._port = runner.addresses[0][1]
            self._endpoints.base_url = f"http://{_HOST}:{self._port}"
            failure: BaseException | None = None
            async with anyio.create_task_group() as background:
                background.start_soon(callbacks.run)
                for fault in self.settings.faults.faults:
                    if isinstance(fault, FaultOfServer):
                        background.start_soon(self._strike, fault)
                try:
                    yield self
                except (anyio.get_cancelled_exc_class(), GeneratorExit):
                    raise
                except BaseException as raised:  # noqa: BLE001 - raised again below
                    failure = raised
                background.cancel_scope.cancel()
            if failure is not None:  # outside, so that no exception group is made of it
                raise failure
        finally:
            self._closing.set()
            with anyio.CancelScope(shield=True):
                await runner.cleanup()
            self._endpoints.media.close()

    async def _listen(self) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, _HOST, self._port, reuse_address=True)
        await self._site.start()

    async def _strike(self, fault: FaultOfServer) -> None:
        """Strikes with a fault of the whole server when it is due."""
        await anyio.sleep(fault.after or 0.0)
        await fault.strike(self)

    async def restart(self, seconds: float = 0.0) -> None:
        """Ends every connection and stops listening for a while; the world stays.

        A restart while it is down changes nothing. A call in progress is still carried out, but
        its answer is lost.

        Args:
            seconds: of the loop until it listens again, on the same port.
        """
        assert self._runner is not None
        self.restarts += 1
        site, self._site = self._site, None
        if site is None:
            return  # It is down already.
        await site.stop()
        server = self._runner.server
        for connection in server.connections if server else ():
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        try:
            await anyio.sleep(seconds)
        finally:
            with anyio.CancelScope(shield=True):
                await self._listen()


async def _nothing_there(request: web.Request) -> web.Response:
    return problem_answer(problems.no_such_call(request.method, request.path))


def _basic(key: ApiKey) -> str:
    """The Authorization header that belongs to a key."""
    return "Basic " + base64.b64encode(f"{key.api_key}:{key.api_secret}".encode()).decode()


@asynccontextmanager
async def serve(
    settings: Settings | None = None,
    *,
    clock: WorldClock | None = None,
    port: int = 0,
) -> AsyncIterator[Simulator]:
    """Runs a simulator for as long as the context lasts.

    Args:
        settings: the world; None is the default one.
        clock: the world's clock; None makes one from `Settings.now` and `Settings.speed`.
        port: 0 is any that is free.

    Raises:
        OSError: it cannot listen there.
    """
    settings = settings or Settings()
    clock = clock or WorldClock(settings.now or datetime.now(UTC), settings.speed)
    async with Simulator(settings, clock).listening(port) as simulator:
        yield simulator
