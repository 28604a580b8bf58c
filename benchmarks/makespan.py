"""Makespan against the least there could be, requests, and how long ready files wait."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import plots
from benchmarks.bound import quantile
from benchmarks.ours import ours
from benchmarks.sections import Figure, Section, Table
from benchmarks.virtual import measure as measure_case
from benchmarks.worlds import rate_bound, server_bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.options import Options
    from benchmarks.outcomes import Outcome
    from benchmarks.worlds import Case

SIZES: Final = (100, 1000, 10_000)
JUDGED: Final = 1000
"""The number of reports for which figures are set."""

SEEDS: Final = (1, 2, 3)
"""Where figures are set, chance has so many tries, and the worst counts."""

ABOUT: Final = """\
One key, one account, hourly reports of a few records, five requests a second, the settings that a
user gets by default; virtual time. *Rate-bound*: the server works 1 to 10 s on a report, on a
hundred at once. *Server-bound*: 20 to 200 s, on fifty at once. The bound is list scheduling of
creates and downloads under the rate limit and the server's concurrency, without looks, in the
client's own order of creates, with the times that the server really took. *Looks* are all requests
that are neither create nor download. A file *waits* from when it is ready at the server until it
is first asked for."""


def measure(options: Options) -> Section:
    """Runs every case."""
    return section([measure_case(case, ours) for case in options.chosen(cases(options))])


def cases(options: Options) -> list[Case]:
    """What is run, unless fewer are asked for."""
    sizes = options.sizes or ((20, 40) if options.quick else SIZES)
    called = partial(server_bound, callbacks=True)
    return [
        replace(world(size), seed=seed)
        for world in (rate_bound, server_bound, called)
        for size in sizes
        for seed in (SEEDS if size == JUDGED else SEEDS[:1])
    ]


def section(outcomes: Sequence[Outcome]) -> Section:
    """What was measured, in words and pictures."""
    return Section(
        title="Makespan",
        about=ABOUT,
        tables=(_times(outcomes), _requests(outcomes)),
        figures=_figures(outcomes),
        plots=_plots([outcome for outcome in outcomes if outcome.case.seed == SEEDS[0]]),
    )


def _times(outcomes: Iterable[Outcome]) -> Table:
    columns = ("case", "reports", "seed", "makespan", "bound", "ratio", "waits median", "p95")
    rows = (
        (
            outcome.case.name,
            f"{outcome.case.reports:,}",
            f"{outcome.case.seed}",
            f"{outcome.makespan:,.1f} s",
            f"{outcome.bound or 0:,.1f} s",
            f"{outcome.ratio:.3f}",
            f"{quantile(outcome.waits, 0.5):.2f} s",
            f"{quantile(outcome.waits, 0.95):.2f} s",
        )
        for outcome in outcomes
    )
    return Table("makespan", columns, tuple(rows))


def _requests(outcomes: Iterable[Outcome]) -> Table:
    kinds = ("create", "download", "list", "status")
    columns = (
        *("case", "reports", "seed", "creates", "downloads", "lists", "single looks", "other"),
        *("looks", "429", "files right", "paid twice", "real time"),
    )
    rows = (
        (
            outcome.case.name,
            f"{outcome.case.reports:,}",
            f"{outcome.case.seed}",
            *(f"{outcome.calls[kind]:,}" for kind in kinds),
            f"{outcome.calls.total() - sum(outcome.calls[kind] for kind in kinds):,}",
            f"{outcome.looks_share:.1%}",
            f"{outcome.throttled:,}",
            "yes" if outcome.is_right else "NO",
            f"{outcome.paid_twice:,}",
            f"{outcome.seconds:.0f} s",
        )
        for outcome in outcomes
    )
    return Table("requests", columns, tuple(rows))


def _figures(outcomes: Iterable[Outcome]) -> tuple[Figure, ...]:
    judged: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.case.reports == JUDGED:
            judged.setdefault(outcome.case.name, []).append(outcome)
    return tuple(figure for seeds in judged.values() for figure in _figures_of(seeds))


def _figures_of(seeds: Sequence[Outcome]) -> Iterable[Figure]:
    """The figures of one case: the worst of what chance has brought."""
    case = seeds[0].case
    what = f"{case.name}, {case.reports:,} reports, the worst of {len(seeds)} seeds"
    ratio = max(outcome.ratio for outcome in seeds)
    wait = max(quantile(outcome.waits, 0.5) for outcome in seeds)
    share = max(outcome.looks_share for outcome in seeds)
    each = max(outcome.looks / case.reports for outcome in seeds)
    is_rate_bound = case.processing == rate_bound(1).processing
    most = 1.10 if is_rate_bound else 1.05
    yield Figure(f"{what}: makespan over the bound", f"≤ {most:.2f}", f"{ratio:.3f}", ratio <= most)
    waits = f"{what}: ready to first asked, median"
    if is_rate_bound:
        yield Figure(f"{what}: looks", "≤ 5 %", f"{share:.1%}", share <= 0.05)
    elif case.callbacks:
        yield Figure(waits, "≤ 0.5 s", f"{wait:.2f} s", wait <= 0.5)
        yield Figure(f"{what}: looks a report", "≤ 1.05", f"{each:.3f}", each <= 1.05)
    else:
        yield Figure(waits, "≤ 5 s", f"{wait:.2f} s", wait <= 5)
        yield Figure(f"{what}: looks", "≤ 13 %", f"{share:.1%}", share <= 0.13)


def _plots(outcomes: Sequence[Outcome]) -> dict[str, str]:
    names = dict.fromkeys(outcome.case.name for outcome in outcomes)
    if len({outcome.case.reports for outcome in outcomes}) < 2:
        return {}

    def lines(value: str) -> dict[str, list[tuple[float, float]]]:
        return {
            name: [
                (float(outcome.case.reports), float(getattr(outcome, value)))
                for outcome in outcomes
                if outcome.case.name == name
            ]
            for name in names
        }

    return {
        "makespan": plots.lines(
            "Makespan over the bound", "reports", "ratio", lines("ratio"), log_x=True, floor=1.0
        ),
        "looks": plots.lines(
            "Share of requests that are looks", "reports", "share", lines("looks_share"), log_x=True
        ),
    }
