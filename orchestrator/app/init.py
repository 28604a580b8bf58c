"""Writes the first config and job file of a user, and their schemas; never over a file."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.config import config_schema, job_schema
from orchestrator.config.amounts import currency, price
from orchestrator.config.dates import zone
from orchestrator.config.messages import suggestion
from orchestrator.config.parsers import InvalidValue, account_id, name, whole_number
from orchestrator.config.references import API_KEY, is_literal, reference
from orchestrator.core.products import PRODUCTS, DirectionRule, canonical_name
from orchestrator.core.settings import Secret
from orchestrator.errors import InputError, Mistake, OutputError
from orchestrator.fsync import sync_folder
from orchestrator.simulator.settings import DEFAULT_KEYS

CONFIG: Final = "config.yaml"
SCHEMA_FOLDER: Final = "schema"
SIMULATOR_PORT: Final = 8700  # The port that `init --simulator` writes down.
MAX_DAYS: Final = 3650  # The longest window that counts back from today: ten years.
VARIABLES: Final = ("${VONAGE_API_KEY}", "${VONAGE_API_SECRET}")
_SECRET: Final = Secret(VARIABLES[1])

CHANNELS: Final = {
    "SMS": "text messages of the SMS API",
    "MESSAGES": "WhatsApp, RCS, Viber, Messenger, Instagram, MMS: the Messages API",
    "VOICE-CALL": "phone calls",
    "VERIFY-API": "one-time codes of the first Verify API",
    "VERIFY-V2": "one-time codes of the second Verify API",
    "NUMBER-INSIGHT": "look-ups of phone numbers",
    "VIDEO-API": "video sessions; records are kept 90 days only",
}
"""The products that most accounts use, and which channel each one is."""


@dataclass(frozen=True, slots=True)
class InitRequest:
    """What the files are to say.

    Attributes:
        directory: where they go; made if it is not there.
        days: how many days before today the job wants; 1 is yesterday.
        api_key: the key, or a reference to it.
        api_secret: a reference to the secret, or the secret.
        price: price of one record as a decimal number; empty: not known.
        currency: three letters, or empty.
        simulator_port: where a simulator on this machine will listen; None: the real API.
        with_schemas: also write the JSON Schemas that the first line of each file names.
    """

    directory: Path
    accounts: tuple[str, ...]
    products: tuple[str, ...] = ("SMS",)
    job: str = "nightly"
    timezone: str = "UTC"
    days: int = 1
    api_key: str = VARIABLES[0]
    api_secret: Secret = _SECRET
    price: str = ""
    currency: str = ""
    simulator_port: int | None = None
    with_schemas: bool = True


@dataclass(frozen=True, slots=True)
class InitResult:
    """The files that were written."""

    config: Path
    job: Path
    schemas: tuple[Path, ...] = ()


def write_first_files(request: InitRequest) -> InitResult:
    """Writes the config, private to the user, and the job file.

    Raises:
        InputError: every answer that is wrong, or every file that is there already; nothing is
            written then.
        OutputError: the disk; what was written is removed again.
    """
    _check(request)
    folder = request.directory
    result = InitResult(
        folder / CONFIG,
        folder / f"{request.job}.yaml",
        tuple(folder / SCHEMA_FOLDER / f"{kind}.json" for kind in ("config", "job"))
        if request.with_schemas
        else (),
    )
    texts = {result.config: config_text(request), result.job: job_text(request)}
    for path, schema in zip(result.schemas, (config_schema(), job_schema()), strict=False):
        texts[path] = json.dumps(schema, indent=1) + "\n"
    taken = [path for path in texts if os.path.lexists(path)]
    if taken:
        remedy = "give another directory, or move it away; `init` never writes over a file"
        raise InputError([_mistake(str(path), "", "is there already", remedy) for path in taken])
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in texts.items():
            path.parent.mkdir(exist_ok=True)
            _write(path, content, private=path == result.config, written=written)
        for directory in {path.parent for path in texts}:
            sync_folder(directory)
    except OSError as error:
        for path in written:
            with suppress(OSError):
                path.unlink()
        what = f"cannot write {error.filename or folder}: {error.strerror}"
        raise OutputError(f"{what}; choose another directory") from error
    return result


def _write(path: Path, content: str, *, private: bool, written: list[Path]) -> None:
    # Private from its first byte: it may hold the secret.
    rights = 0o600 if private else 0o644
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, rights)
    written.append(path)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


# --- what an answer may be ------------------------------------------------------------------------


def product_name(word: str) -> str:
    """A product that the API knows, spelled as it does.

    Raises:
        InvalidValue: it is not known, or its entry needs more than a name.
    """
    product = canonical_name(word.strip().upper().replace("_", "-"))
    if product not in PRODUCTS:
        remedy = suggestion(product, PRODUCTS, "docs/job-file.md lists the products")
        raise InvalidValue(f"{word!r} is not a product", remedy)
    if PRODUCTS[product].required:
        fields = ", ".join(sorted(PRODUCTS[product].required))
        raise InvalidValue(f"{product} also needs {fields}", "add it to the job file by hand")
    return product


def key_reference(word: str) -> str:
    """An API key, or a reference to one; what is wrong is not shown.

    Raises:
        InvalidValue: it is neither.
    """
    text = reference(word)
    if is_literal(text) and not API_KEY.fullmatch(text):
        what = "is not an API key (8 letters or digits)"
        raise InvalidValue(what, "copy it from the dashboard, or write ${NAME} or file:PATH")
    return text


def days_back(value: object) -> int:
    """How many days before today are wanted.

    Raises:
        InvalidValue: it is not a number from 1 to `MAX_DAYS`.
    """
    return whole_number(str(value), 1, MAX_DAYS)


def _check(request: InitRequest) -> None:
    checks: list[tuple[str, Callable[[str], object], str]] = [
        *(("--account", account_id, each) for each in request.accounts),
        *(("--product", product_name, each) for each in request.products),
        ("--job", name, request.job),
        ("--timezone", zone, request.timezone),
        ("--days", days_back, str(request.days)),
        ("--key-from", key_reference, request.api_key),
        ("--secret-from", reference, request.api_secret.reveal()),
    ]
    if request.price:
        checks.append(("--price", price, request.price))
    if request.currency:
        checks.append(("--currency", currency, request.currency))
    mistakes = []
    for option, check, value in checks:
        try:
            check(value)
        except InvalidValue as error:
            mistakes.append(_mistake("", option, error.what, error.remedy))
    if not request.accounts:
        remedy = "add --account with the 8 letters or digits that the dashboard shows"
        mistakes.append(_mistake("", "--account", "is missing", remedy))
    for option, values in (("--account", request.accounts), ("--product", request.products)):
        twice = sorted({each for each in values if values.count(each) > 1})
        mistakes += [_mistake("", option, f"{each} stands twice", "give it once") for each in twice]
    if request.job == CONFIG.removesuffix(".yaml"):
        mistakes.append(_mistake("", "--job", f"{CONFIG} is the config", "choose another name"))
    if mistakes:
        raise InputError(mistakes)


def _mistake(file: str, key: str, what: str, remedy: str) -> Mistake:
    return Mistake(file, 0, 0, key, what, remedy)


# --- the texts ------------------------------------------------------------------------------------


def config_text(request: InitRequest) -> str:
    """The config file: credentials, where files go, and what a record costs."""
    return "\n".join([*_schema_line(request, "config"), *_config_lines(request)]) + "\n"


def _config_lines(request: InitRequest) -> Iterator[str]:
    yield "# The config of orchestrator: whose key asks, and where files go. What is left out has"
    yield "# its default. Every key: docs/config.md. Keep this file private (chmod 600)."
    yield ""
    if request.simulator_port is not None:
        yield "# A simulator on this machine; start it with the command that `init` named. Remove"
        yield "# `api` and `poll`, and name your own key, to talk to the real API."
        yield "api:"
        yield f"  base_url: http://127.0.0.1:{request.simulator_port}"
        yield "poll: {interval_initial: 300ms, interval_max: 1s}"
        yield ""
    yield "# The API key and the API secret stand on the first page of https://dashboard.vonage.com."
    yield "# Each value is ${VARIABLE}, file:PATH, command:LINE (its output) or the text itself."
    yield "credentials:"
    yield "  default:"
    key, secret = request.api_key, request.api_secret.reveal()
    if request.simulator_port is not None:
        key, secret = DEFAULT_KEYS[0].api_key, DEFAULT_KEYS[0].api_secret
    # JSON is YAML, and quotes whatever needs it.
    yield f"    api_key: {json.dumps(key, ensure_ascii=False)}"
    yield f"    api_secret: {json.dumps(secret, ensure_ascii=False)}"
    yield ""
    yield "# Collected files; a report can have gigabytes. Also csv.gz, csv.zst, zip, parquet."
    yield "output: {directory: reports, format: csv}"
    yield ""
    yield "# What was asked for, and what became of it. Keep it as carefully as the files: without"
    yield "# it they would be bought again. It must be on a local disk."
    yield "state: state/ledger.db"
    yield ""
    yield "# Every record that a report contains is paid. The price is in your contract, or on the"
    yield "# vendor's price list; with it `orchestrator plan JOB` shows money beside records."
    if request.price:
        yield f"price_per_record: {request.price}"
    else:
        yield "# price_per_record: 0.00005"
    if request.currency:
        yield f"currency: {request.currency.upper()}"
    else:
        yield "# currency: EUR"
    yield ""
    yield "# The most that one run may ask for; it stops before it, and the next run goes on."
    yield "# limits: {max_records: 2 million}"


def job_text(request: InitRequest) -> str:
    """The job file: accounts, products and time."""
    return "\n".join([*_schema_line(request, "job"), *_job_lines(request)]) + "\n"


def _job_lines(request: InitRequest) -> Iterator[str]:
    yield "# A job of orchestrator: whose records, which, and for which time. Every key:"
    yield "# docs/job-file.md. What is collected is never bought again."
    yield "#"
    yield "# The name is the job's identity: what its past runs still owe belongs to it. Keep it."
    yield f"name: {request.job}"
    yield ""
    yield "# Days begin at midnight in this zone."
    yield f"timezone: {request.timezone}"
    yield ""
    yield "# Your API key is the id of its own account; a primary account may also ask for its"
    yield "# subaccounts."
    yield "accounts:"
    for account in request.accounts:
        yield f"  - {account}"
    yield ""
    yield "# Each product is one channel, and one report a month (of some: one for each direction)."
    yield "# Remove the # before a line to collect it as well."
    yield "products:"
    chosen = [product_name(each) for each in request.products]
    for product in dict.fromkeys([*CHANNELS, *chosen]):
        if product in CHANNELS:
            yield f"  # {CHANNELS[product]}"
        yield f"  {'' if product in chosen else '# '}- {_entry(product)}"
    yield ""
    yield "# `yesterday` moves with the calendar: run the job every night. A night that was missed"
    yield "# is made up for. Of the past: {from: 2026-01-01, to: 2026-03-01}; `to` is exclusive."
    yield "windows:"
    yield f"  - {'yesterday' if request.days == 1 else f'{{last: {request.days} days}}'}"
    yield ""
    yield "# Records may arrive late: a day is asked for only when it has been over for so long."
    yield "settle: 3h"


def _entry(product: str) -> str:
    if PRODUCTS[product].direction is DirectionRule.REQUIRED:
        return f"{{product: {product}, direction: [outbound, inbound]}}"
    return product


def _schema_line(request: InitRequest, kind: str) -> list[str]:
    """What editors with a YAML language server read: keys complete, and mistakes are underlined."""
    if not request.with_schemas:
        return []
    return [f"# yaml-language-server: $schema={SCHEMA_FOLDER}/{kind}.json"]
