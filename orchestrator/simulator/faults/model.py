"""Faults as data: where, which time, what. The same settings and calls meet the same faults."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from orchestrator.simulator.faults import registry

if TYPE_CHECKING:
    from collections.abc import Mapping


class WrongFault(ValueError):
    """A fault that makes no sense.

    Attributes:
        key: the key that is wrong; empty for the fault as a whole.
        what: what is wrong with it.
        remedy: what to write instead; may be empty.
    """

    def __init__(self, key: str, what: str, remedy: str = "") -> None:
        super().__init__(f"{key}: {what}" if key else what)
        self.key = key
        self.what = what
        self.remedy = remedy


def _times(given: Any) -> frozenset[int]:
    wanted = given if isinstance(given, list | tuple) else [given]
    if not wanted or any(registry.whole(one) < 1 for one in wanted):
        raise ValueError(f"must be a call's number, from 1, or a list of them, not {given!r}")
    return frozenset(wanted)


def _positive(given: Any) -> int:
    if registry.whole(given) < 1:
        raise ValueError(f"must be at least 1, not {given!r}")
    return int(given)


_SELECTORS: Final[Mapping[str, registry.Option]] = {
    "nth": registry.Option(_times),
    "first": registry.Option(_positive),
    "every": registry.Option(_positive),
    "probability": registry.Option(registry.share),
    "times": registry.Option(_positive),
    "account": registry.Option(registry.text),
    "product": registry.Option(registry.text),
    "after": registry.Option(registry.number),
    "until": registry.Option(registry.number),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Build it with `Fault.of`, which checks it.

    It looks only at calls (or reports) of its place, account, product and time; it counts these
    from 1. Without `nth`, `first`, `every` or `probability` it strikes each of them.

    Attributes:
        at: ``create``, ``status``, ``list``, ``cancel``, ``download``, ``records``, or
            ``report``: decided when a report is made, and true of it for good.
        do: the name of its kind.
        options: the kind's own.
        nth: these calls.
        first: the first so many.
        every: each so-manieth.
        probability: this share of the calls, by the seed.
        times: at most so often.
        account: calls about this account only.
        product: calls about this product only.
        after: not before so many seconds of the loop since the server began.
        until: only before so many seconds since then.
    """

    at: str
    do: str
    options: Mapping[str, Any]
    nth: frozenset[int] | None = None
    first: int | None = None
    every: int | None = None
    probability: float | None = None
    times: int | None = None
    account: str | None = None
    product: str | None = None
    after: float | None = None
    until: float | None = None

    @classmethod
    def of(cls, at: str, do: str, **rest: Any) -> Fault:
        """A fault from the keys of a file.

        Raises:
            WrongFault: the first thing that is wrong with it.
        """
        if at not in registry.PLACES:
            raise WrongFault(
                "at", f"'{at}' is no place", f"use one of {', '.join(registry.PLACES)}"
            )
        kind = registry.KINDS.get(do)
        if kind is None:
            raise WrongFault(
                "do",
                f"'{do}' is no kind of fault",
                f"use one of {', '.join(sorted(registry.KINDS))}",
            )
        if at not in kind.places:
            raise WrongFault(
                "at", f"{do} cannot strike at {at}", f"use one of {', '.join(kind.places)}"
            )
        known = {**_SELECTORS, **kind.options}
        for key in rest:
            if key not in known:
                raise WrongFault(
                    key, f"{do} has no such key", f"use one of {', '.join(sorted(known))}"
                )
        values: dict[str, Any] = {}
        for key, option in known.items():
            if key not in rest:
                if option.required:
                    raise WrongFault(key, f"{do} needs it")
                values[key] = option.default
                continue
            try:
                values[key] = option.read(rest[key])
            except ValueError as wrong:
                raise WrongFault(key, str(wrong)) from None
        selectors = {key: values.pop(key) for key in _SELECTORS}
        return cls(at, do, MappingProxyType(values), **selectors)

    @property
    def kind(self) -> registry.FaultKind:
        """What it does."""
        return registry.KINDS[self.do]


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of a world, in order: of those that would strike one call, the first does.

    Attributes:
        seed: decides where `Fault.probability` strikes.
    """

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    @classmethod
    def from_seed(cls, seed: int, probability: float = 0.05) -> Faults:
        """Some of everything that a patient client gets over, each with this probability."""
        return cls(tuple(Fault.of(probability=probability, **one) for one in _DEFAULT_MIX), seed)


_DEFAULT_MIX: Final[tuple[dict[str, Any], ...]] = (
    *({"at": place, "do": "refuse", "status": 429} for place in registry.CALLS),
    *({"at": place, "do": "refuse", "status": 429, "retry_after": 2} for place in registry.CALLS),
    *({"at": place, "do": "refuse", "status": 503} for place in registry.CALLS),
    *({"at": place, "do": "reset"} for place in registry.CALLS),
    *({"at": place, "do": "html", "status": 502} for place in registry.CALLS),
    {"at": "create", "do": "refuse", "status": 500, "made": True},
    {"at": "create", "do": "reset", "made": True},
    {"at": "create", "do": "cut"},
    {"at": "create", "do": "html", "status": 200, "made": True},
    {"at": "status", "do": "cut"},
    {"at": "list", "do": "lacks"},
    {"at": "download", "do": "cut"},
    {"at": "download", "do": "cut_file"},
    {"at": "download", "do": "bad_crc"},
)


class FaultInjector:
    """Counts the calls of one running world, and says which fault strikes."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._seen = [0] * len(faults.faults)
        self._struck = [0] * len(faults.faults)
        self.places = frozenset(fault.at for fault in faults.faults)

    @property
    def struck(self) -> tuple[int, ...]:
        """How often each fault has struck, in their order."""
        return tuple(self._struck)

    def strike(self, at: str, account: str, product: str, elapsed: float) -> Fault | None:
        """Counts a call, and returns the fault that strikes it.

        Args:
            at: the place.
            account: the account that the call is about; empty where nobody knows.
            product: the same for the product.
            elapsed: seconds of the loop since the server began.
        """
        striking = None
        for number, fault in enumerate(self._faults.faults):
            if (
                fault.at != at
                or fault.account not in (None, account)
                or fault.product not in (None, product)
                or elapsed < (fault.after or 0)
                or (fault.until is not None and elapsed >= fault.until)
            ):
                continue
            self._seen[number] += 1
            if (
                striking is None
                and (fault.times is None or self._struck[number] < fault.times)
                and self._is_due(number, fault, self._seen[number])
            ):
                self._struck[number] += 1
                striking = fault
        return striking

    def _is_due(self, number: int, fault: Fault, seen: int) -> bool:
        if fault.nth is not None and seen not in fault.nth:
            return False
        if fault.first is not None and seen > fault.first:
            return False
        if fault.every is not None and seen % fault.every:
            return False
        if fault.probability is None:
            return True
        drawn = blake2b(f"{self._faults.seed}:{number}:{seen}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "big") < fault.probability * 2**64
