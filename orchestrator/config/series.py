"""Combines accounts and product entries into the series of a job, each of them once."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from orchestrator.config.document import Findings, KeyPath
from orchestrator.config.job_entries import AccountEntry, JobHead
from orchestrator.config.messages import one_of, suggestion
from orchestrator.config.product_entries import SeriesTemplate
from orchestrator.config.sections import entry, slots_of
from orchestrator.core.model import JobSeries, Series
from orchestrator.core.overlap import covers, differing

MAX_SERIES: Final = 200_000
"""Series of one job: a thousand accounts with two hundred products and filters each."""

MAX_COMPARED: Final = 1000  # Variants that are compared pair by pair for overlaps.

_SUBACCOUNTS: Final = "include_subaccounts"
_NO_ACCOUNT: Final = "00000000"


@dataclass(frozen=True, slots=True)
class Account:
    """An entry under ``accounts``, with the credentials that ask for it."""

    path: KeyPath
    id: str
    credentials: str
    include_subaccounts: bool | None = None


def accounts(
    findings: Findings, head: JobHead, credentials: Collection[str] | None
) -> list[Account]:
    """The accounts of a job, each once; names of credentials are checked unless None."""
    found: dict[str, Account] = {}
    content = findings.document.content
    own_default = "credentials" in content
    slots = slots_of(AccountEntry)
    if own_default:
        _check_credentials(findings, ("credentials",), head.credentials, credentials)
    for number, value in enumerate(head.accounts):
        path: KeyPath = ("accounts", number)
        whole = value if isinstance(value, dict) else {"id": value}
        values = entry(slots, findings, path, whole)
        if values is None:
            continue
        read = AccountEntry(**values)
        if read.credentials is not None:
            _check_credentials(findings, (*path, "credentials"), read.credentials, credentials)
        elif not own_default:
            # Nothing in the file names `default`: the first account that needs it is the place.
            own_default = True
            _check_credentials(findings, path, head.credentials, credentials)
        same = found.get(read.id.casefold())
        if same is not None:
            first = findings.document.place(same.path)
            spelled = "" if same.id == read.id else f" as {same.id}"
            what = f"account {read.id} stands in {first} already{spelled}"
            findings.mistake((*path, "id"), what, "remove one of the two")
            continue
        own = read.credentials or head.credentials
        found[read.id.casefold()] = Account(path, read.id, own, read.include_subaccounts)
    return list(found.values())


def _check_credentials(
    findings: Findings, path: KeyPath, name: str, credentials: Collection[str] | None
) -> None:
    if credentials is None or name in credentials:
        return
    known = f"it has {one_of(sorted(credentials), 'and')}" if credentials else "it has none"
    # What the file says is not shown: a secret may stand where a name belongs.
    named = "named default" if name == "default" else "of this name"
    what = f"the config has no credentials {named}"
    findings.mistake(path, what, suggestion(name, credentials, known))


def expand(
    findings: Findings, accounts: Sequence[Account], variants: Sequence[SeriesTemplate]
) -> tuple[JobSeries, ...]:
    """Every account with every variant: accounts outer, variants inner, no series twice."""
    if len(accounts) * len(variants) > MAX_SERIES:
        what = f"makes {len(accounts) * len(variants)} series; at most {MAX_SERIES} can be meant"
        findings.mistake(("products",), what, "split the job")
        return ()
    _refuse_subaccounts_beside_others(findings, accounts, variants)
    owners: dict[Series, SeriesTemplate] = {}
    expanded: list[JobSeries] = []
    for account in accounts or [Account(("accounts",), _NO_ACCOUNT, "default")]:
        compared: list[tuple[Series, SeriesTemplate]] = []
        for variant in variants:
            series = _series(findings, account, variant)
            if series is None:
                continue
            if series in owners:
                _refuse_twice(findings, owners[series], variant)
                continue
            owners[series] = variant
            compared.append((series, variant))
            expanded.append(JobSeries(series, account.credentials))
        if account is accounts[0] if accounts else True:
            # The others have the same variants; what holds for one of them holds for all.
            _warn_of_overlaps(findings, compared[:MAX_COMPARED])
    return tuple(expanded)


def _series(findings: Findings, account: Account, variant: SeriesTemplate) -> Series | None:
    fields = dict(variant.fields)
    wanted = account.include_subaccounts
    if wanted is not None and fields.setdefault(_SUBACCOUNTS, wanted) != wanted:
        said = "true" if wanted else "false"
        first = findings.document.place((*account.path, _SUBACCOUNTS))
        what = f"account {account.id} in {first} says {said}, this entry says the contrary"
        findings.mistake((*variant.path, _SUBACCOUNTS), what, "say it in one of the two places")
        return None
    return Series.of(account.id, variant.product, variant.direction, fields)


def _refuse_twice(findings: Findings, first: SeriesTemplate, second: SeriesTemplate) -> None:
    if first.path == second.path:
        what = f"asks for {second} twice"
    else:
        place = findings.document.place(first.path)
        what = f"asks for {second}, as {_entry(first)} in {place} does already"
    findings.mistake(second.path, what, "remove one of the two")


def _refuse_subaccounts_beside_others(
    findings: Findings, accounts: Sequence[Account], variants: Sequence[SeriesTemplate]
) -> None:
    by_credentials: dict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        by_credentials[account.credentials].append(account)
    entries = {variant.path for variant in variants if variant.fields.get(_SUBACCOUNTS) is True}
    for name, together in by_credentials.items():
        if len(together) < 2:
            continue
        for account in together:
            if account.include_subaccounts:
                other = next(each for each in together if each is not account)
                beside = f"account {other.id} ({findings.document.place(other.path)})"
                _refuse_subaccounts(findings, account.path, beside, name)
        for path in sorted(entries):
            ids = " and ".join(account.id for account in together[:2])
            _refuse_subaccounts(findings, path, f"several accounts ({ids})", name)


def _refuse_subaccounts(findings: Findings, path: KeyPath, beside: str, credentials: str) -> None:
    findings.mistake(
        (*path, _SUBACCOUNTS),
        f"{_SUBACCOUNTS} beside {beside} of the same credentials ({credentials}):"
        " records would be bought twice",
        f"remove {_SUBACCOUNTS}, or keep this account alone",
    )


def _warn_of_overlaps(
    findings: Findings, compared: Sequence[tuple[Series, SeriesTemplate]]
) -> None:
    by_product: dict[str, list[tuple[Series, SeriesTemplate]]] = defaultdict(list)
    for series, variant in compared:
        by_product[series.product].append((series, variant))
    for alike in by_product.values():
        for first, second in combinations(alike, 2):
            _warn_of_overlap(findings, first, second)


def _warn_of_overlap(
    findings: Findings, first: tuple[Series, SeriesTemplate], second: tuple[Series, SeriesTemplate]
) -> None:
    wider, narrower = covers(first[0], second[0]), covers(second[0], first[0])
    if not wider and not narrower:
        return
    (_, earlier), (_, later) = first, second
    place = f"{_entry(earlier)} in {findings.document.place(earlier.path)} ({earlier})"
    if wider and narrower:
        fields = one_of(differing(first[0], second[0]), "and")
        what = f"{later} has the same records as {place}; only {fields} differs"
        remedy = "drop one of the two, or its records are bought twice"
    else:
        kind = "is a part of" if wider else "holds all of"
        what = f"{later} {kind} {place}"
        remedy = "drop the narrower one, or its records are bought twice"
    findings.warning(later.path, what, remedy)


def _entry(variant: SeriesTemplate) -> str:
    return f"products[{variant.path[-1]}]"
