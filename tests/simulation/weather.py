"""Random faults: a weighted table of everything that may go wrong and that a client must survive.

What lies beyond the assumptions of the design is not in it: a list that works, that shows other
reports, and yet keeps one back over three looks in ten minutes. A list may do so for good in
`hiding` alone, where no create is ever unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.simulator import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Draw = tuple[int, str, str, "Callable[[Random], dict[str, Any]]"]

ASKED: Final = ("create", "status", "list", "download")


def _none(_random: Random) -> dict[str, Any]:
    return {}


def _refusal(random: Random) -> dict[str, Any]:
    throttled = random.random() < 0.6
    after = random.choice([None, 0, 1, 7, 90])
    options: dict[str, Any] = {"status": random.choice([429, 429, 403]) if throttled else 503}
    if options["status"] == 403:
        options["rate_limit"] = True
    if after is not None:
        options |= {"retry_after": after, "as_date": random.random() < 0.4}
    return options


def _made(random: Random) -> dict[str, Any]:
    return {"made": random.random() < 0.5}


def _failure(random: Random) -> dict[str, Any]:
    return {"status": random.choice([500, 502, 503, 504]), **_made(random)}


def _outcome(random: Random) -> dict[str, Any]:
    return {"status": random.choice(["FAILED", "FAILED", "ABORTED", "ARCHIVED"])}


def _twin(random: Random) -> dict[str, Any]:
    differences: list[dict[str, Any]] = [
        {},
        {"field": "status", "value": "submitted"},
        {"field": "country", "value": "NO"},
        {"field": "account_id", "value": "cafe0003"},
        {"field": "include_subaccounts", "value": True},
        {"field": "date_end", "value": "2026-02-20T00:00:00Z"},
    ]
    return {**random.choice(differences), "lost": random.random() < 0.7, **_made(random)}


def _callback(random: Random) -> dict[str, Any]:
    """Lost, repeated, late, or forged beside."""
    options = {"copies": random.choice([0, 0, 1, 2, 5]), "late": random.choice([0, 0, 5, 600])}
    forged = random.choice([None, "SUCCESS", "FAILED", "TRUNCATED"])
    return options if forged is None else {**options, "forged": forged}


def _lag(random: Random) -> dict[str, Any]:
    """Less than the ten minutes that a lost report is looked for."""
    return {"seconds": random.choice([2, 30, 240])}


def _shape(random: Random) -> dict[str, Any]:
    forms = ["list", "null", "nothing", "no_id", "types", "nan", "deep", "trailing", "null_byte"]
    return {"form": random.choice(forms), **_made(random)}


PASSING: Final[tuple[Draw, ...]] = (
    *((3, place, "refuse", _refusal) for place in ASKED),
    *((2, place, "refuse", _failure) for place in ASKED),
    *((2, place, "reset", _made) for place in ASKED),
    *((1, place, "cut", lambda random: {"share": random.random()}) for place in ASKED),
    *(
        (1, place, "hang", lambda random: {"seconds": random.choice([1, 20, 100]), **_made(random)})
        for place in ASKED
    ),
    *(
        (1, place, "html", lambda random: {"status": random.choice([200, 502]), **_made(random)})
        for place in ASKED
    ),
    *((1, place, "shape", _shape) for place in ("create", "status", "list")),
    (4, "create", "twin", _twin),
    (2, "list", "empty", _none),
    (2, "list", "refuse", lambda random: {"status": random.choice([400, 403, 404])}),
    (1, "list", "word", lambda _: {"status": "PENDING"}),
    (1, "status", "word", lambda _: {"status": "THINKING"}),
    (3, "list", "late", _lag),
    (2, "list", "stale", lambda random: {"seconds": random.choice([2, 30, 240, 1800])}),
    (2, "list", "omits", lambda random: {"field": random.choice(["direction", "status", "x"])}),
    (1, "status", "omits", lambda _: {"field": "product"}),
    (1, "list", "date", lambda random: {"by": random.choice([-86400, -600])}),
    (1, "create", "date", lambda _: {"text": "tomorrow, maybe"}),
    (2, "status", "refuse", lambda random: {"status": random.choice([404, 410])}),
    (1, "list", "refuse", lambda _: {"status": 404}),
    (2, "download", "refuse", lambda random: {"status": random.choice([400, 403, 404, 410])}),
    (1, "status", "omits", lambda random: {"field": random.choice(["_links", "items_count"])}),
    (1, "status", "word", lambda _: {"status": "PROCESSING"}),
    (1, "status", "bare", _none),
    (1, "list", "miscount", lambda random: {"by": random.choice([-1, 1, 1000])}),
    (2, "download", "bad_crc", _none),
    (2, "download", "cut_file", lambda random: {"share": random.random()}),
    (1, "download", "redirect", lambda random: {"to": random.choice(["file", "itself", "chain"])}),
    (
        1,
        "download",
        "zip",
        lambda random: {"form": random.choice(["two_csvs", "no_zip", "parent"])},
    ),
    (1, "download", "csv", lambda random: {"form": random.choice(["header_only", "lone_quote"])}),
)
"""Faults of calls: weight, place, kind, options. They end with the weather."""

LASTING: Final[tuple[Draw, ...]] = (
    (6, "report", "outcome", _outcome),
    (3, "report", "outcome", lambda _: {"status": "TRUNCATED", "times": 4}),
    (2, "report", "gone", _none),
    (2, "report", "hidden", lambda random: {"seconds": random.choice([5, 25, 600, 7200])}),
    (2, "report", "late_file", lambda random: {"seconds": random.choice([1, 20, 600])}),
    (
        2,
        "report",
        "signed",
        lambda random: {"seconds": random.choice([5, 600]), "status": random.choice([400, 403])},
    ),
    (1, "report", "stuck", lambda random: {"phase": random.choice(["PENDING", "PROCESSING"])}),
    (1, "report", "wrong_count", lambda random: {"by": random.choice([-1, 1, 1000])}),
    (1, "report", "wrong_echo", lambda _: {"field": "account_id", "value": "cafe0003"}),
    (1, "report", "bad_crc", _none),
    (1, "report", "cut_file", _none),
    (2, "report", "cancelled", lambda random: {"seconds": random.choice([0, 3, 10, 60])}),
    (4, "report", "callback", _callback),
    (2, "report", "link", lambda random: {"to": random.choice(["relative", "foreign", "missing"])}),
    (
        2,
        "report",
        "zip",
        lambda random: {"form": random.choice(["stored", "zip64", "no_descriptor", "encrypted"])},
    ),
    (1, "report", "csv", lambda random: {"form": random.choice(["crlf", "bom", "no_last_lf"])}),
)
"""Faults of reports, for good."""


def weather(random: Random, until: float) -> Faults:
    """Some faults of calls that end after so many seconds of the loop, and some of reports."""
    count = random.choice([0, 1, 2, 3, 5, 8])
    weights = [weight for weight, *_ in PASSING]
    faults = [_fault(random, draw, until) for draw in random.choices(PASSING, weights, k=count)]
    lasting = random.choices(
        LASTING, [weight for weight, *_ in LASTING], k=random.choice([0, 0, 1, 2, 3])
    )
    for _, at, do, options in lasting:
        probability = random.choice([0.02, 0.05, 0.1, 0.3])
        faults.append(Fault.of(at, do, probability=probability, **options(random)))
    if random.random() < 0.3:
        # Fewer strikes than looks that must lack a report before it counts as absent.
        newest = random.choice([1, 2, 5])
        faults.append(Fault.of("list", "lacks", newest=newest, probability=0.3, times=2))
    elif random.random() < 0.2:
        share = random.choice([0.1, 0.5, 1.0])
        faults.append(Fault.of("list", "hides", share=share, probability=0.3, times=2))
    for _ in range(random.choice([0, 0, 0, 1, 2])):
        seconds = random.choice([0, 1, 30, 600])
        faults.append(
            Fault.of("server", "restart", after=random.uniform(0, until / 10), seconds=seconds)
        )
    if random.random() < 0.1:
        by = random.choice([-3600, -60, 300, 7200])
        faults.append(Fault.of("server", "clock", after=random.uniform(0, until / 10), by=by))
    return Faults(tuple(faults), random.getrandbits(32))


def hiding(random: Random) -> Faults:
    """Lists that keep reports back for good; every create is answered, so that none is sought."""
    share = random.choice([0.02, 0.2, 0.7, 1.0])
    return Faults(
        (
            Fault.of("list", "hides", share=share),
            Fault.of("report", "callback", probability=0.5, **_callback(random)),
            Fault.of("report", "outcome", probability=0.05, **_outcome(random)),
            Fault.of("status", "refuse", probability=0.05, status=503),
            Fault.of("download", "cut", probability=0.05),
        ),
        random.getrandbits(32),
    )


def _fault(random: Random, draw: Draw, until: float) -> Fault:
    """A fault of a call: rare, in a row, at certain calls, or a storm."""
    _, at, do, options = draw
    storm = random.uniform(0, until / 20)
    selectors: list[dict[str, Any]] = [
        {"probability": random.choice([0.02, 0.1, 0.4])},
        {"first": random.choice([1, 3, 10])},
        {"nth": sorted({random.randint(1, 30) for _ in range(3)})},
        {"every": random.choice([2, 5, 20])},
        {"after": storm, "until": storm + random.choice([30, 300, 1800])},
    ]
    chosen = random.choice(selectors)
    return Fault.of(at, do, **{"until": until, **chosen}, **options(random))
