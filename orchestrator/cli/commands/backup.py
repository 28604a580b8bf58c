"""`backup`: a copy of the ledger in one file."""

from pathlib import Path

import click

from orchestrator.app.backup import back_up
from orchestrator.cli import options
from orchestrator.cli.inputs import read_inputs
from orchestrator.cli.output import json_text, say, write
from orchestrator.core.policy import ExitCode
from orchestrator.reporting.phrases import size_words


@click.command(
    epilog="Example: `orchestrator backup /backup/ledger.db --force` each night after the files "
    "have been copied."
)
@click.argument("file", type=click.Path(readable=False, path_type=Path), metavar="FILE")
@click.option("--force", is_flag=True, help="Replace FILE if it is an older backup.")
@options.json_option
@options.config_option
def command(file: Path, force: bool, as_json: bool, config: Path | None) -> int:
    """Copy the ledger to FILE, as it is at one moment, also while a run is active.

    FILE appears once it is complete, checked for damage and synced; only its owner may read it. A
    file that exists is left as it is, unless --force is given.
    """
    backup = back_up(read_inputs([], config, quiet=True).config, file, replace=force)
    if as_json:
        facts = {"file": str(backup.path), "size_bytes": backup.size_bytes, "events": backup.events}
        write([json_text(facts), "\n"])
    else:
        say(
            f"{backup.path}: {size_words(backup.size_bytes)}, checked; it has the ledger up to "
            f"event {backup.events:,}"
        )
    return ExitCode.DONE
