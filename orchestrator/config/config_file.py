"""Reads the config file into a `Config`: defaults filled in, paths absolute, secrets unresolved."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from orchestrator.config import amounts, parsers
from orchestrator.config.columns import check_columns
from orchestrator.config.document import Findings, KeyPath
from orchestrator.config.keys import (
    declared,
    defaults_of,
    fields_of,
    is_section,
    required_settings_of,
    settings_of,
    slots_of_settings,
)
from orchestrator.config.messages import one_of, suggestion
from orchestrator.config.parsers import InvalidValue, StoreUrl, spelled_duration
from orchestrator.config.references import Origin, key_reference, secret_reference
from orchestrator.config.regular_files import open_regular
from orchestrator.config.sections import Slot, Slots, as_it_stands, entry, section
from orchestrator.config.yaml_tree import read_document
from orchestrator.core.hosts import is_on_this_machine
from orchestrator.core.notifications import FIELDS, unknown_field
from orchestrator.core.settings import (
    CallbackSettings,
    Config,
    CredentialReference,
    NotificationTarget,
    OutputSettings,
    PollPolicy,
    Prices,
    RetryPolicy,
    Secret,
)
from orchestrator.core.vonage import REQUESTS_PER_SECOND
from orchestrator.errors import InputError, Mistake


def read_config(
    path: Path | None,
    *,
    base: Path,
    env: Mapping[str, str],
    named_by: str | None = None,
    opened: Callable[[Path], BinaryIO] = open_regular,
) -> tuple[Config | None, tuple[Mistake, ...], tuple[Mistake, ...]]:
    """The config, the mistakes and the warnings of its file.

    With mistakes the config is what could be read of it, so that others can be found against it;
    None where there is not even a file.

    Args:
        path: the file; None: all is default.
        base: where default paths begin when there is no file: the first job's directory.
        env: the environment, for the default credentials and ``~``.
        named_by: what messages call a file that cannot be opened; None: its path.
    """
    if path is None:
        origin = Origin(base, env)
        output = OutputSettings(**defaults_of(OutputSettings, origin))
        config = Config(None, default_credentials(env), output, **defaults_of(Config, origin))
        return config, (), ()
    try:
        findings = Findings(read_document(path, name=named_by, opened=opened))
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


_PRICE: Final = "price_per_record"
_SECTIONS: Final = tuple(key for key in declared(Config) if is_section(key))


_OTHER_KEYS: Final[Slots] = {
    **dict.fromkeys(("credentials", "notify", _PRICE), Slot(as_it_stands, None)),
    "currency": Slot(amounts.currency, Prices().currency),
}
"""The keys at the top of the file that `Config` does not declare."""


def _read(findings: Findings, path: Path, env: Mapping[str, str]) -> Config:
    origin = Origin(path.parent, env, path)
    # A section whose entries are all commented out is a section left out.
    may_be_empty = {"credentials", "notify", *(key.name for key in _SECTIONS)}
    content = findings.document.content
    given = {
        key: part for key, part in content.items() if part is not None or key not in may_be_empty
    }
    top = section(_OTHER_KEYS | slots_of_settings(Config, origin), findings, (), given)
    sections = {
        key.field.name: settings_of(
            key.kind, findings, (key.name,), given.get(key.name, {}), origin
        )
        for key in _SECTIONS
        if key.kind is not CallbackSettings
    }
    config = Config(
        path=path,
        credentials=(
            _credentials(findings, origin, given["credentials"])
            if "credentials" in given
            else default_credentials(env)
        ),
        callback=_callback(findings, given["callback"], origin) if "callback" in given else None,
        notify=_notify(findings, origin, given.get("notify")),
        prices=amounts.prices(findings, given.get(_PRICE), top["currency"]),
        **sections,
        **fields_of(Config, top),
    )
    config = _with_work_area(config)
    _check_order(findings, "retry", "wait_initial", "wait_max", config.retry)
    _check_order(findings, "poll", "interval_initial", "interval_max", config.poll)
    if config.metrics.textfile is not None and config.metrics.textfile.suffix != ".prom":
        # Each run replaces the file, so that a slip here would cost the ledger or a job file.
        what = "does not end in .prom, and the node exporter reads no other file"
        findings.mistake(("metrics", "textfile"), what, "let its name end in .prom")
    output = given.get("output")
    _warn_of_two_homes(findings, ("state",), given.get("state"), origin)
    if isinstance(output, dict):
        _warn_of_two_homes(findings, ("output", "directory"), output.get("directory"), origin)
    check_columns(findings, config.output)
    api = config.api
    if api.requests_per_second > REQUESTS_PER_SECOND and not is_on_this_machine(api.base_url):
        what = (
            f"the API allows a key {REQUESTS_PER_SECOND:g} requests a second and refuses the rest"
        )
        findings.warning(
            ("api", "requests_per_second"), what, f"write {REQUESTS_PER_SECOND:g} or less"
        )
    return config


def _with_work_area(config: Config) -> Config:
    """Files in an object store have their work area beside the ledger."""
    directory: object = config.output.directory
    if not isinstance(directory, StoreUrl):
        return config
    state = config.state
    # Each has its own: ledger.db and ledger.sqlite count their reports apart.
    name = f"{state.stem}-work" if state.suffix == ".db" else f"{state.name}.work"
    work_area = state.with_name(name)
    return replace(config, output=replace(config.output, directory=work_area, url=directory.text))


def _warn_of_two_homes(findings: Findings, where: KeyPath, written: Any, origin: Origin) -> None:
    """Warns where a path begins with ``~``, and a call with another HOME would take another."""
    if isinstance(written, str) and (written == "~" or written.startswith("~/")):
        conflict = origin.home_conflict()
        if conflict is not None:
            findings.warning(where, conflict, "write the whole path")


def _callback(findings: Findings, given: Any, origin: Origin) -> CallbackSettings | None:
    callback = required_settings_of(CallbackSettings, findings, ("callback",), given, origin)
    if callback is None:
        return None
    url = callback.public_url
    if urlsplit(url).scheme != "https" and not is_on_this_machine(url):
        what = "callbacks would come unencrypted, and whoever reads along could send false ones"
        remedy = f"write https{url[len('http') :]}"
        findings.warning(("callback", "public_url"), what, remedy)
    return callback


def _notify(findings: Findings, origin: Origin, given: Any) -> tuple[NotificationTarget, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        remedy = "write - {on: [failure], webhook: …}, one entry a line"
        findings.mistake(("notify",), "is not a list", remedy)
        return ()
    targets = []
    for number, value in enumerate(given):
        where = ("notify", number)
        target = required_settings_of(NotificationTarget, findings, where, value, origin)
        if target is not None and _is_sound(findings, where, target):
            targets.append(target)
    return tuple(targets)


def _is_sound(findings: Findings, where: KeyPath, target: NotificationTarget) -> bool:
    if (target.webhook is None) is (not target.command):
        both = "has a webhook and a command" if target.command else "has no webhook and no command"
        findings.mistake(where, both, "write either webhook: or command:")
        return False
    try:
        unknown = unknown_field(target.text)
    except ValueError:
        findings.mistake((*where, "text"), "has braces that do not match", "write {{ for a brace")
        return False
    if unknown is not None:
        remedy = suggestion(unknown, FIELDS, f"fields are {one_of(FIELDS, 'and')}")
        findings.mistake((*where, "text"), f"{{{unknown}}} is no field", remedy)
    return unknown is None


def _check_order(
    findings: Findings, name: str, first: str, last: str, settings: RetryPolicy | PollPolicy
) -> None:
    least, most = getattr(settings, first), getattr(settings, last)
    if least > most:
        what = f"{spelled_duration(least)} is more than {last} ({spelled_duration(most)})"
        given = first if (name, first) in findings.document.values else last
        if given == last:
            what = f"{spelled_duration(most)} is less than {first} ({spelled_duration(least)})"
        findings.mistake((name, given), what, f"let {first} be at most {last}")


def _credentials(findings: Findings, origin: Origin, given: Any) -> dict[str, CredentialReference]:
    where = ("credentials",)
    if not isinstance(given, dict):
        findings.mistake(
            where, "is not a mapping of names", "write {NAME: {api_key: …, api_secret: …}}"
        )
        return {}
    if not given:
        remedy = "add default: {api_key: …, api_secret: …}, or remove the key"
        findings.mistake(where, "names no credentials", remedy)
    return {
        name: reference
        for name, value in given.items()
        if (reference := _reference(findings, (*where, name), name, value, origin)) is not None
    }


def _reference(
    findings: Findings, where: KeyPath, name: str, value: Any, origin: Origin
) -> CredentialReference | None:
    """One entry of the credentials; None if nothing can be known by its name."""
    try:
        parsers.credentials_name(name)
    except InvalidValue as unfit:
        findings.mistake(where, unfit.what, unfit.remedy, at_key=True)
        return None
    if value is None:
        remedy = "write {api_key: …, api_secret: …}, or remove the name"
        findings.mistake(where, "is empty", remedy)
        return None
    if not isinstance(value, dict):
        # It may be a key of credentials without a name, so it is not known as a name.
        remedy = "write {NAME: {api_key: …, api_secret: …}}"
        findings.mistake(where, "is not a mapping of keys", remedy)
        return None
    slots = {
        "api_key": Slot(partial(key_reference, origin=origin)),
        "api_secret": Slot(partial(secret_reference, origin=origin)),
    }
    read = entry(slots, findings, where, value)
    if read is None:
        # Known by name all the same, so that jobs that use it are not blamed too.
        return CredentialReference(name, "", Secret(""))
    return CredentialReference(name, **read)
