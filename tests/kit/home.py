"""A working directory of a test's own, with nothing of the machine's settings in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PROXY_VARIABLES = [
    spelled
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy", "ssl_cert_file")
    for spelled in (name, name.upper())
]


def enter(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes it the working directory, and takes the variables that the program reads away."""
    monkeypatch.chdir(directory)
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("VONAGE", "NEXMO"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
        monkeypatch.delenv(f"{name}_API_SECRET", raising=False)
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)
    return directory


def write_job(home: Path, text: str, name: str = "nightly") -> str:
    """Writes a job file; its name as a command takes it."""
    (home / f"{name}.yaml").write_text(text, encoding="utf-8")
    return f"{name}.yaml"
