"""Job files and configs that are meant to do harm: exit 2, in words, quickly, nothing made."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.collect import layout
from orchestrator.core.intervals import Window
from orchestrator.core.model import Series
from orchestrator.core.settings import Format
from tests.kit.home import enter, write_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOB = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"
TOO_LARGE = (
    "{file}: is larger than 2 MB: surely not a file for this program; check the path, or split it"
    " into several files"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, with credentials in the environment."""
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("VONAGE_API_KEY", "abcd1234")
    monkeypatch.setenv("VONAGE_API_SECRET", "hush-hush")
    return tmp_path


def anchors() -> str:
    """Nine to the thirtieth entries, if anybody wrote them out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    return "\n".join(lines) + "\n" + JOB


def product_of_lists() -> str:
    """Few bytes that mean a hundred million series."""
    numbers = ", ".join(f"n{number}" for number in range(100))
    filters = ", ".join(f"{name}: [{numbers}]" for name in ("from", "to", "country", "network"))
    return JOB.replace("VERIFY-API", f"{{product: SMS, direction: outbound, {filters}}}")


BAD: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "anchor bomb": (anchors, "{file}:1:5: a0: & begins a YAML anchor; write the value out"),
    "merge key": (
        lambda: JOB + "<<: {settle: 1h}\n",
        "{file}:4:1: <<: is not a key here; the keys here are ",
    ),
    "tag": (
        lambda: JOB + "name: !!python/object/apply:os.system [id]\n",
        "{file}:4:7: name: ! begins a YAML tag; write the value out",
    ),
    "tab": (
        lambda: "accounts:\n\t- abcd1234\n",
        "{file}:2:1: a tab stands in the indentation; indent with spaces",
    ),
    "key twice": (
        lambda: JOB + "accounts: [beta0001]\n",
        "{file}:4:1: accounts: the key stands twice, first in line 1; keep one of them",
    ),
    "10 MB of entries": (lambda: JOB + "# x\n" * (10 * 1024 * 1024 // 4), TOO_LARGE),
    "10 MB in one line": (lambda: "a" * 10 * 1024 * 1024, TOO_LARGE),
    "2 MB of brackets": (
        lambda: "accounts: " + "[" * 2_000_000,
        "nested deeper than 16 levels",
    ),
    "2 MB of indentation": (
        lambda: "\n".join(f"{' ' * depth}- -" for depth in range(1900)),
        "",
    ),
    "2 MB of quotes": (lambda: "accounts: '" + "''" * 900_000, ""),
    "thousands of keys": (lambda: "".join(f"k{n}: 1\n" for n in range(90_000)), ""),
    "thousands of accounts that are none": (
        lambda: "accounts: [" + "'/', " * 200_000 + "]\nproducts: [SMS]\nwindows: [yesterday]",
        "",
    ),
    "2 MB of question marks": (lambda: "? " * 1_000_000, ""),
    "2 MB of exclamation marks": (lambda: "a: " + "!" * 1_900_000, ""),
    "2 MB of one name": (lambda: JOB + "name: " + "n" * 1_900_000, ""),
    "digits without end": (lambda: JOB + "settle: " + "9" * 1_000_000 + "s\n", ""),
    "lists that multiply": (product_of_lists, ""),
    "NUL bytes": (lambda: bytes(1000), "{file}:1:1: holds the control character U+0000; remove it"),
    "no text": (lambda: bytes(range(128, 256)), "is not UTF-8 text (byte 0x80); save it as UTF-8"),
    "escape in a value": (lambda: JOB.replace("abcd1234", '"ab\\e[31m"'), ""),
    "half a character": (lambda: JOB.replace("abcd1234", '"\\ud800"'), ""),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("kind", ["job", "config"])
def test_a_bad_file_ends_with_exit_2_quickly_and_nothing_is_made(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    content: Callable[[], str | bytes],
    words: str,
    kind: str,
) -> None:
    job = home / "evil.yaml" if kind == "job" else home / write_job(home, JOB)
    file = job if kind == "job" else home / "config.yaml"
    made = content()
    file.write_bytes(made if isinstance(made, bytes) else made.encode())
    before = sorted(home.rglob("*"))

    begun = time.process_time()
    assert call(["run", str(job)]) == 2
    took = time.process_time() - begun

    said = capsys.readouterr()
    assert said.out == ""
    if kind == "job" or "accounts" not in said.err:  # which is no key of a config
        assert words.format(file=file) in said.err
    assert "Traceback" not in said.err
    assert len(said.err) < 100_000, "nobody reads that much"
    assert all(line.isprintable() for line in said.err.splitlines())
    assert took < 10
    assert sorted(home.rglob("*")) == before


PATHS = [
    "../../etc",
    "/etc/passwd",
    "..",
    ".",
    "a/b",
    "a\\b",
    "C:",
    "~root",
    "a\0b",
    "a\nb",
    "%2e%2e",
    "$(id)",
    "`id`",
    "",
]


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("where", ["account", "product", "direction"])
def test_names_that_are_paths_are_refused_or_become_one_harmless_folder(
    home: Path, capsys: pytest.CaptureFixture[str], name: str, where: str
) -> None:
    quoted = json.dumps(name)
    write_job(
        home,
        f"accounts: [{quoted if where == 'account' else 'abcd1234'}]\n"
        f"products: [{{product: {quoted if where == 'product' else 'SMS'}, direction:"
        f" {quoted if where == 'direction' else 'outbound'}}}]\n"
        "windows: [{from: 2026-01-01, to: 2026-02-01}]\n",
    )
    code = call(["plan", "nightly.yaml", "--json", "--now", "2026-03-02T00:00:00Z"])
    capsys.readouterr()
    # An unknown product passes with a warning: its folder is its own, whatever it is called.
    assert code == 2 or (where == "product" and code == 0)
    series = Series.of(
        name if where == "account" else "abcd1234",
        name if where == "product" else "SMS",
        name if where == "direction" else "outbound",
    )
    target = layout.target(series, Window.of_epoch(0, 86400), Format.CSV)
    assert target.count("/") == 4
    assert layout.is_inside(target)
    place = (home / "reports" / target).resolve()
    assert place.is_relative_to(home / "reports" / target.split("/")[0])


def test_ten_thousand_mistakes_are_not_all_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(home, "".join(f"k{n}: 1\n" for n in range(10_000)))
    assert call(["plan", "nightly.yaml"]) == 2
    assert len(capsys.readouterr().err.splitlines()) < 300


def test_a_job_that_is_a_pipe_without_end_is_read_within_bounds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(["plan", "/dev/zero"]) == 2
    assert "/dev/zero: is larger than 2 MB" in capsys.readouterr().err
