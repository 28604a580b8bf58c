"""Asks for the lists in which the report of an unknown create may stand, page by page, by date."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from orchestrator.core import coverage, matching, vonage
from orchestrator.core.coverage import Entry, Page, Relation, UnknownCreate
from orchestrator.core.model import RemoteReport, Report, ReportList
from orchestrator.core.ports import Ledger, Priority
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.list_probes import Probes
from orchestrator.errors import ApiError, TooLarge

_MOST_TILES: Final = 64
"""Maximum number of pages of one account in one search; what they do not reach proves nothing."""

_SHORTEST_TILE: Final = timedelta(seconds=1)
_LATELY: Final = timedelta(minutes=15)
_BEFORE: Final = timedelta(seconds=50)
_AFTER: Final = timedelta(seconds=110)
"""How long before or after an intent the id of another report of ours became known for that to be
of the same moment."""

_ALL_SHOWN_FOR: Final = timedelta(days=3)
"""Of reports that are older the API may have forgotten some."""


@dataclass(slots=True)
class Shown:
    """What the lists show in one search."""

    remotes: dict[str, RemoteReport] = field(default_factory=dict)
    covers: bool = False  # what was made at the moment of the create would be among them
    shows_later: bool = False  # they show a later report of ours: they work, and are fresh


@dataclass(slots=True)
class ReportLists:
    """Asks the API for lists around the moment of a create."""

    ledger: Ledger
    probes: Probes
    # entries of the longest list that was answered in this run, by key and account
    longest: Counter[tuple[str, str]] = field(default_factory=Counter)
    # keys and accounts whose whole list has been too large to be read
    too_large: set[tuple[str, str]] = field(default_factory=set)

    async def look(self, create: UnknownCreate, session: KeySession) -> Shown:
        """Searches the lists of the account, and of the key's own account, once.

        Narrow ranges come first: they are answered even where lists are cut or very long.

        Raises:
            ApiError: no list can be had.
        """
        report = create.report
        shown = Shown()
        error: ApiError | None = None
        answered = False
        for account in dict.fromkeys((report.series.account_id, report.api_key)):
            asking = _Asking(self, create, session, account, shown)
            try:
                await asking.go()
                answered = True
            except ApiError as refused:
                error = error or refused
                answered = answered or asking.answered
            if shown.covers or await self.likely(report, shown):
                break
        if error is not None and not answered:
            raise error
        return shown

    async def likely(self, report: Report, shown: Shown) -> Sequence[RemoteReport]:
        """Those that the create may have made."""
        return matching.candidates(
            report, tuple(shown.remotes.values()), await self.owners_of(shown)
        )

    async def owners_of(self, shown: Shown) -> dict[str, int]:
        """Those that are ours, and our numbers of them."""
        owners = await self.ledger.owners(tuple(shown.remotes))
        return {request_id: owner.report_id for request_id, owner in owners.items()}


@dataclass(slots=True)
class _Asking:
    """One search of one account's list."""

    lists: ReportLists
    create: UnknownCreate
    session: KeySession
    account: str
    shown: Shown
    answered: bool = False
    heeds: bool = False
    tiles_left: int = _MOST_TILES

    @property
    def _key(self) -> tuple[str, str]:
        return self.session.api_key, self.account

    async def go(self) -> None:
        """Asks for pages until the report may be among them, or until they tell no more.

        Raises:
            ApiError: what the first page that cannot be had met.
        """
        tiles: list[tuple[datetime, datetime, Page]] = []
        if self.create.moment.is_narrow:
            start = self.create.moment.earliest.replace(microsecond=0)
            end = self.create.moment.latest.replace(microsecond=0) + _SHORTEST_TILE
            try:
                tiles.append((start, end, await self._ask(start, end)))
            except TooLarge:
                tiles = await self._split(start, end)
            if await self.lists.likely(self.create.report, self.shown):
                return
        everything = await self._ask_all()
        if everything is not None and not await self._lacks_ours(around=False):
            longest = self.lists.longest[self._key]
            self.shown.covers = coverage.covers(everything, self.create.moment, longest)
            if self.shown.covers or everything.reaches_across(self.create.moment):
                return
        if not tiles:
            return
        whole = await self._cut_until_whole(tiles)
        if await self.lists.likely(self.create.report, self.shown):
            return
        if not self.heeds or everything is None:
            now = self.session.api.server_now()
            await self._ask(max(self.create.moment.latest, now - _LATELY) if now else None, None)
        if not await self._lacks_ours(around=True):
            self.shown.covers = coverage.tiles_cover(
                whole,
                self.lists.longest[self._key],
                shows_later=self.shown.shows_later,
                heeds=self.heeds,
            )

    async def _lacks_ours(self, *, around: bool) -> bool:
        """Whether the lists lack a report of ours that they should show: they keep some back.

        Args:
            around: of those alone that were made about the moment of the create.
        """
        create = self.create
        if around:
            since = create.report.intended_at - _BEFORE / create.rate
            until = create.report.intended_at + _AFTER / create.rate
        else:
            since = create.now - _ALL_SHOWN_FOR / create.rate
            until = create.now - coverage.CREATE_TAKES / create.rate
        report = create.report
        ours = await self.lists.ledger.read(
            lambda reader: reader.recent(report.series.account_id, report.api_key, since, until)
        )
        return not self.shown.remotes.keys() >= ours

    async def _ask(
        self, start: datetime | None, end: datetime | None, *, dated: bool = True
    ) -> Page:
        request = partial(self.session.api.list, self.account, vonage.ALL_STATUSES, start, end)
        listed = await self.session.ask(request, Priority.SUBMIT)
        self.answered = True
        self.shown.remotes.update((remote.request_id, remote) for remote in listed)
        page = await self._page(listed)
        self.shown.shows_later |= page.shows_later
        self.heeds |= dated and page.shows_ours
        return page

    async def _page(self, listed: ReportList) -> Page:
        """How the entries of a list stand to the create."""
        owners = await self.lists.ledger.owners([remote.request_id for remote in listed])
        entries = []
        for remote in listed:
            request_id = remote.request_id
            is_later = self.lists.probes.is_later(request_id, self.create, self.session)
            if is_later is None:
                report = self.create.report
                same = matching.is_of_account(report, remote, self.account)
                how = coverage.relation(report, owners.get(request_id), same_account=same)
            else:
                how = Relation.LATER if is_later else Relation.OURS
            entries.append(Entry(how, remote.received_at))
        page = Page(entries, listed.said, listed.unread)
        self.lists.longest[self._key] = max(self.lists.longest[self._key], page.size)
        return page

    async def _ask_all(self) -> Page | None:
        """The list of everything that the API may still know; None: it is too large."""
        if self._key in self.lists.too_large:
            return None
        try:
            return await self._ask(
                self.create.moment.earliest - vonage.LIST_REACH, None, dated=False
            )
        except TooLarge:
            self.lists.too_large.add(self._key)
            return None

    async def _split(self, start: datetime, end: datetime) -> list[tuple[datetime, datetime, Page]]:
        """A range in two halves, or smaller where these are too large; empty: it cannot be had.

        Both ends are whole seconds, and belong to it: whether they do at the API is not known.
        """
        if end - start <= _SHORTEST_TILE or self.tiles_left <= 0:
            return []
        middle = start + timedelta(seconds=(end - start) // _SHORTEST_TILE // 2)
        tiles = []
        for first, last in ((start, middle), (middle, end)):
            self.tiles_left -= 1
            try:
                tiles.append((first, last, await self._ask(first, last)))
            except TooLarge:
                smaller = await self._split(first, last)
                if not smaller:
                    return []
                tiles += smaller
        return tiles

    async def _cut_until_whole(self, tiles: list[tuple[datetime, datetime, Page]]) -> list[Page]:
        """The same range in so small pages that nothing is missing in them, as far as that goes."""
        done: list[Page] = []
        todo = tiles[::-1]
        while todo:
            if await self.lists.likely(self.create.report, self.shown):
                break
            start, end, page = todo.pop()
            if page.is_whole(self.lists.longest[self._key]):
                done.append(page)
                continue
            smaller = await self._split(start, end)
            if not smaller:
                done.append(page)
                continue
            todo += smaller[::-1]
        return done
