"""Many keys side by side: how much of all their requests a second is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.ours import ours
from benchmarks.sections import Figure, Section, Table
from benchmarks.virtual import measure as measure_case
from benchmarks.worlds import Case

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.options import Options
    from benchmarks.outcomes import Outcome

KEYS: Final = 20
SIZES: Final = (200,)
GOAL: Final = 0.95

ABOUT: Final = """\
Twenty keys in one run, each with an account, a job and a limit of five requests a second of its
own, at a server that works 1 to 10 s on a report, on as many at once as come; virtual time. *While
there is work* is from the first request of all until the first key has sent its last create: until
then every key has something to ask for at every moment. The share is of the hundred requests a
second that the keys may send together; the *useful* share counts creates and downloads only. The
server's limit is a token bucket for each key."""


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """How much of a limit was used while there was work.

    Attributes:
        seconds: how long there was.
        asked: requests in that time.
        useful: creates and downloads among them.
        allowed: how many there might have been.
    """

    seconds: float
    asked: int
    useful: int
    allowed: float

    @property
    def share(self) -> float:
        """Of what was allowed."""
        return self.asked / self.allowed

    @property
    def useful_share(self) -> float:
        """Of what was allowed, creates and downloads only."""
        return self.useful / self.allowed


def use(call_times: Sequence[tuple[float, str, str]], rate: float) -> UsageRecord:
    """How much was used from the first request until the first key has sent its last create.

    Args:
        call_times: (time, key, kind) of every request, in the order of time.
        rate: requests a second that each key may send.
    """
    last_create = {key: moment for moment, key, kind in call_times if kind == "create"}
    begin, end = call_times[0][0], min(last_create.values())
    kinds = [kind for moment, _, kind in call_times if moment <= end]
    # Each key's first request is at `begin` and counts, hence one more than what has passed.
    allowed = len(last_create) * ((end - begin) * rate + 1)
    useful = sum(kind in ("create", "download") for kind in kinds)
    return UsageRecord(end - begin, len(kinds), useful, allowed)


def measure(options: Options) -> Section:
    """Runs all keys in one run."""
    sizes = options.sizes or ((5,) if options.quick else SIZES)
    return section([measure_case(case(size), ours) for size in sizes])


def case(reports: int) -> Case:
    """So many reports for each key."""
    return Case(
        name=f"{KEYS} keys",
        reports=reports,
        processing=(1.0, 10.0),
        concurrency=None,
        keys=KEYS,
    )


def section(outcomes: Iterable[Outcome]) -> Section:
    """What was measured, in words."""
    outcomes = list(outcomes)
    used = [use(outcome.call_times, outcome.case.rate or 0.0) for outcome in outcomes]
    rows = tuple(_row(outcome, one) for outcome, one in zip(outcomes, used, strict=True))
    columns = (
        *("keys", "reports of each", "makespan", "while there is work", "requests then"),
        *("share used", "useful share", "useful share of the whole run", "429", "files right"),
        *("paid twice", "real time"),
    )
    figures = []
    for outcome, one in zip(outcomes, used, strict=True):
        what = f"{outcome.case.name}, {outcome.case.reports:,} reports of each"
        figures += [
            Figure(
                f"{what}: share of the limit used while there is work",
                f"≥ {GOAL:.0%}",
                f"{one.share:.1%}",
                one.share >= GOAL,
            ),
            Figure(f"{what}: 429", "0", f"{outcome.throttled:,}", outcome.throttled == 0),
        ]
    return Section(
        title="Many keys", about=ABOUT, tables=(Table("keys", columns, rows),), figures=figures
    )


def _row(outcome: Outcome, used: UsageRecord) -> tuple[str, ...]:
    return (
        f"{outcome.case.keys}",
        f"{outcome.case.reports:,}",
        f"{outcome.makespan:,.1f} s",
        f"{used.seconds:,.1f} s",
        f"{used.asked:,} of {used.allowed:,.0f}",
        f"{used.share:.1%}",
        f"{used.useful_share:.1%}",
        f"{_whole(outcome):.1%}",
        f"{outcome.throttled:,}",
        "yes" if outcome.is_right else "NO",
        f"{outcome.paid_twice:,}",
        f"{outcome.seconds:.0f} s",
    )


def _whole(outcome: Outcome) -> float:
    """Creates and downloads, of what might have been asked for from the start to the end."""
    useful = outcome.calls["create"] + outcome.calls["download"]
    return useful / (outcome.makespan * outcome.case.keys * (outcome.case.rate or 0.0))
