"""`completion`: prints the script by which a shell completes commands, options and files."""

from typing import Final

import click
from click.shell_completion import get_completion_class

from orchestrator.core.policy import ExitCode

_VARIABLE: Final = "_ORCHESTRATOR_COMPLETE"  # By it click's script asks this program for words.


@click.command(
    epilog="Bash: put `source <(orchestrator completion bash)` into ~/.bashrc. Zsh: `orchestrator "
    "completion zsh > DIRECTORY/_orchestrator`, with a DIRECTORY of $fpath. Fish: `orchestrator "
    "completion fish > ~/.config/fish/completions/orchestrator.fish`."
)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"], False))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the script by which a shell completes commands, options and files of orchestrator."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows all three"
    click.echo(kind(context.find_root().command, {}, "orchestrator", _VARIABLE).source())
    return ExitCode.DONE
