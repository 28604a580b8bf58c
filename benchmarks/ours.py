"""The program under test as a client in virtual time: what its command line builds, no more."""

from __future__ import annotations

import random
import socket
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from benchmarks.worlds import DIRECTION, END, NOW, PRODUCT
from orchestrator.api import KeyRateLimiter, VonageReports, open_session
from orchestrator.api.callback_server import receiving
from orchestrator.collect.collector import FileCollector
from orchestrator.core.events import RunEvents
from orchestrator.core.model import AbsoluteWindow, Job, JobSeries, Series, Span, Unit
from orchestrator.core.settings import (
    ApiSettings,
    CallbackSettings,
    Config,
    Credentials,
    OutputSettings,
    Secret,
)
from orchestrator.engine.context import RunContext
from orchestrator.engine.drain import Drain
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.run import run_jobs
from orchestrator.ledger.lock import run_lock
from orchestrator.ledger.sqlite import SqliteLedger, connect
from tests.kit.virtual_time import VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from benchmarks.worlds import Case
    from orchestrator.api.callback_server import CallbackServer
    from orchestrator.core.ports import Clock
    from orchestrator.simulator import Simulator


async def ours(simulator: Simulator, case: Case, folder: Path) -> None:
    """Collects every report of the case, with the settings that a user gets by default."""
    config = Config(
        path=None,
        credentials={},
        output=OutputSettings(folder / "reports"),
        state=folder / "state" / "ledger.db",
        api=ApiSettings(base_url=simulator.base_url, requests_per_second=case.rate or 10_000.0),
    )
    clock = VirtualClock(NOW)
    draw = random.Random(case.seed).random
    async with (
        run_lock(config.state, timedelta()),
        open_session() as session,
        _receiver(case) as callbacks,
    ):
        connection = connect(config.state)
        try:
            world = RunContext(
                ledger=SqliteLedger(connection, config.state, clock),
                collector=FileCollector(config.output),
                sessions={
                    key.api_key: _desk(session, config, clock, key.api_key, key.api_secret)
                    for key in simulator.settings.keys
                },
                events=RunEvents(),
                clock=clock,
                config=config,
                drain=Drain(),
                jitter=draw,
                callbacks=callbacks,
            )
            await run_jobs(world, _jobs(case), clock.now())
        finally:
            connection.close()


@asynccontextmanager
async def _receiver(case: Case) -> AsyncIterator[CallbackServer | None]:
    """Our own receiver of callbacks, where the case has them."""
    if not case.callbacks:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as found:
        address = f"127.0.0.1:{found.getsockname()[1]}"
    settings = CallbackSettings(listen=address, public_url=f"http://{address}/called")
    async with receiving(settings, RunEvents()) as receiver:
        assert receiver is not None, f"{address} was free a moment ago"
        yield receiver


def _desk(
    session: aiohttp.ClientSession, config: Config, clock: Clock, api_key: str, secret: str
) -> KeySession:
    credentials = Credentials(api_key, api_key, Secret(secret))
    return KeySession(
        VonageReports(session, config.api.base_url, credentials, config.api.timeout, clock),
        KeyRateLimiter(config.api.requests_per_second),
        config.retry,
        jitter=random.Random(api_key).random,
        events=RunEvents(),
        patience=config.poll.timeout,
    )


def _jobs(case: Case) -> tuple[Job, ...]:
    """One job a key, of hourly chunks."""
    return tuple(
        Job(
            name=account,
            path=Path(f"{account}.yaml"),
            zone=ZoneInfo("UTC"),
            series=(JobSeries(Series.of(account, PRODUCT, DIRECTION), account),),
            windows=(AbsoluteWindow(case.start, END),),
            chunk=Span(1, Unit.HOURS),
        )
        for account in case.accounts
    )
