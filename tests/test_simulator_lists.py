"""The simulator's lists: what they find, what faults hide from them; and the limit on open ones."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.simulator import ApiKey, Fault, Faults
from orchestrator.simulator.report_index import OPEN, STATUSES, ReportIndex
from tests.kit.asking import ALL, Asker, asking

if TYPE_CHECKING:
    from orchestrator.simulator.reports import Report


def poll_list(do: str, **options: Any) -> Faults:
    return Faults((Fault.of("list", do, **options),))


async def words(ask: Asker, **query: str) -> list[str]:
    """The status words of the list, oldest report first."""
    return [one["request_status"] for one in (await ask.listed(**query)).json["reports"]]


# --- the register ---------------------------------------------------------------------------------


@dataclass(eq=False)
class Entry:
    """As much of a report as the register looks at."""

    number: int
    created: float
    key: str
    account_id: str
    is_open: bool

    def fault(self, _kind: object) -> None:
        """It has none."""

    @property
    def request_id(self) -> str:
        return f"r-{self.number}"

    @property
    def file_id(self) -> str:
        return f"f-{self.number}"

    @property
    def request(self) -> Any:
        return SimpleNamespace(account_id=self.account_id)


entries = st.lists(
    st.tuples(st.floats(0, 9), st.sampled_from("kl"), st.sampled_from("kab"), st.booleans()),
    max_size=12,
)


@given(
    entries, st.floats(0, 9), st.floats(0, 9), st.sampled_from("kab"), st.sampled_from(["", "k"])
)
def test_the_register_finds_what_a_walk_over_all_reports_finds(
    drawn: list[tuple[float, str, str, bool]], first: float, last: float, account: str, key: str
) -> None:
    """Also where the clock was put back, so that the newest is not the last."""
    register = ReportIndex()
    made = [Entry(number, *fields) for number, fields in enumerate(drawn)]
    for one in made:
        register.add(one)  # type: ignore[arg-type] # it has what is looked at
    for one in made:
        if not one.is_open:
            register.ended(one)  # type: ignore[arg-type] # as above

    def walked(*, only_open: bool) -> list[int]:
        return [
            one.number
            for one in made
            if first <= int(one.created) <= last
            and (one.account_id == account or one.key == key)
            and (one.is_open or not only_open)
        ]

    def found(statuses: Any) -> list[int]:
        reports: list[Report] = register.listed(
            first, last, account_id=account, api_key=key, statuses=statuses
        )
        return [one.number for one in reports]

    assert found(STATUSES) == walked(only_open=False)
    assert found(OPEN) == walked(only_open=True)
    assert register.count_open("k") == sum(one.is_open and one.key == "k" for one in made)


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("PENDING", ["PENDING"]),
        ("PENDING,PROCESSING", ["PROCESSING", "PENDING"]),
        ("SUCCESS", ["SUCCESS"]),
        (ALL, ["SUCCESS", "PROCESSING", "PENDING"]),
    ],
)
async def test_a_list_shows_the_statuses_asked_for(status: str, shown: list[str]) -> None:
    async with asking() as ask:
        await ask.created()
        ask.later(hours=1)
        await ask.created()
        ask.later(seconds=5)
        await ask.created()
        assert await words(ask, status=status) == shown


@pytest.mark.anyio
async def test_a_word_that_no_list_can_be_asked_for_is_in_every_list() -> None:
    faults = Faults((Fault.of("report", "outcome", status="ARCHIVED"),))
    async with asking(faults=faults) as ask:
        await ask.finished()
        assert await words(ask, status="PENDING") == ["ARCHIVED"]
        assert await words(ask, status="SUCCESS") == ["ARCHIVED"]


@pytest.mark.anyio
async def test_a_late_list_shows_a_report_only_after_a_while() -> None:
    async with asking(faults=poll_list("late", seconds=60)) as ask:
        await ask.created()
        ask.later(seconds=59)
        assert await words(ask) == []
        ask.later(seconds=1)
        assert await words(ask) == ["SUCCESS"]


@pytest.mark.anyio
async def test_a_stale_list_shows_reports_as_they_were() -> None:
    async with asking(faults=poll_list("stale", seconds=600)) as ask:
        request_id = await ask.created()
        ask.later(minutes=5)
        truth = (await ask.status(request_id)).json
        assert truth["request_status"] == "SUCCESS"
        (shown,) = (await ask.listed()).json["reports"]
        assert (shown["request_status"], shown["items_count"]) == ("PENDING", 0)
        assert "download_report" not in shown["_links"]
        assert await words(ask, status="SUCCESS") == []
        assert await words(ask, status="PENDING,PROCESSING") == ["PENDING"]
        ask.later(seconds=305)
        assert await words(ask) == ["PROCESSING"]
        ask.later(minutes=5)
        (shown,) = (await ask.listed()).json["reports"]
        assert shown == truth


@pytest.mark.anyio
async def test_a_list_hides_the_same_share_of_the_reports_each_time() -> None:
    async with asking(faults=poll_list("hides", share=0.5)) as ask:
        made = [await ask.created() for _ in range(40)]
        first, second = [
            [one["request_id"] for one in (await ask.listed()).json["reports"]] for _ in range(2)
        ]
        assert first == second
        assert 10 < len(first) < 30
        assert set(first) < set(made)
        assert (await ask.status(min(set(made) - set(first)))).status == 200


@pytest.mark.anyio
async def test_a_list_can_be_refused_for_one_account_only() -> None:
    async with asking(faults=poll_list("refuse", status=403, account="ef567890")) as ask:
        assert (await ask.listed("ef567890")).status == 403
        assert (await ask.listed("abcd1234")).status == 200


# --- a limit on open reports ----------------------------------------------------------------------


@pytest.mark.anyio
async def test_beyond_the_limit_on_open_reports_a_create_makes_nothing_and_all_else_passes() -> (
    None
):
    async with asking(max_open=2) as ask:
        first, second = await ask.created(), await ask.created()
        refused = await ask.create()
        assert refused.status == 429
        assert refused.json["type"].endswith("#rate-limit")
        assert "Retry-After" not in refused.headers
        assert ask.world.turned_away == 1
        assert (await ask.listed()).json["items_count"] == 2
        assert (await ask.status(first)).status == 200
        assert (await ask.ask("DELETE", f"/v2/reports/{second}")).status == 200
        await ask.created()
        assert (await ask.create()).status == 429
        ask.later(hours=1)
        await ask.created()
        assert len(ask.world.all_reports()) == 4


@pytest.mark.anyio
async def test_the_limit_on_open_reports_is_each_key_s_own_and_its_type_a_setting() -> None:
    keys = (ApiKey("abcd1234", "one", ("ef567890",)), ApiKey("beta0001", "two"))
    async with asking(keys=keys, max_open=1, max_open_type="too-many-reports") as ask:
        await ask.created(account_id="ef567890")
        refused = await ask.create()
        assert refused.status == 429
        assert refused.json["type"].endswith("/reports#too-many-reports")
        ask.headers = {"Authorization": aiohttp.encode_basic_auth("beta0001", "two")}
        assert (await ask.create(account_id="beta0001")).status == 200
