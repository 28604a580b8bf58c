"""What a list proves of a moment: a table of lists, and whether a report may be missing in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core import coverage
from orchestrator.core.coverage import Entry, Moment, Page, Relation
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import Owner
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MOMENT = coverage.moment_of(NOON, -SECOND, -SECOND)
INTENT = Report(
    id=7,
    series=Series.of("abcd1234", "SMS", "outbound"),
    window=Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
    state=State.SUBMITTING,
    api_key="abcd1234",
    job="nightly",
    intended_at=NOON,
)
LATER = Entry(Relation.LATER, NOON + 6 * MINUTE)
OURS = Entry(Relation.OURS, NOON + SECOND)
EARLIER = Entry(Relation.EARLIER, NOON - SECOND)
OLD = Entry(Relation.STRANGER, NOON - 12 * MINUTE)
STRANGER = Entry(Relation.STRANGER, NOON)


@pytest.mark.parametrize(
    ("page", "longest", "does"),
    [
        pytest.param(Page([]), 0, False, id="empty"),
        pytest.param(Page([EARLIER]), 0, False, id="nothing later"),
        pytest.param(Page([EARLIER, *[OURS] * 9]), 0, False, id="nothing later, many"),
        pytest.param(Page([LATER]), 0, True, id="few, one of them later"),
        pytest.param(Page([*[STRANGER] * 3, LATER]), 0, True, id="few, mostly of strangers"),
        pytest.param(Page([*[OURS] * 9, LATER]), 0, False, id="maybe the newest ten alone"),
        pytest.param(Page([*[OURS] * 9, LATER]), 10, False, id="as long as the longest"),
        pytest.param(Page([*[OURS] * 9, LATER]), 11, True, id="shorter than the longest"),
        pytest.param(Page([EARLIER, *[OURS] * 9, LATER]), 0, True, id="from earlier to later"),
        pytest.param(Page([LATER, *[OURS] * 9, EARLIER]), 0, True, id="newest first"),
        pytest.param(Page([OLD, *[OURS] * 9, LATER]), 0, True, id="from a stranger's to later"),
        pytest.param(Page([STRANGER, *[OURS] * 9, LATER]), 0, False, id="a stranger's just before"),
        pytest.param(Page([*[OURS] * 9, LATER, EARLIER]), 0, False, id="in no order"),
        pytest.param(Page([LATER], unread=1), 0, False, id="one that cannot be read"),
        pytest.param(Page([LATER], said=2), 0, False, id="fewer than it says"),
        pytest.param(Page([EARLIER, LATER], said=99), 0, True, id="cut, but it reaches across"),
        pytest.param(Page([LATER], said=1), 0, True, id="as many as it says"),
        pytest.param(
            Page([Entry(Relation.EARLIER), *[Entry(Relation.OURS)] * 9, Entry(Relation.LATER)]),
            0,
            False,
            id="without times nobody knows the order",
        ),
        pytest.param(
            Page([replace(EARLIER, received_at=None), *[OURS] * 9, LATER]),
            0,
            True,
            id="one without its time",
        ),
    ],
)
def test_a_list_covers_a_moment_if_it_reaches_across_or_is_whole(
    page: Page, longest: int, *, does: bool
) -> None:
    assert coverage.covers(page, MOMENT, longest) is does


FULL = Page([OURS] * 10)
PART = Page([OURS] * 9)


@pytest.mark.parametrize(
    ("tiles", "shows_later", "heeds", "does"),
    [
        pytest.param([PART, PART], True, True, True, id="all shorter than the longest"),
        pytest.param([PART, FULL], True, True, False, id="one may be cut"),
        pytest.param([], True, True, False, id="none could be had"),
        pytest.param([PART], False, True, False, id="nothing shows that lists are fresh"),
        pytest.param([PART], True, False, False, id="dates may mean something else there"),
    ],
)
def test_narrow_lists_prove_together(
    tiles: list[Page], *, shows_later: bool, heeds: bool, does: bool
) -> None:
    assert coverage.tiles_cover(tiles, 10, shows_later=shows_later, heeds=heeds) is does


@pytest.mark.parametrize(
    ("then", "now", "earliest", "latest", "is_narrow"),
    [
        pytest.param(-SECOND, -SECOND, -61, 179, True, id="steady clocks"),
        pytest.param(-SECOND, timedelta(), -61, 179, True, id="not known now"),
        pytest.param(-30 * MINUTE, -SECOND, -1860, 179, True, id="ours was set back"),
        pytest.param(timedelta(), -SECOND, -86401, 86520, False, id="nobody knew"),
    ],
)
def test_a_moment_is_as_wide_as_the_clocks_leave_it(
    then: timedelta, now: timedelta, earliest: int, latest: int, *, is_narrow: bool
) -> None:
    moment = coverage.moment_of(NOON, then, now)
    assert moment == Moment(NOON + earliest * SECOND, NOON + latest * SECOND)
    assert moment.is_narrow is is_narrow


def owner(number: int, intended: timedelta, submitted: timedelta | None) -> Owner:
    at = None if submitted is None else NOON + submitted
    return Owner(number, "abcd1234", NOON + intended, at)


@pytest.mark.parametrize(
    ("owner", "same_account", "how"),
    [
        pytest.param(None, True, Relation.STRANGER, id="nobody's"),
        pytest.param(owner(3, -MINUTE, -SECOND), True, Relation.EARLIER, id="answered before"),
        pytest.param(owner(3, -MINUTE, SECOND), True, Relation.OURS, id="answered meanwhile"),
        pytest.param(owner(3, -MINUTE, None), True, Relation.OURS, id="restored"),
        pytest.param(owner(8, 3 * MINUTE, 4 * MINUTE), True, Relation.LATER, id="asked for later"),
        pytest.param(owner(8, MINUTE, 4 * MINUTE), True, Relation.OURS, id="a little later"),
        pytest.param(owner(8, 3 * MINUTE, 4 * MINUTE), False, Relation.OURS, id="other account"),
        pytest.param(owner(3, 3 * MINUTE, 4 * MINUTE), True, Relation.OURS, id="a clock was set"),
        pytest.param(
            replace(owner(8, 3 * MINUTE, 4 * MINUTE), api_key="beta0001"),
            True,
            Relation.OURS,
            id="another key's",
        ),
    ],
)
def test_what_came_first_goes_by_the_order_of_events(
    owner: Owner | None, how: Relation, *, same_account: bool
) -> None:
    assert coverage.relation(INTENT, owner, same_account=same_account) is how
