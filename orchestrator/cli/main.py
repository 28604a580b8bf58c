"""The entry point: finds the command, and turns every ending into an exit code and words."""

import gc
import importlib
import sys
from contextvars import copy_context
from typing import Final

import click
from click.shell_completion import CompletionItem

from orchestrator.cli.output import log_line, say
from orchestrator.cli.streams import guard
from orchestrator.core.policy import ExitCode, code_of, most_telling
from orchestrator.errors import InputError
from orchestrator.texts import printable
from orchestrator.version import __version__

COMMANDS: Final = {
    "init": "Write the first config and job file, by questions or options.",
    "run": "Collect what the jobs want: submit, watch, download, verify.",
    "plan": "Show what a run would ask for. Sends nothing.",
    "status": "Show where every report stands, and why.",
    "files": "List the collected files.",
    "verify": "Read every collected file again and compare it with the ledger.",
    "query": "Answer SQL over the collected files.",
    "cancel": "Cancel at the API what is open.",
    "resolve": "Decide about a report that the tool will not decide for you.",
    "erase": "Remove collected files of old windows, for good.",
    "check": "Check config, credentials, clock, disk and the way to the API. Costs nothing.",
    "backup": "Copy the ledger to a file, also during a run.",
    "schema": "Print the JSON Schema of job files or of the config, for editors.",
    "completion": "Print the completion script of bash, zsh or fish.",
    "simulate": "Start a simulated Reports API on this machine.",
    "demo": "Collect the demo job from a simulator, end to end. Needs no account.",
}
"""The commands in the order of the help, with their first lines."""


_BUG: Final = (
    "internal error (please report it); your data is safe: the ledger has every step up to here, "
    "and `orchestrator run JOB` goes on from there"
)


class Commands(click.Group):
    """Loads a command's module when it is called, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All of them, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"orchestrator.cli.commands.{cmd_name}")
        if not gc.isenabled():  # `start.entry` has switched it off
            gc.freeze()
            gc.enable()
        command: click.Command = module.command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so; no module of a command is loaded for it."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        commands = [
            CompletionItem(name, help=first_line)
            for name, first_line in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *options]

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """The list for `--help`, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try `orchestrator demo` first; `orchestrator COMMAND --help` explains each command. "
    "Exit codes: 0 all is collected, 1 something needs you, 2 bad input, 3 another run is "
    "active, 75 not finished: run it again. The README has them all.",
)
@click.version_option(__version__, prog_name="orchestrator")
def main() -> None:
    """Collect every record of your accounts from the Vonage Reports API.

    A YAML job file lists accounts, products and windows of time; `run` asks for the reports that
    are missing, waits for them, and leaves verified files. It can be stopped at any moment and
    run again: nothing is lost, and nothing is paid for twice.
    """


def entry() -> int:
    """Runs the command line of this process; its exit code."""
    arguments = sys.argv[1:]
    output, errors = guard()
    code = call(arguments)
    output.flush()
    errors.flush()
    told_nothing = output.lost and _answers_on_stdout(arguments)
    if told_nothing and code not in (ExitCode.BAD_INPUT, ExitCode.LOCKED):
        click.echo("error: the answer could not be written to standard output", err=True)
        code = ExitCode.DISK
    return code


def _answers_on_stdout(arguments: list[str]) -> bool:
    """Whether what the command writes there is what it was called for.

    A run is called for its files; its summary can be had again from `status`.
    """
    if any(option in arguments for option in ("--json", "--dry-run", "--help", "-h", "--version")):
        return True
    name = next((argument for argument in arguments if argument in COMMANDS), "")
    return name not in ("init", "run", "demo", "simulate", "cancel", "resolve", "erase")


def call(arguments: list[str]) -> int:
    """Runs one command line; the exit code."""
    # What `commands.remember` keeps is of this command line alone.
    return copy_context().run(_call, arguments)


def _call(arguments: list[str]) -> int:
    try:
        result = main.main(args=arguments, prog_name="orchestrator", standalone_mode=False)
        return int(result or 0)
    except click.ClickException as error:
        if _in_json(arguments):
            _tell_json(error.format_message(), ExitCode.BAD_INPUT)
        else:
            error.show(sys.stderr)
        return ExitCode.BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BaseExceptionGroup as group:
        return _end(most_telling(group), as_json=_in_json(arguments))
    except Exception as error:  # noqa: BLE001 - the last place that can say something
        return _end(error, as_json=_in_json(arguments))


def _in_json(arguments: list[str]) -> bool:
    """Whether lines on standard error are to be JSON, whatever else is wrong with the command."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return "--log-format=json" in arguments or ("--log-format", "json") in pairs


def _tell_json(text: str, code: ExitCode, **facts: str) -> None:
    """An error as a line of the log in JSON."""
    from orchestrator.reporting.json_fields import exit_fields  # noqa: PLC0415 - start-up time

    click.echo(log_line("error", text, type="error", **exit_fields(code), **facts), err=True)


def _end(error: BaseException, *, as_json: bool) -> int:
    """Says what ended the command; the exit code."""
    code = code_of(error)
    texts = [str(error)]
    if isinstance(error, InputError):
        texts = [str(mistake) for mistake in error.mistakes]
    if code is ExitCode.BUG:
        import traceback  # noqa: PLC0415 - only a bug needs it

        # Without the values of variables: a secret may be among them.
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        if as_json:
            _tell_json(_BUG, code, traceback=trace)
        else:
            click.echo(trace, err=True, nl=False)
            say(f"orchestrator: {_BUG}", err=True)
    elif as_json:
        for text in texts:
            _tell_json(text, code)
    else:
        for text in texts:
            say(f"error: {printable(text)}", err=True)
        if len(texts) > 1:
            click.echo(f"{len(texts)} mistakes; nothing was sent.", err=True)
    return code
