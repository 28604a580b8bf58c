"""What operators do between runs and during them, as data: drawn from a seed, told in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from orchestrator.collect.layout import MANIFEST
from orchestrator.core.lifecycle import State
from tests.opinion.scene import Word
from tests.opinion.terminal import How, Stop

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.opinion.cases import JobFile
    from tests.opinion.scene import Scene


class Deed(Protocol):
    """Something that a person does."""

    async def do(self, scene: Scene) -> None:
        """Does it."""
        ...


@dataclass(frozen=True)
class Run:
    """A run of some jobs (or all), which may be stopped."""

    jobs: tuple[str, ...] = ()
    stop: Stop | None = None
    options: tuple[str, ...] = ()

    async def do(self, scene: Scene) -> None:
        """Runs."""
        names = [name for name in self.jobs if name in scene.jobs]
        await scene.run(names, *self.options, stop=self.stop)

    def __str__(self) -> str:
        what = f"run {' '.join(self.jobs) or 'all'} {' '.join(self.options)}".strip()
        return f"{what}, {self.stop}" if self.stop else what


@dataclass(frozen=True)
class Wait:
    """Time passes."""

    seconds: float

    async def do(self, scene: Scene) -> None:
        """Waits."""
        scene.story.append(str(self))
        await anyio.sleep(self.seconds)

    def __str__(self) -> str:
        return f"{timedelta(seconds=self.seconds)} pass"


@dataclass(frozen=True)
class Copy:
    """A copy of the ledger, perhaps while a run is at work, perhaps without its write-ahead log."""

    with_wal: bool
    during: float | None = None

    async def do(self, scene: Scene) -> None:
        """Copies."""
        scene.story.append(str(self))
        if self.during is None:
            scene.copy_ledger(with_wal=self.with_wal)
            return
        await scene.run(meanwhile=(self.during, lambda: scene.copy_ledger(with_wal=self.with_wal)))

    def __str__(self) -> str:
        how = "with -wal" if self.with_wal else "without -wal"
        when = "" if self.during is None else f", {self.during:g} s into a run"
        return f"the ledger is copied {how}{when}"


@dataclass(frozen=True)
class Restore:
    """The oldest copy of the ledger takes the ledger's place."""

    async def do(self, scene: Scene) -> None:
        """Restores, and keeps what was there."""
        if not scene.copies:
            return
        scene.story.append(str(self))
        newest = scene.put_aside()
        scene.put_back(scene.copies[0])
        await _run_or_put_back(scene, newest, "the ledger is an old copy")

    def __str__(self) -> str:
        return "the oldest copy of the ledger is put back, and all is run"


async def _run_or_put_back(scene: Scene, newest: Path | None, why: str) -> None:
    """Runs with an older ledger; where that is refused, does what the refusal says first."""
    scene.may_refuse = why
    told = await scene.run()
    scene.may_refuse = ""
    if told.code == 2 and newest is not None:
        scene.story.append("the newest ledger is put back")
        scene.put_back(newest)
        await scene.run()


@dataclass(frozen=True)
class Rebuild:
    """The ledger is lost and made anew from the manifest; perhaps it is found again.

    Attributes:
        damage: what happened to the manifest meanwhile; see `_damage`.
    """

    found_again: bool = False
    damage: str = ""

    async def do(self, scene: Scene) -> None:
        """Loses, runs, rebuilds."""
        lost_rows = scene.rows()
        away = scene.put_aside()
        if away is None:
            return
        scene.story.append(str(self))
        manifest = scene.output / MANIFEST
        holds = any(scene.output.glob("report_account=*")) or manifest.exists()
        if self.damage and manifest.exists():
            _damage(manifest, self.damage)
        if holds:
            scene.may_refuse = "there is no ledger"
            told = await scene.run()
            scene.may_refuse = ""
            if told.code != 2:
                # The manifest of a ledger that has never known a report may tell nothing.
                if lost_rows:
                    words = f"exit {told.code} without a ledger beside collected files"
                    scene.broken.append(words)
                return
            scene.may_refuse = "the manifest may not be fit to rebuild from"
            told = await scene.run((), "--rebuild-ledger")
            scene.may_refuse = ""
            if told.code in (2, 74):
                scene.put_back(away)
                if self.damage:
                    manifest.unlink()
                scene.story.append("the lost ledger is put back, a damaged manifest moved away")
                await scene.run()
                return
        else:
            scene.bought_anew += [Word(scene.now, row.series, row.window) for row in lost_rows]
        if self.found_again:
            rebuilt = scene.put_aside()
            scene.put_back(away)
            await _run_or_put_back(scene, rebuilt, "the lost ledger was found again")

    def __str__(self) -> str:
        found = ", then the lost one is found and put back" if self.found_again else ""
        damage = f" (damaged: {self.damage})" if self.damage else ""
        return f"the ledger is lost and rebuilt from the manifest{damage}{found}"


def _damage(manifest: Path, how: str) -> None:
    """Changes a manifest as accidents do."""
    lines = manifest.read_bytes().splitlines(keepends=True)
    match how:
        case "a digit":
            middle = len(lines) // 2
            lines[middle] = re.sub(rb"2026(-?)02", rb"2026\g<1>03", lines[middle], count=1)
        case "a line twice":
            lines.insert(1, lines[-1])
        case "its last line cut":
            lines[-1] = lines[-1][: len(lines[-1]) // 2]
        case "a line lost":
            del lines[len(lines) // 2]
        case _:
            raise AssertionError(how)
    manifest.write_bytes(b"".join(lines))


DAMAGES: Final = ("a digit", "a line twice", "its last line cut", "a line lost")


@dataclass(frozen=True)
class Edit:
    """A job file is edited."""

    job: str
    how: str

    async def do(self, scene: Scene) -> None:
        """Edits."""
        before = scene.jobs.get(self.job)
        if before is None:
            return
        scene.story.append(str(self))
        scene.change(self.job, _edited(before, self.how))

    def __str__(self) -> str:
        return f"the job {self.job} is edited: {self.how}"


def _edited(job: JobFile, how: str) -> JobFile:
    (start, end), *rest = job.windows
    day = timedelta(days=1)
    filtered = (*(one for one in job.products[0] if one[0] != "to"), ("to", "447700900001"))
    other = "beta" if job.credentials == "default" else "default"
    changes: dict[str, dict[str, Any]] = {
        "chunk": {"chunk": "1 day" if job.chunk != "1 day" else "12 hours"},
        "filter": {"products": (filtered, *job.products[1:])},
        "one series less": {"products": job.products[1:] or job.products},
        "earlier": {"windows": ((start - day, end), *rest)},
        "shorter": {"windows": ((start, max(start + day, end - day)), *rest)},
        "another name": {"name": f"{job.name}-new"},
        "another file": {"file": f"{job.file}-new"},
        "settle": {"settle": "3h"},
        "another key": {"credentials": other} if job.account == "ef567890" else {},
    }
    return replace(job, **changes[how])


EDITS: Final = (
    "chunk", "filter", "one series less", "earlier", "shorter", "another name", "another file",
    "settle", "another key", "another key",
)  # fmt: skip


@dataclass(frozen=True)
class Delete:
    """A job file is removed."""

    job: str

    async def do(self, scene: Scene) -> None:
        """Removes it, unless it is the last."""
        if self.job in scene.jobs and len(scene.jobs) > 1:
            scene.story.append(str(self))
            scene.path(scene.jobs.pop(self.job)).unlink()

    def __str__(self) -> str:
        return f"the job {self.job} is removed"


@dataclass(frozen=True)
class Configure:
    """A key of the config is changed."""

    key: str
    value: str

    async def do(self, scene: Scene) -> None:
        """Changes it."""
        scene.story.append(str(self))
        scene.configure(**{self.key: self.value})

    def __str__(self) -> str:
        return f"the config now says {self.key}: {self.value}"


@dataclass(frozen=True)
class Resolve:
    """A person decides about everything that waits for a person."""

    how: str

    async def do(self, scene: Scene) -> None:
        """Decides."""
        scene.story.append(str(self))
        for job in scene.jobs.values():
            await scene.decide("resolve", "--all", f"--{self.how}", str(scene.path(job)))

    def __str__(self) -> str:
        return f"resolve --all --{self.how}"


@dataclass(frozen=True)
class ResolveOpen:
    """A person decides about one report that is still open."""

    how: str

    async def do(self, scene: Scene) -> None:
        """Decides."""
        rows = [row for row in scene.rows() if row.state.is_open]
        if rows:
            scene.story.append(str(self))
            config = str(scene.folder / "config.yaml")
            name = str(rows[0].id)
            await scene.decide("resolve", name, f"--{self.how}", "--config", config)

    def __str__(self) -> str:
        return f"resolve --{self.how} of an open report"


@dataclass(frozen=True)
class Adopt:
    """A person finds in the vendor's dashboard what a lost create became."""

    async def do(self, scene: Scene) -> None:
        """Adopts where there is one."""
        known = {row.request_id for row in scene.rows()}
        for row in scene.rows():
            if row.request_id is not None or row.state not in (State.HELD, State.ABSENT):
                continue
            for bought in scene.front.world.reports():
                request = bought.request
                is_it = (
                    not bought.stranger
                    and bought.request_id not in known
                    and request.account_id == row.series.account_id
                    and request.product == row.series.product
                    and (request.start, request.end) == (row.window.start, row.window.end)
                )
                if is_it:
                    scene.story.append(str(self))
                    config = str(scene.folder / "config.yaml")
                    arguments = (str(row.id), "--adopt", bought.request_id, "--config", config)
                    await scene.decide("resolve", *arguments)
                    return

    def __str__(self) -> str:
        return "resolve --adopt of a report that the vendor shows"


@dataclass(frozen=True)
class Cancel:
    """`cancel` of a job."""

    forget: bool = False

    async def do(self, scene: Scene) -> None:
        """Cancels."""
        scene.story.append(str(self))
        paths = [str(scene.path(job)) for job in scene.jobs.values()]
        await scene.decide("cancel", *paths, *(["--forget"] if self.forget else []))

    def __str__(self) -> str:
        return "cancel --forget" if self.forget else "cancel"


@dataclass(frozen=True)
class RetryFailed:
    """A run with `--retry-failed`."""

    async def do(self, scene: Scene) -> None:
        """Runs."""
        paths = [str(scene.path(job)) for job in scene.jobs.values()]
        await scene.decide("run", *paths, "--json", "--retry-failed")

    def __str__(self) -> str:
        return "run --retry-failed"


@dataclass(frozen=True)
class Clock:
    """The machine's clock is set."""

    ahead: float

    async def do(self, scene: Scene) -> None:
        """Sets it."""
        scene.story.append(str(self))
        scene.terminal.ahead = timedelta(seconds=self.ahead)

    def __str__(self) -> str:
        return f"the machine's clock is set {self.ahead:+.0f} s off"


@dataclass(frozen=True)
class SecondConfig:
    """Another config, with a ledger of its own, points to the same files."""

    async def do(self, scene: Scene) -> None:
        """Runs it, and goes back to the first."""
        if not any(scene.output.glob("report_account=*")):
            return  # where there are no files yet, they belong to whoever comes first
        scene.story.append(str(self))
        first, before = scene.config.state, scene.may_refuse
        scene.configure(state="elsewhere/ledger.db")
        scene.may_refuse = "the files belong to another ledger"
        told = await scene.run()
        scene.may_refuse = before
        if told.code != 2:
            scene.broken.append(f"a second ledger beside the first one's files: exit {told.code}")
        scene.put_aside()
        scene.configure(state=first)

    def __str__(self) -> str:
        return "a second config, with a ledger of its own, is run over the same files"


@dataclass(frozen=True)
class Again:
    """`run --again`: a person buys newer editions on purpose."""

    async def do(self, scene: Scene) -> None:
        """Buys all again."""
        job = next(iter(scene.jobs.values()))
        scene.story.append(str(self))
        scene.bought_anew += [Word(scene.now, series) for series in job.series]
        (start, end), *_ = job.windows
        span = ("--from", f"{start:%Y-%m-%d}", "--to", f"{end:%Y-%m-%d}")
        before, scene.may_refuse = scene.may_refuse, "there may be nothing to buy again"
        await scene.decide("run", str(scene.path(job)), "--json", "--again", *span, "--yes")
        scene.may_refuse = before
        scene.bought_anew += [Word(scene.now, series) for series in job.series]

    def __str__(self) -> str:
        return "run --again"


# --- drawing --------------------------------------------------------------------------------------

_SECONDS: Final = (0.0, 60.0, 3600.0, 12 * 3600.0, 30 * 3600.0, 80 * 3600.0, 100 * 3600.0)


def draw(random: Random, jobs: tuple[JobFile, ...]) -> tuple[Deed, ...]:
    """A few deeds, between which runs are made."""
    names = [job.name for job in jobs]
    deeds: list[Deed] = []
    for _ in range(random.choice([0, 1, 1, 2, 3, 4, 6])):
        deeds.append(_run(random, names))
        deeds += _some(random, names)
        if random.random() < 0.5:
            deeds.append(Wait(random.choice(_SECONDS)))
    return tuple(deeds)


def _run(random: Random, names: list[str]) -> Run:
    chosen = tuple(random.sample(names, 1)) if random.random() < 0.3 else ()
    if random.random() < 0.5:
        return Run(chosen, stop(random))
    options = random.choice([(), (), (), ("--deadline", random.choice(["10s", "5m"]))])
    return Run(chosen, options=options)


def stop(random: Random) -> Stop:
    """Some interruption."""
    how = random.choice([*How, How.KILLED_AFTER_COMMIT, How.KILLED_BEFORE_COMMIT])
    if "COMMIT" in how.name:
        return Stop(how, random.choice([1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 25]))
    return Stop(how, random.choice([0.1, 0.7, 3.0, 12.0, 40.0, 300.0]))


def _some(random: Random, names: list[str]) -> list[Deed]:
    """One deed, or two that belong together."""
    job = random.choice(names)
    copy = Copy(random.choice([True, False]), random.choice([None, 1.0, 5.0, 30.0]))
    key, value = random.choice(
        [("form", "csv.gz"), ("form", "csv"), ("form", "zip"), ("timeout", "20m")]
    )
    clock = random.choice([-7200.0, -60.0, 1800.0, 1800.0, 86_400.0, 30 * 86_400.0])
    choices: list[tuple[int, list[Deed]]] = [
        (2, []),
        (2, [copy, _run(random, names), Restore()]),
        (2, [Rebuild(random.random() < 0.3)]),
        (1, [Rebuild(damage=random.choice(DAMAGES))]),
        (3, [Edit(job, random.choice(EDITS))]),
        (1, [Delete(job)]),
        (1, [Configure(key, value)]),
        (2, [Resolve(random.choice(["refetch", "accept-file", "waive", "resubmit"]))]),
        (1, [ResolveOpen(random.choice(["refetch", "waive", "resubmit"]))]),
        (1, [Adopt()]),
        (1, [Cancel(random.random() < 0.3)]),
        (1, [RetryFailed()]),
        (1, [Clock(clock)]),
        (1, [SecondConfig()]),
        (1, [Again()]),
    ]
    (chosen,) = random.choices(choices, [weight for weight, _ in choices])
    return chosen[1]
