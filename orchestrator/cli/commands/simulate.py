"""`simulate`: the Reports API on this machine, with invented records, for tries and tests."""

import pathlib
import signal
import sys
from datetime import datetime

import anyio
import click

from orchestrator.api.connection_errors import listen_words
from orchestrator.cli import options
from orchestrator.cli.output import json_text
from orchestrator.cli.simulating import WorldOptions, config_text, ready_line, write_config
from orchestrator.core.policy import ExitCode
from orchestrator.errors import InputError
from orchestrator.simulator import Settings, serve


@click.command(
    epilog="Example: `orchestrator simulate --speed 20 --write-config config.yaml`, then in "
    "another terminal `orchestrator run JOB --config config.yaml`. It runs until Ctrl-C."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Where to listen on 127.0.0.1; 0 takes any port that is free.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, 1_000_000),
    default=1.0,
    show_default=True,
    help="How many times faster than ours its clock runs: reports are finished sooner.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 100_000),
    default=5.0,
    show_default=True,
    help="Requests a second that it allows each API key; 0 sets no limit.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    metavar="N",
    help="How many reports it works on at once. Default: all.",
)
@click.option(
    "--max-open",
    type=click.IntRange(1),
    metavar="N",
    help="How many unfinished reports each API key may have; a create beyond gets 429. "
    "Default: no limit.",
)
@click.option(
    "--now",
    type=options.Moment(),
    metavar="TIME",
    help="Where its clock starts. Default: the present.",
)
@click.option(
    "--faults",
    type=click.Path(path_type=pathlib.Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="What is to go wrong, as YAML: a list such as [{at: create, do: reset, every: 10}].",
)
@click.option(
    "--records-per-day",
    type=click.FloatRange(0, 10_000_000),
    default=20.0,
    show_default=True,
    help="About how many records a day each account has of each product and direction.",
)
@click.option(
    "--write-config",
    "config",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    metavar="FILE",
    help="Write a config file that points to it; files go beside it.",
)
@click.option("--until-input-ends", is_flag=True, hidden=True)
def command(
    *,
    port: int,
    speed: float,
    rate: float,
    concurrency: int | None,
    max_open: int | None,
    now: datetime | None,
    faults: pathlib.Path | None,
    records_per_day: float,
    config: pathlib.Path | None,
    until_input_ends: bool,
) -> int:
    """Start a simulated Reports API, with accounts and records of its own.

    When it is ready it prints one line of JSON: base_url, api_key, api_secret and accounts of the
    first API key, and under credentials those of every key. Nothing is sent anywhere, and nothing
    stays when it ends.
    """
    world = WorldOptions(speed, rate, records_per_day, now, faults, concurrency, max_open)
    anyio.run(_serve, world.settings(), port, config, until_input_ends)
    return ExitCode.DONE


async def _serve(
    settings: Settings, port: int, config: pathlib.Path | None, until_input_ends: bool
) -> None:
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with serve(settings, port=port) as simulator, anyio.create_task_group() as tasks:
                if config is not None:
                    write_config(config, config_text(simulator.base_url, settings))
                click.echo(json_text(ready_line(simulator.base_url, settings)))
                sys.stdout.flush()
                if until_input_ends:
                    tasks.start_soon(_end_with_input, tasks.cancel_scope)
                async for _ in signals:
                    break
                tasks.cancel_scope.cancel()
    except OSError as error:
        words = listen_words(error)
        raise InputError(
            f"--port {port}: cannot listen there ({words}); --port 0 takes a free one"
        ) from error


async def _end_with_input(scope: anyio.CancelScope) -> None:
    """Ends when whoever started us is gone, however that came about."""
    await anyio.wait_readable(sys.stdin.fileno())
    scope.cancel()
