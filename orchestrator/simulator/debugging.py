"""Two endpoints that the real API lacks: the bill, and the records that a request must yield."""

from dataclasses import asdict

from aiohttp import web
from anyio import to_thread

from orchestrator.simulator import problems
from orchestrator.simulator.calls import json_answer, problem_answer
from orchestrator.simulator.dates import write_moment
from orchestrator.simulator.endpoints import Endpoints
from orchestrator.simulator.truth import Truth
from orchestrator.simulator.world import World


class Debugging:
    """``/_sim/bill`` and ``/_sim/truth``, without credentials or rate limit.

    They are for a test or a demo in another process.
    """

    def __init__(self, world: World, endpoints: Endpoints) -> None:
        self._world = world
        self._endpoints = endpoints

    async def bill(self, _request: web.Request) -> web.Response:
        """Every report and query, its charge, and the records that were paid for twice."""
        self._world.advance()
        for report in self._world.all_reports():
            await self._endpoints.settled(report)
        charges = [
            {
                **asdict(charge),
                "date_start": write_moment(charge.date_start, "Z"),
                "date_end": write_moment(charge.date_end, "Z"),
            }
            for charge in self._world.bill()
        ]
        return json_answer(
            {
                "reports": charges,
                "charged": sum(charge["charged"] for charge in charges),
                "paid_twice": self._world.paid_twice(),
            }
        )

    async def truth(self, request: web.Request) -> web.Response:
        """Rows, digest and columns of a body, given as query fields, in its window."""
        try:
            wanted = Truth(self._world.settings, dict(request.query))
        except problems.Refused as refused:
            return problem_answer(refused)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        record_digest = await to_thread.run_sync(wanted.record_digest)
        return json_answer(
            {"rows": record_digest.rows, "digest": record_digest.digest, "columns": wanted.columns}
        )
