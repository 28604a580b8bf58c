"""The config file to a `Config`: defaults filled in, paths made absolute, no secret looked up."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from orchestrator.config import config_entries as schema
from orchestrator.config import parsers
from orchestrator.config.ca_file import read_authorities
from orchestrator.config.findings import Findings
from orchestrator.config.parsers import InvalidValue, spelled_duration
from orchestrator.config.prices import prices
from orchestrator.config.sections import Entry, entry, section
from orchestrator.config.yaml_tree import read_document
from orchestrator.core.hosts import is_on_this_machine
from orchestrator.core.settings import (
    ApiSettings,
    CallbackSettings,
    Config,
    CredentialReference,
    Limits,
    OutputSettings,
    PollPolicy,
    RetryPolicy,
    Secret,
)
from orchestrator.core.vonage import REQUESTS_PER_SECOND
from orchestrator.errors import InputError, Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.config.yaml_tree import KeyPath

_SECTIONS: Final = ("api", "credentials", "output", "limits", "retry", "poll", "callback")


def load_config(
    path: Path | None, *, base: Path, env: Mapping[str, str]
) -> tuple[Config, tuple[Mistake, ...]]:
    """Reads the config; the warnings with it.

    Args:
        path: the file; None: all is default.
        base: where default paths begin when there is no file: the job files' directory.
        env: the environment, for the default credentials and ``~``.

    Raises:
        InputError: every mistake of the file.
    """
    config, mistakes, warnings = read_config(path, base=base, env=env)
    if config is None or mistakes:
        raise InputError(mistakes)
    return config, warnings


def read_config(
    path: Path | None,
    *,
    base: Path,
    env: Mapping[str, str],
    named_by: str | None = None,
    distrust: Callable[[os.stat_result], str | None] | None = None,
) -> tuple[Config | None, tuple[Mistake, ...], tuple[Mistake, ...]]:
    """As `load_config`, but returns (config, mistakes, warnings) and raises nothing.

    Where the file cannot be opened, messages call it `named_by`, not by its path. `distrust` as
    for `read_document`.

    With mistakes the config is what could be read of it, so that others can be found against it;
    None where there is not even a file.
    """
    if path is None:
        output = OutputSettings(_absolute(base, schema.OutputEntry().directory, env))
        state = _absolute(base, schema.ConfigHead().state, env)
        return Config(None, default_credentials(env), output, state), (), ()
    try:
        findings = Findings(read_document(path, name=named_by, regular=True, distrust=distrust))
    except InputError as error:
        return None, error.mistakes, ()
    config = _read(findings, path, env)
    return config, tuple(findings.mistakes), tuple(findings.warnings)


def default_credentials(env: Mapping[str, str]) -> dict[str, CredentialReference]:
    """``default`` from ``VONAGE_*``, or from ``NEXMO_*`` where only those are complete."""
    prefix = "VONAGE"
    if not _has_pair(env, "VONAGE") and _has_pair(env, "NEXMO"):
        prefix = "NEXMO"
    key, secret = f"${{{prefix}_API_KEY}}", Secret(f"${{{prefix}_API_SECRET}}")
    return {"default": CredentialReference("default", key, secret)}


def _has_pair(env: Mapping[str, str], prefix: str) -> bool:
    return bool(env.get(f"{prefix}_API_KEY") and env.get(f"{prefix}_API_SECRET"))


def _absolute(base: Path, written: str, env: Mapping[str, str]) -> Path:
    """The place that a path of a config means; relative ones begin at `base`.

    Raises:
        Unfit: it begins at a home directory that is not known.
    """
    if written == "~" or written.startswith("~/"):
        written = _home(env) + written[1:]
    elif written.startswith("~"):
        raise InvalidValue("begins at the home directory of another user", "write the whole path")
    return Path(os.path.normpath(base.absolute() / written))


def _home(env: Mapping[str, str]) -> str:
    """The home directory: a service may have no HOME, the password database knows it then."""
    if home := env.get("HOME"):
        return home
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = ""
    if not home.startswith("/"):
        what = "begins with ~, but this user has no home directory: HOME is not set, and the "
        what += "password database has none"
        raise InvalidValue(what, "set HOME, or write the whole path")
    return home


def _place(
    findings: Findings, path: KeyPath, base: Path, written: str, env: Mapping[str, str]
) -> Path:
    """As `_absolute`; what is wrong with the path is a mistake at its key."""
    try:
        return _absolute(base, written, env)
    except InvalidValue as unfit:
        findings.unfit(path, unfit)
        return base


def _read(findings: Findings, path: Path, env: Mapping[str, str]) -> Config:
    content = findings.document.content
    # A section whose entries are all commented out is a section left out.
    given = {key: part for key, part in content.items() if part is not None or key not in _SECTIONS}
    head = section(schema.ConfigHead, findings, (), given)
    api = section(schema.ApiEntry, findings, ("api",), given.get("api", {}))
    output = section(schema.OutputEntry, findings, ("output",), given.get("output", {}))
    limits = section(schema.LimitsEntry, findings, ("limits",), given.get("limits", {}))
    retry = section(schema.RetryEntry, findings, ("retry",), given.get("retry", {}))
    poll = section(schema.PollEntry, findings, ("poll",), given.get("poll", {}))
    _check_order(findings, "retry", "wait_initial", "wait_max", retry)
    _check_order(findings, "poll", "interval_initial", "interval_max", poll)
    if api.requests_per_second > REQUESTS_PER_SECOND and not is_on_this_machine(api.base_url):
        what = (
            f"the API allows a key {REQUESTS_PER_SECOND:g} requests a second and refuses the rest"
        )
        findings.warning(
            ("api", "requests_per_second"), what, f"write {REQUESTS_PER_SECOND:g} or less"
        )
    base = path.parent
    return Config(
        path=path,
        credentials=(
            _credentials(findings, path, given["credentials"], env)
            if "credentials" in given
            else default_credentials(env)
        ),
        output=OutputSettings(
            _place(findings, ("output", "directory"), base, output.directory, env),
            output.format,
            output.mode,
        ),
        state=_place(findings, ("state",), base, head.state, env),
        api=_api(findings, path, api, env),
        limits=Limits(
            limits.in_flight,
            limits.downloads,
            max_records=limits.max_records.run,
            max_records_day=limits.max_records.day,
            max_records_month=limits.max_records.month,
            max_cost=limits.max_cost.run,
            max_cost_day=limits.max_cost.day,
            max_cost_month=limits.max_cost.month,
        ),
        retry=RetryPolicy(retry.attempts, retry.wait_initial, retry.wait_max),
        poll=PollPolicy(poll.interval_initial, poll.interval_max, poll.timeout, poll.on_timeout),
        on_unknown=head.on_unknown,
        callback=_callback(findings, given["callback"]) if "callback" in given else None,
        prices=prices(findings, given.get("price_per_record"), head.currency),
    )


def _api(
    findings: Findings, path: Path, read: schema.ApiEntry, env: Mapping[str, str]
) -> ApiSettings:
    where = ("api", "proxy")
    proxy = None
    if read.proxy is not None:
        if schema.is_literal(read.proxy) and "@" in read.proxy:
            _refuse_if_open(findings, where, path, "a password stands")
        proxy = Secret(_anchored(findings, where, path.parent, read.proxy, env))
    authorities = ""
    if read.ca_file is not None:
        where = ("api", "ca_file")
        try:
            authorities = read_authorities(_absolute(path.parent, read.ca_file, env))
        except InvalidValue as unfit:
            findings.unfit(where, unfit)
    return ApiSettings(
        base_url=read.base_url,
        requests_per_second=read.requests_per_second,
        timeout=read.timeout,
        file_records=read.file_records,
        proxy=proxy,
        authorities=authorities,
    )


def _refuse_if_open(findings: Findings, where: KeyPath, path: Path, what: str) -> None:
    """A mistake where others may read a config in which a secret stands as text."""
    if path.stat().st_mode & 0o077:
        findings.mistake(
            where,
            f"{what} here, and others may read this file",
            "write ${NAME} or file:PATH instead, or make the file private:"
            f" chmod 600 {path.name}",
        )


def _callback(findings: Findings, given: Any) -> CallbackSettings | None:
    read = entry(schema.CallbackEntry, findings, ("callback",), given)
    if read is None:
        return None
    if urlsplit(read.public_url).scheme != "https" and not is_on_this_machine(read.public_url):
        what = "callbacks would come unencrypted, and whoever reads along could send false ones"
        remedy = f"write https{read.public_url[len('http') :]}"
        findings.warning(("callback", "public_url"), what, remedy)
    return CallbackSettings(read.listen, read.public_url)


def _check_order(findings: Findings, name: str, first: str, last: str, settings: Entry) -> None:
    least, most = getattr(settings, first), getattr(settings, last)
    if least > most:
        what = f"{spelled_duration(least)} is more than {last} ({spelled_duration(most)})"
        given = first if (name, first) in findings.document.values else last
        if given == last:
            what = f"{spelled_duration(most)} is less than {first} ({spelled_duration(least)})"
        findings.mistake((name, given), what, f"let {first} be at most {last}")


def _credentials(
    findings: Findings, path: Path, given: Any, env: Mapping[str, str]
) -> dict[str, CredentialReference]:
    where = ("credentials",)
    if not isinstance(given, dict):
        findings.mistake(
            where, "is not a mapping of names", "write {NAME: {api_key: …, api_secret: …}}"
        )
        return {}
    if not given:
        remedy = "add default: {api_key: …, api_secret: …}, or remove the key"
        findings.mistake(where, "names no credentials", remedy)
    found: dict[str, CredentialReference] = {}
    for name, value in given.items():
        try:
            parsers.name(name)
        except InvalidValue as unfit:
            findings.mistake((*where, name), unfit.what, unfit.remedy, at_key=True)
            continue
        if value is None:
            remedy = "write {api_key: …, api_secret: …}, or remove the name"
            findings.mistake((*where, name), "is empty", remedy)
            continue
        read = entry(schema.CredentialsEntry, findings, (*where, name), value)
        if read is None:
            # Known by name all the same, so that jobs that use it are not blamed too.
            found[name] = CredentialReference(name, "", Secret(""))
            continue
        if schema.is_literal(read.api_secret):
            _refuse_if_open(findings, (*where, name, "api_secret"), path, "a secret stands")
        key, secret = (
            _anchored(findings, (*where, name, part), path.parent, reference, env)
            for part, reference in (("api_key", read.api_key), ("api_secret", read.api_secret))
        )
        found[name] = CredentialReference(name, key, Secret(secret))
    return found


def _anchored(
    findings: Findings, path: KeyPath, base: Path, reference: str, env: Mapping[str, str]
) -> str:
    if reference.startswith("file:"):
        written = reference.removeprefix("file:").strip()
        return f"file:{_place(findings, path, base, written, env)}"
    return reference
