"""`demo`: the demonstration job, end to end, against a simulator of its own."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, Final

import click

from orchestrator.app.compare import Finding, Line, compare
from orchestrator.app.files import from_here
from orchestrator.app.setup import clock_of, credentials_of
from orchestrator.cli import options
from orchestrator.cli.displays import RunOutput
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import write_lines
from orchestrator.cli.run_process import run_in_this_process
from orchestrator.cli.simulating import WorldOptions, python_command
from orchestrator.cli.tables import aligned
from orchestrator.config.discovery import working_directory
from orchestrator.core.policy import ExitCode
from orchestrator.errors import InputError, OutputError
from orchestrator.reporting.phrases import size_words

JOB: Final = "demo.yaml"

_REACHES_BACK: Final = (
    "The job reaches back further than the real API keeps records, hence the warning; the "
    "simulator\nkeeps them all, so that the comparison is whole."
)


@click.command(
    epilog="Example: `orchestrator demo` makes a folder such as demo-20260301-063000, with the job "
    "file, the config, the ledger and the collected files to look at."
)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--now",
    type=options.Moment(),
    metavar="TIME",
    help="What the simulator and the run take as the present moment.",
)
@click.option(
    "--records-per-day",
    type=click.FloatRange(0, 100_000),
    default=20.0,
    show_default=True,
    help="About how many records a day each account has of each product and direction.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 10_000),
    default=15.0,
    show_default=True,
    help="Requests a second that the simulator allows each API key; the real one allows 5.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 1000),
    default=20.0,
    show_default=True,
    help="How many times faster than ours the simulator's clock runs.",
)
def command(
    *,
    directory: Path | None,
    now: datetime | None,
    records_per_day: float,
    rate: float,
    speed: float,
) -> int:
    """Show the whole way, from a job file to verified files, in half a minute.

    Starts a simulated Reports API, runs the demo job against it into DIRECTORY (a new one by
    default), compares every collected record with what the simulator has, and looks at its bill.
    Needs no account, sends nothing to the internet, costs nothing.
    """
    place = _place(directory)
    world = WorldOptions(speed=speed, rate=rate, records_per_day=records_per_day, now=now)
    job = place / JOB
    config = place / "config.yaml"
    job.write_text(job_text(), encoding="utf-8")
    click.echo(f"The job: {from_here(job)}. The API: a simulator on this machine.", err=True)
    click.echo(
        f"Its rate limit is {rate:g} requests a second for each key (the real one is 5), and its "
        f"clock runs {speed:g} times faster.\n",
        err=True,
    )
    with _simulator(world, config) as ready:
        inputs = read_inputs([job], config, now)
        clock = clock_of(now)
        credentials = credentials_of(inputs)
        output = RunOutput(
            credentials.values(), clock, as_json=False, log_format="text", quiet=False
        )
        run_summary = run_in_this_process(
            inputs, credentials=credentials, clock=clock, display=output.display
        )
        code = output.tell(run_summary, inputs)
        if isinstance(run_summary, ExitCode) or code is not ExitCode.DONE:
            return code
        if run_summary.plan_notes.past_retention is not None:
            click.echo(f"\n{_REACHES_BACK}", err=True)
        click.echo("\nComparing every record with the simulator's ...", err=True)
        finding = compare(inputs, world.settings(), ready["base_url"], run_summary.now)
    _show(finding, place)
    if finding.differences:
        return ExitCode.FINDINGS
    _next_steps(place, world, ready["base_url"])
    return ExitCode.DONE


def job_text() -> str:
    """The demonstration job: shipped in the package, or from the tree that it is built from."""
    for place in (
        package_files("orchestrator.cli") / "demo" / JOB,
        Path(__file__).parents[3] / "jobs" / JOB,
    ):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise OutputError(f"{JOB} is missing in this installation of orchestrator; install it again")


def _place(directory: Path | None) -> Path:
    """The directory, made.

    Raises:
        InputError: it holds something already, or the working directory is gone.
        OutputError: it cannot be made.
    """
    working_directory()
    # The folder's name is for people: by their own clock.
    place = directory or Path(f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}")
    if place.exists() and any(place.iterdir()):
        raise InputError(f"{place} is not empty; give a new directory, or none")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {place}: {error.strerror}") from error
    return place


@contextmanager
def _simulator(world: WorldOptions, config: Path) -> Iterator[dict[str, Any]]:
    """A simulator in a process of its own; what it said when it was ready.

    It ends when this process does, however that comes about: its input ends then.
    """
    arguments = [*world.arguments(), "--write-config", str(config), "--until-input-ends"]
    with subprocess.Popen(  # noqa: S603 - our own program
        python_command(arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is for the run, which may still need the simulator to finish what is in flight.
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise OutputError("the simulator did not start; see its words above")
            ready: dict[str, Any] = json.loads(line)
            yield ready
        finally:
            process.stdin.close()


def _show(finding: Finding, place: Path) -> None:
    total = Line("in all", "")
    for line in finding.lines:
        total.reports += line.reports
        total.rows += line.rows
        total.size_bytes += line.size_bytes
    names = ("account", "product", "files", "rows", "size")
    rows = (
        [line.account_id, line.product, f"{line.reports:,}", f"{line.rows:,}",
         size_words(line.size_bytes)]
        for line in (*finding.lines, total)
    )  # fmt: skip
    click.echo()
    write_lines(aligned(names, rows, right=frozenset(names[2:])))
    click.echo(f"\nThe files are under {from_here(place / 'reports')}.")
    if finding.differences:
        click.echo("They are NOT what the simulator has:")
        for difference in finding.differences:
            click.echo(f"  {difference}")
        return
    click.echo(
        f"All {finding.records:,} records match the simulator: none is missing, none is twice."
    )
    click.echo(f"Each was charged exactly once: {finding.charged:,} records on its bill.")


def _next_steps(place: Path, world: WorldOptions, base_url: str) -> None:
    port = int(base_url.rpartition(":")[2])
    program = _program()
    simulate = f"{program} {shlex.join(world.arguments(port))}"
    click.echo("\nNext, try:")
    click.echo(f"  cd {shlex.quote(from_here(place))}")
    steps = {
        f"{program} files {JOB}": "every file, its window, rows and hash",
        f"{program} status {JOB}": "where every report stands",
        f"{program} run {JOB}": "nothing is missing, so nothing is bought",
    }
    width = max(map(len, steps))
    for step, what in steps.items():
        click.echo(f"  {step:{width}} # {what}")
    click.echo("If you let the job want more, start the simulator again in another terminal:")
    click.echo(f"  {simulate}")


def _program() -> str:
    """What runs this program in the user's shell, quoted: its path where its name alone fails."""
    if shutil.which("orchestrator"):
        return "orchestrator"
    started = Path(sys.argv[0]).absolute()
    # Else started as a module or by another program: the script beside the interpreter, if any.
    for place in (started, Path(sys.executable).with_name("orchestrator")):
        if place.name == "orchestrator" and os.access(place, os.X_OK) and place.is_file():
            return shlex.quote(str(place))
    return shlex.join([sys.executable, "-m", "orchestrator"])
