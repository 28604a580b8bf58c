"""The bases of the kinds of faults that strike an HTTP call or the whole server."""

from abc import abstractmethod
from typing import Protocol

from aiohttp import web

from orchestrator.simulator.calls import Call
from orchestrator.simulator.clock import WorldClock
from orchestrator.simulator.faults.model import CALLS, Fault


class FaultOfCall(Fault, places=CALLS):
    """Strikes one HTTP call; by default at any endpoint."""

    @abstractmethod
    async def answer(self, call: Call) -> web.StreamResponse:
        """Answers the call; `Call.proceed` does what the endpoint really does."""


class Server(Protocol):
    """What a fault of the whole server may do."""

    @property
    def clock(self) -> WorldClock:
        """The world's clock."""
        ...

    async def restart(self, seconds: float) -> None:
        """Ends every connection, and listens again after this many seconds of the loop."""
        ...


class FaultOfServer(Fault, places=("server",)):
    """Strikes the whole server once, at the fault's `after`."""

    @abstractmethod
    async def strike(self, server: Server) -> None:
        """Does it."""
