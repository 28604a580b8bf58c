"""Reads job files into `Job` objects: each part by itself, so no mistake hides another."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from orchestrator.config import parsers
from orchestrator.config.document import Findings
from orchestrator.config.job_entries import ChunkEntry, JobHead, window
from orchestrator.config.parsers import InvalidValue, spelled_duration
from orchestrator.config.product_entries import SeriesTemplate, variants
from orchestrator.config.sections import section, slots_of
from orchestrator.config.series import accounts, expand
from orchestrator.config.yaml_tree import read_document
from orchestrator.core import vonage
from orchestrator.core.model import Job
from orchestrator.errors import InputError, Mistake

_REQUIRED: Final = (
    ("accounts", "[abcd1234]"),
    ("products", "[VERIFY-API]"),
    ("windows", "[yesterday]"),
)


def read_jobs(
    paths: Sequence[Path],
    *,
    credentials: Collection[str] | None = None,
    now: datetime | None = None,
) -> tuple[tuple[Job, ...], tuple[Mistake, ...], tuple[Mistake, ...]]:
    """The jobs of one command in the order of its files, the mistakes, and the warnings.

    Jobs that have mistakes are left out; two jobs of one name are a mistake.

    Args:
        credentials: the names that the config has; None leaves names unchecked.
        now: windows that begin later get a warning; None leaves that out.
    """
    jobs: list[Job] = []
    mistakes: list[Mistake] = []
    warnings: list[Mistake] = []
    names: dict[str, Path] = {}
    seen: dict[Path, Path] = {}
    for path in paths:
        real = path.resolve()
        if real in seen:
            what = "is named twice" if path == seen[real] else f"is the same file as {seen[real]}"
            mistakes.append(Mistake(str(path), 0, 0, "", what, "name it once"))
            continue
        seen[real] = path
        try:
            findings = Findings(read_document(path))
        except InputError as error:
            mistakes += error.mistakes
            continue
        name, job = _read_job(findings, path, credentials, now)
        if name in names:
            what = f"{name} is the name of {names[name]} too"
            findings.mistake(("name",), what, "give one of the two another name")
        elif name:
            names[name] = path
        mistakes += findings.mistakes
        warnings += findings.warnings
        if not findings.mistakes:
            jobs.append(job)
    return tuple(jobs), tuple(mistakes), tuple(warnings)


def _read_job(
    findings: Findings, path: Path, credentials: Collection[str] | None, now: datetime | None
) -> tuple[str, Job]:
    """The name (empty if it is wrong) and the job, of which mistakes leave parts out."""
    content = findings.document.content
    head = JobHead(**section(slots_of(JobHead), findings, (), content))
    name = head.name or ("" if "name" in content else _name_of(findings, path))
    size = head.chunk if head.chunk is not None else {}
    size = size if isinstance(size, dict) else {"max": size}
    chunk = ChunkEntry(**section(slots_of(ChunkEntry), findings, ("chunk",), size))
    found = accounts(findings, head, credentials)
    asked = [
        variant
        for number, value in enumerate(head.products)
        for variant in variants(findings, ("products", number), value)
    ]
    specs = [
        window(findings, ("windows", number), value, head.timezone, now)
        for number, value in enumerate(head.windows)
    ]
    for key, example in _REQUIRED:
        if key not in content:
            findings.mistake((), f"{key} is missing", f"add it, such as {key}: {example}")
        elif content[key] == []:
            findings.mistake((key,), "is an empty list", f"add an entry, such as {example}")
    if head.refetch is not None and head.refetch <= head.settle:
        what = (
            f"{spelled_duration(head.refetch)} is not longer than settle "
            f"({spelled_duration(head.settle)}): all is older than that when it is asked for"
        )
        findings.mistake(("refetch",), what, "write a longer one, or remove the key")
    if head.settle < vonage.STATUS_SETTLES:
        _warn_of_unsettled(findings, asked, head.settle)
    job = Job(
        name=name,
        path=path,
        zone=head.timezone,
        series=expand(findings, found, asked),
        windows=tuple(spec for spec in specs if spec is not None),
        chunk=chunk.max,
        settle=head.settle,
        refetch=head.refetch,
        callback_url=head.callback_url,
        target_rows=chunk.target_rows,
    )
    return name, job


def _name_of(findings: Findings, path: Path) -> str:
    try:
        return parsers.name(path.stem)
    except InvalidValue as unfit:
        what = f"the job takes its name from the file, and {unfit.what}"
        findings.mistake((), what, f"{unfit.remedy} behind `name:`")
        return ""


def _warn_of_unsettled(
    findings: Findings, asked: Sequence[SeriesTemplate], settle: timedelta
) -> None:
    for variant in asked:
        if "status" in variant.fields:
            findings.warning(
                (*variant.path, "status"),
                f"a status can change for {spelled_duration(vonage.STATUS_SETTLES)}, and settle is"
                f" {spelled_duration(settle)}: records that get this status later are missed",
                "drop the filter, or write settle: 3d",
            )
