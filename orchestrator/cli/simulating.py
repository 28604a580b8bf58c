"""What `simulate` and `demo` share: the options of a world, its config file, its ready line."""

import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from orchestrator.collect import safe_open
from orchestrator.errors import InputError, Mistake, OutputError
from orchestrator.presence import exists
from orchestrator.simulator import ApiKey, Settings
from orchestrator.simulator.faults.loader import load_faults

_MARK: Final = "# Written by `orchestrator simulate`: it may be overwritten by it."
_UNLIMITED: Final = 10_000  # Requests a second of a client whose server has no limit.


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """The world that a user asked for."""

    speed: float = 1.0  # its seconds for each of ours
    rate: float = 5.0  # requests a second for each API key; 0 is no limit
    records_per_day: float = 20.0  # mean of each account, product and direction
    now: datetime | None = None  # where its clock starts; None is the present
    faults: Path | None = None  # a file of faults
    concurrency: int | None = None  # how many reports are worked on at once; None is all
    max_open: int | None = None  # how many unfinished reports a key may have; None is any number

    def settings(self) -> Settings:
        """The settings of a simulator; ids of its reports that no other start of it gives.

        Raises:
            InputError: every mistake in the file of faults.
        """
        settings = Settings(
            # A ledger that knows reports of an earlier start must not meet their ids again.
            salt=os.urandom(8).hex(),
            speed=self.speed,
            rate=self.rate or None,
            sync_rate=2 * self.rate or None,
            records_per_day=self.records_per_day,
            now=self.now,
            concurrency=self.concurrency,
            max_open=self.max_open,
        )
        return replace(settings, faults=load_faults(self.faults)) if self.faults else settings

    def arguments(self, port: int = 0) -> list[str]:
        """The command line that asks for this world."""
        words = ["simulate", "--port", str(port)]
        for name, value in asdict(self).items():
            if value is not None:
                shown = f"{value:g}" if isinstance(value, float) else str(value)
                words += [f"--{name.replace('_', '-')}", shown.replace(" ", "T")]
        return words


def credential_names(settings: Settings) -> dict[str, ApiKey]:
    """Names for the world's API keys, as a config has them: the first is ``default``."""
    names: dict[str, ApiKey] = {}
    for number, key in enumerate(settings.keys):
        name = "default" if number == 0 else key.api_key.rstrip("0123456789")
        names[name if name and name not in names else key.api_key] = key
    return names


def ready_line(base_url: str, settings: Settings) -> dict[str, Any]:
    """What `simulate` prints when it is ready."""
    credentials = {name: _key_fields(key) for name, key in credential_names(settings).items()}
    return {"base_url": base_url, **_key_fields(settings.keys[0]), "credentials": credentials}


def _key_fields(key: ApiKey) -> dict[str, Any]:
    return {
        "api_key": key.api_key,
        "api_secret": key.api_secret,
        "accounts": list(key.accounts),
    }


def config_text(base_url: str, settings: Settings) -> str:
    """A config that points to the simulator, and looks often, as it is quick."""
    lines = [
        _MARK,
        "api:",
        f"  base_url: {base_url}",
        f"  requests_per_second: {settings.rate or _UNLIMITED:g}",
        "  timeout: 30s",
        "credentials:",
    ]
    for name, key in credential_names(settings).items():
        # JSON is YAML, and quotes whatever needs it.
        pair = json.dumps({"api_key": key.api_key, "api_secret": key.api_secret})
        lines.append(f"  {name}: {pair}")
    lines += [
        "output: {directory: reports}",
        "state: state/ledger.db",
        "retry: {wait_initial: 200ms, wait_max: 2s}",
        "poll: {interval_initial: 300ms, interval_max: 1s, timeout: 10m}",
    ]
    return "\n".join(lines) + "\n"


def write_config(path: Path, text: str) -> None:
    """Writes a private config file; one that `simulate` did not write is not touched.

    Raises:
        InputError: a file of that name is not ours.
        OutputError: the disk.
    """
    try:
        if exists(path) and not path.read_text("utf-8", "replace").startswith(_MARK):
            what = "is a file that `simulate` has not written"
            raise InputError([Mistake(str(path), 0, 0, "", what, "choose another name")])
        path.parent.mkdir(parents=True, exist_ok=True)
        with safe_open.create(path, private=True) as file:
            file.write(text.encode())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another place") from error


def python_command(arguments: list[str]) -> list[str]:
    """The command line that runs this very program in a process of its own."""
    root = str(Path(__file__).parents[2])
    program = (
        f"import sys; sys.path.append({root!r}); from orchestrator.start import entry; entry()"
    )
    # -P: nothing is imported from the working directory, whatever lies there.
    return [sys.executable, "-P", "-c", program, *arguments]
