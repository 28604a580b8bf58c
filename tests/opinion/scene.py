"""The scene of a case: the folder with its files, the terminal, and what people have said."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.lifecycle import State
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.sqlite import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Report, Series
    from tests.opinion.cases import Case, ConfigFile, JobFile
    from tests.opinion.front import Front
    from tests.opinion.terminal import Stop, Terminal, Told

_PARTS: Final = ("", "-wal", "-shm")
"""Of an SQLite database."""


@dataclass(frozen=True)
class Word:
    """What a person has said about a series and a window.

    Attributes:
        at: seconds since 1970 by the API's clock.
        series: None: whatever series.
        window: None: whatever window.
    """

    at: float
    series: Series | None = None
    window: Window | None = None

    def is_about(self, series: Series, window: Window) -> bool:
        """Whether it speaks of a part of this."""
        return self.series in (None, series) and (
            self.window is None or self.window.overlaps(window)
        )


@dataclass
class Scene:
    """Where a case is played.

    Attributes:
        case: as it was drawn.
        terminal: where commands are typed.
        jobs: as their files stand now, by their first name; None: deleted.
        config: as it stands now.
        known_series: every series that was ever in a job.
        bought_anew: windows that a person has let be bought again.
        waived: windows that a person does without.
        accepted: files that a person has taken as they came.
        broken: every promise that was not kept, in words.
        story: what was done, and how it ended.
        copies: how many copies of the ledger were made.
        may_refuse: a deed that a command may rightly refuse with exit code 2 or 74.
    """

    case: Case
    terminal: Terminal
    jobs: dict[str, JobFile]
    config: ConfigFile
    known_series: set[Series] = field(default_factory=set)
    bought_anew: list[Word] = field(default_factory=list)
    waived: list[Word] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    copies: list[Path] = field(default_factory=list)
    may_refuse: str = ""
    began: float = 0.0

    @property
    def folder(self) -> Path:
        """Of the config and the jobs."""
        return self.terminal.folder

    @property
    def beside(self) -> Path:
        """Where a person keeps copies."""
        return self.folder.with_name("copies")

    @property
    def front(self) -> Front:
        """The API."""
        return self.terminal.front

    @property
    def ledger(self) -> Path:
        """The ledger's file, which may not be there."""
        return self.folder / self.config.state

    @property
    def output(self) -> Path:
        """Where the files are."""
        return self.folder / self.config.output

    @property
    def now(self) -> float:
        """Seconds since 1970 by the API's clock."""
        return self.front.clock.epoch()

    # --- files -----------------------------------------------------------------------------------

    def write(self) -> None:
        """Writes the config and every job."""
        self.beside.mkdir(exist_ok=True)
        path = self.folder / "config.yaml"
        path.touch(mode=0o600)
        path.write_text(self.config.text(self.front.base_url), "utf-8")
        for job in self.jobs.values():
            self.path(job).write_text(job.text, "utf-8")
            self.known_series |= set(job.series)

    def path(self, job: JobFile) -> Path:
        """Of a job file."""
        return self.folder / f"{job.file}.yaml"

    def change(self, first_name: str, job: JobFile) -> None:
        """Edits a job file, or gives it another name."""
        self.path(self.jobs[first_name]).unlink()
        self.jobs[first_name] = job
        self.write()

    def configure(self, **changes: Any) -> None:
        """Edits the config."""
        self.config = replace(self.config, **changes)
        self.write()

    def copy_ledger(self, *, with_wal: bool) -> None:
        """Copies the ledger as a person does, with or without what stands beside it."""
        if not self.ledger.exists():
            return
        copy = self.beside / f"copy-{len(self.copies)}.db"
        for part in _PARTS if with_wal else ("",):
            file = self.ledger.with_name(self.ledger.name + part)
            if file.exists():
                shutil.copyfile(file, copy.with_name(copy.name + part))
        self.copies.append(copy)

    def put_aside(self) -> Path | None:
        """Takes the ledger away, with all that belongs to it."""
        if not self.ledger.exists():
            return None
        away = self.beside / f"away-{len(self.terminal.told)}.db"
        for part in _PARTS:
            file = self.ledger.with_name(self.ledger.name + part)
            if file.exists():
                shutil.move(file, away.with_name(away.name + part))
        return away

    def put_back(self, copy: Path) -> None:
        """Puts a copy of the ledger in the ledger's place, and removes what stood there."""
        self.ledger.parent.mkdir(exist_ok=True)
        for part in _PARTS:
            place = self.ledger.with_name(self.ledger.name + part)
            place.unlink(missing_ok=True)
            file = copy.with_name(copy.name + part)
            if file.exists():
                shutil.copyfile(file, place)

    # --- commands --------------------------------------------------------------------------------

    async def run(
        self,
        names: Sequence[str] = (),
        *options: str,
        stop: Stop | None = None,
        meanwhile: tuple[float, Callable[[], None]] | None = None,
    ) -> Told:
        """`orchestrator run` of these jobs, or of all."""
        paths = [str(self.path(self.jobs[name])) for name in names or self.jobs]
        return await self.type("run", *paths, "--json", *options, stop=stop, meanwhile=meanwhile)

    async def type(
        self,
        *arguments: str,
        stop: Stop | None = None,
        meanwhile: tuple[float, Callable[[], None]] | None = None,
    ) -> Told:
        """Types a command, and remembers how it ended."""
        told = await self.terminal.type(*arguments, stop=stop, meanwhile=meanwhile)
        words = str(told).replace(f"{self.folder}/", "")
        self.story.append(f"{words}; {self.states()}")
        if told.code == 2:
            self.story.append(f"   {_last_line(told.errors)}")
        return told

    async def decide(self, *arguments: str) -> Told:
        """A command by which a person decides; what it changes is the person's word."""
        before = {row.id: row.state for row in self.rows()}
        given_up = self.given_up_windows()
        told = await self.type(*arguments)
        for row in self.rows():
            if before.get(row.id) is row.state:
                continue
            word = Word(self.now, row.series, row.window)
            match row.state:
                case State.DISCARDED | State.CANCELLED:
                    self.bought_anew.append(word)
                case State.WAIVED:
                    self.waived.append(word)
                case State.VERIFIED | State.COLLECTED:
                    self.accepted.add(str(row.target))
                case _:
                    pass
        if "--retry-failed" in arguments:
            self.bought_anew += given_up
        if "--waive" in arguments:
            self.waived += given_up
        return told

    # --- what the ledger says --------------------------------------------------------------------

    def rows(self) -> list[Report]:
        """Every row of the ledger; none where it cannot be read."""
        try:
            with reading(self.ledger) as store:
                return [row for one in store.all_series() for row in store.reports(one)]
        except (OrchestratorError, sqlite3.Error, OSError):
            return []

    def given_up_windows(self) -> list[Word]:
        """What no run asks for by itself."""
        try:
            with reading(self.ledger) as store:
                return [
                    Word(self.now, series, one.window)
                    for series in store.all_series()
                    for one in store.given_up(series)
                ]
        except (OrchestratorError, sqlite3.Error, OSError):
            return []

    def states(self) -> str:
        """How many rows are in which state, in words."""
        counts: dict[str, int] = {}
        for row in self.rows():
            counts[row.state.value] = counts.get(row.state.value, 0) + 1
        return ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))

    def is_sound(self) -> bool:
        """Whether the ledger passes SQLite's own check."""
        with closing(sqlite3.connect(self.ledger)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        return bool(verdict == "ok")


def _last_line(text: str) -> str:
    lines: Iterable[str] = text.strip().splitlines()
    return next(reversed(list(lines)), "")
