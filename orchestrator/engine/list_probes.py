"""Free reports that show whether the API's lists work: they cost nothing and are not collected.

A list that shows nothing of ours that is newer than an unknown create proves nothing about it.
Where nothing else is asked for, a report of product ``REPORTS-USAGE`` is: it is free of charge.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio

from orchestrator.core.coverage import CREATE_TAKES, UnknownCreate
from orchestrator.core.intervals import Window
from orchestrator.core.model import Report, Series
from orchestrator.core.ports import Priority
from orchestrator.engine.key_session import KeySession
from orchestrator.errors import NotFound, Rejected, Unauthorized

PRODUCT: Final = "REPORTS-USAGE"

AT_MOST: Final = 10
"""Maximum number in one run, of each key and account: each when the one before is too old."""

_UNANSWERED: Final = 3  # Creates of them in a row that may fail in one run, before no more are sent

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(slots=True)
class _Probes:
    """Those of one key and account."""

    # by request id, when they were asked for, by the loop's clock
    made: dict[str, float] = field(default_factory=dict)
    failed: int = 0  # how many creates came to nothing that is known
    refused: str = ""  # why there can be none, in the API's words
    turn: anyio.Lock = field(default_factory=anyio.Lock)


class Probes:
    """The free reports of one run."""

    def __init__(self) -> None:
        self._of: defaultdict[tuple[str, str], _Probes] = defaultdict(_Probes)

    def is_later(self, request_id: str, create: UnknownCreate, session: KeySession) -> bool | None:
        """Whether a listed report is one of these, made after an unknown create had ended.

        Returns:
            None: it is none of these.
        """
        made = self._find(create.report, session).made.get(request_id)
        return None if made is None else _age_at(made, create) >= CREATE_TAKES

    def refusal(self, report: Report, session: KeySession) -> str:
        """Why there can be none for a report, in the API's words; empty while there may be."""
        return self._find(report, session).refused

    async def make(self, create: UnknownCreate, session: KeySession) -> None:
        """Asks for one, unless there is one that is later than the create already.

        Raises:
            ApiError: it is not known whether it was made; it may be asked for again.
        """
        report = create.report
        probes = self._find(report, session)
        async with probes.turn:
            if any(_age_at(made, create) >= CREATE_TAKES for made in probes.made.values()):
                return
            if probes.refused or len(probes.made) >= AT_MOST or probes.failed >= _UNANSWERED:
                return
            probes.failed += 1
            series = Series.of(report.series.account_id, PRODUCT)
            try:
                async with session.admitted(Priority.SUBMIT):
                    made_at = anyio.current_time()
                    remote = await session.api.create(series, _window(create.now), None)
                    session.breaker.record(None)
            except (Unauthorized, Rejected, NotFound) as error:
                probes.refused = str(error)
                return
            probes.failed = 0
            probes.made[remote.request_id] = made_at

    def _find(self, report: Report, session: KeySession) -> _Probes:
        return self._of[session.api_key, report.series.account_id]


def _age_at(moment: float, create: UnknownCreate) -> timedelta:
    """How old an intent was at a moment of the loop's clock, which has passed."""
    since = timedelta(seconds=anyio.current_time() - moment)
    return create.age - since * create.rate


def _window(now: datetime) -> Window:
    """A day that no job asks for: it begins a second after midnight."""
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    return Window(midnight - _DAY + _SECOND, midnight + _SECOND)
