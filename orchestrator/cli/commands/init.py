"""`init`: writes the first config and job file, by questions on a terminal or by options."""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import click
from click.core import ParameterSource

from orchestrator.app.files import from_here
from orchestrator.app.init import (
    CHANNELS,
    SIMULATOR_PORT,
    VARIABLES,
    InitRequest,
    days_back,
    key_reference,
    product_name,
    write_first_files,
)
from orchestrator.cli.output import say
from orchestrator.config.amounts import price
from orchestrator.config.dates import zone
from orchestrator.config.discovery import VARIABLE, working_directory
from orchestrator.config.parsers import InvalidValue, account_id, variable
from orchestrator.config.references import is_literal, reference
from orchestrator.core.policy import ExitCode
from orchestrator.core.settings import Secret
from orchestrator.errors import InputError, Mistake
from orchestrator.simulator.settings import DEFAULT_KEYS

T = TypeVar("T")

_OLD_VARIABLES: Final = ("${NEXMO_API_KEY}", "${NEXMO_API_SECRET}")


@click.command(
    epilog="Example: `orchestrator init --account abcd1234 --product SMS --product VOICE-CALL`; "
    "without an account, from an empty directory: `orchestrator init --simulator`."
)
@click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False), default=Path(), required=False
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="ID",
    help="An account whose records are wanted; may be given again for others.",
)
@click.option(
    "--product",
    "products",
    multiple=True,
    default=("SMS",),
    metavar="NAME",
    help="A product, such as SMS or VOICE-CALL; may be given again. Default: SMS.",
)
@click.option("--job", default="nightly", show_default=True, help="Name of the job and its file.")
@click.option(
    "--timezone", default="UTC", metavar="ZONE", help="Where days begin at midnight. Default: UTC."
)
@click.option(
    "--days",
    type=int,
    default=1,
    metavar="N",
    help="How many days before today the job wants. Default: 1, yesterday.",
)
@click.option(
    "--key-from",
    "api_key",
    metavar="REFERENCE",
    help="Where the API key is: ${NAME}, file:PATH, or the key. Default: ${VONAGE_API_KEY}.",
)
@click.option(
    "--secret-from",
    "api_secret",
    metavar="REFERENCE",
    help="Where the API secret is: ${NAME}, file:PATH or command:LINE. "
    "Default: ${VONAGE_API_SECRET}.",
)
@click.option(
    "--price", default="", metavar="NUMBER", help="What one record costs you, such as 0.00005."
)
@click.option("--currency", default="", metavar="CODE", help="The price's currency, such as EUR.")
@click.option(
    "--simulator",
    is_flag=True,
    help="Write files for a simulator on this machine; asks nothing, needs no account.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=SIMULATOR_PORT,
    show_default=True,
    help="Where the simulator will listen.",
)
@click.option("--no-input", is_flag=True, help="Ask nothing; options left out have their defaults.")
@click.option("--no-schema", is_flag=True, help="Write no JSON Schemas for editors.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    directory: Path,
    accounts: tuple[str, ...],
    products: tuple[str, ...],
    job: str,
    timezone: str,
    days: int,
    api_key: str | None,
    api_secret: str | None,
    price: str,
    currency: str,
    simulator: bool,
    port: int,
    no_input: bool,
    no_schema: bool,
) -> int:
    """Write config.yaml and a job file with comments into DIRECTORY (the current one by default).

    On a terminal it asks for what no option says. It never writes over a file that is there, and
    sends nothing. It ends by naming the next command.
    """
    working_directory()
    _refuse_secret_on_command_line(api_secret)
    default_key, default_secret = _default_references()
    request = InitRequest(
        directory, accounts, products, job, timezone, days, api_key or default_key,
        Secret(api_secret or default_secret), price, currency,
        port if simulator else None, not no_schema,
    )  # fmt: skip
    if simulator:
        request = replace(request, accounts=accounts or (DEFAULT_KEYS[0].api_key,))
    elif not no_input and sys.stdin.isatty() and sys.stderr.isatty():
        typed = ParameterSource.COMMANDLINE
        given = {name for name in ctx.params if ctx.get_parameter_source(name) is typed}
        request = _asked(request, given)
    result = write_first_files(request)
    for path in (result.config, result.job, *result.schemas):
        say(f"wrote {from_here(path)}")
    _next_commands(request, shlex.quote(from_here(result.job)))
    return ExitCode.DONE


def _refuse_secret_on_command_line(written: str | None) -> None:
    if written and is_literal(written):
        what = "is neither ${NAME} nor file:PATH; other users of this machine see command lines"
        remedy = "export the secret as VONAGE_API_SECRET, or type it when `init` asks"
        raise InputError([Mistake("", 0, 0, "--secret-from", what, remedy)])


def _default_references() -> tuple[str, str]:
    """The variables that hold the credentials: the older names where only those are set."""
    if not _is_set(VARIABLES[0]) and _is_set(_OLD_VARIABLES[0]):
        return _OLD_VARIABLES
    return VARIABLES


def _is_set(text: str) -> bool:
    return bool(os.environ.get(variable(text) or ""))


# --- questions ------------------------------------------------------------------------------------


def _asked(request: InitRequest, given: set[str]) -> InitRequest:
    """The request, with answers to what no option says."""
    _tell(
        "This writes config.yaml and a job file. Nothing is sent and nothing is paid. Enter takes "
        "the answer in brackets, Ctrl-C stops."
    )
    if "api_key" not in given:
        _tell(
            "API key and API secret stand on the first page of https://dashboard.vonage.com. The "
            "config may name variables of the environment (${NAME}), files (file:PATH) or commands "
            "(command:LINE), or hold the text itself: only you can read it."
        )
        request = replace(request, api_key=_ask("API key", key_reference, request.api_key))
    if "api_secret" not in given:
        secret = _ask("API secret (not shown)", reference, request.api_secret.reveal(), hidden=True)
        request = replace(request, api_secret=Secret(secret))
    if "accounts" not in given:
        _tell(
            "The API key is the id of its own account; a primary account may also ask for its "
            "subaccounts. Several: with commas."
        )
        own = request.api_key if is_literal(request.api_key) else None
        accounts = _ask("Accounts", lambda text: _each(account_id, text), own)
        request = replace(request, accounts=accounts)
    if "products" not in given:
        _tell("Each product is one channel:")
        for name, channel in CHANNELS.items():
            click.echo(f"  {name:15} {channel}", err=True)
        chosen = _ask("Products", lambda text: _each(product_name, text), "SMS")
        request = replace(request, products=chosen)
    if "timezone" not in given:
        _tell("Days begin at midnight of a time zone, such as Europe/London.")
        request = replace(request, timezone=str(_ask("Time zone", zone, request.timezone)))
    if "days" not in given:
        days = _ask("How many days before today (1: yesterday)", days_back, str(request.days))
        request = replace(request, days=days)
    if "price" not in given:
        _tell(
            "Every record that a report contains is paid; what is collected is never bought again. "
            "The price is in your contract. With it `orchestrator plan JOB` shows money."
        )
        text = _ask(
            "Price of one record (Enter: not known)",
            lambda written: str(price(written)) if written else "",
            "",
        )
        request = replace(request, price=text)
    click.echo(err=True)
    return request


def _tell(text: str) -> None:
    click.echo(err=True)
    say(text, err=True)


def _ask(
    question: str, read: Callable[[str], T], default: str | None, *, hidden: bool = False
) -> T:
    """The answer, once it is one that fits; asks again until then."""

    def checked(text: str) -> T:
        try:
            return read(text.strip())
        except InvalidValue as error:
            raise click.UsageError(f"{question}: {error.what}; {error.remedy}") from None

    answer: T = click.prompt(
        question,
        default=default,
        value_proc=checked,
        hide_input=hidden,
        show_default=bool(default),
        err=True,
    )
    return answer


def _each(read: Callable[[str], str], text: str) -> tuple[str, ...]:
    """The values between commas or spaces, each once."""
    values = tuple(dict.fromkeys(read(part) for part in text.replace(",", " ").split()))
    if not values:
        raise InvalidValue("is empty", "write at least one")
    return values


# --- what comes next ------------------------------------------------------------------------------


def _next_commands(request: InitRequest, job: str) -> None:
    if os.environ.get(VARIABLE):
        say(f"${VARIABLE} names another config, which counts instead: unset it first", err=True)
    if request.simulator_port is not None:
        click.echo("\nNext, start the simulator in another terminal:")
        click.echo(f"  orchestrator simulate --port {request.simulator_port} --speed 20")
        click.echo("Then:")
    else:
        click.echo("\nNext:")
        pair = (request.api_key, request.api_secret.reveal())
        missing = [variable(each) for each in pair if variable(each) and not _is_set(each)]
        if missing:
            click.echo(f"  export {' '.join(f'{each}=…' for each in missing)}")
        click.echo(f"  orchestrator check {job}   # key, rights, clock, disk; costs nothing")
        click.echo(f"  orchestrator plan {job}    # what a run would ask for; sends nothing")
    reports = from_here(request.directory / "reports")
    click.echo(f"  orchestrator run {job}     # collects it, into {reports}")
