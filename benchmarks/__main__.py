"""``python -m benchmarks [NAME…]``: runs benchmarks, prints them, and writes `results.md`."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from benchmarks import results
from benchmarks.options import Options
from benchmarks.sections import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.sections import Section

HERE: Final = Path(__file__).parent

NAMES: Final[Mapping[str, str]] = {
    "makespan": "one key against the least time there could be; requests, waits",
    "polling": "what each layer of polling is worth, switched off one by one",
    "keys": "twenty keys at once: how much of their limits is used",
    "small_reports": "CPU, memory and stalls, ten thousand small reports, no rate limit",
    "collect": "one large report against curl, unzip, sha256sum and wc",
    "gigabyte": "one report of 1 GB as CSV against bare work, as Parquet against DuckDB",
    "upload": "the same runs into a bucket of S3 and into a folder",
    "ledger": "plan, status and resume on ledgers of ten thousand to a million reports",
    "rivals": "what a user would run instead, in virtual time",
    "wallclock": "a hundred reports by real processes, against the same in virtual time",
    "airbyte": "the same beside Airbyte's CDK, which is installed for it",
}
"""Every benchmark: a module of this package with `measure(options) -> Section`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for; 0 whether or not the figures are reached."""
    options = _parser().parse_args(arguments)
    names = list(NAMES) if options.names in ([], ["all"]) else options.names
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    console = Console() if sys.stdout.isatty() else Console(width=180)
    for name in names:
        section = measure(name, Options(options.sizes, options.only, options.quick, options.folder))
        show(section, console)
        if not options.no_write and not options.quick:
            words = " ".join(("python -m benchmarks", name, *_said(options)))
            results.update(HERE, name, section, words, tuple(NAMES))
    return 0


def measure(name: str, options: Options) -> Section:
    """Runs one benchmark."""
    section: Section = importlib.import_module(f"benchmarks.{name}").measure(options)
    return section


def _parser() -> argparse.ArgumentParser:
    known = "\n".join(f"  {name:14} {words}" for name, words in NAMES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Runs benchmarks, prints their tables, and writes benchmarks/results.md.",
        epilog=f"benchmarks:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; none, or all: every one")
    parser.add_argument("--sizes", type=_sizes, help="numbers of reports, such as 100,1000")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to try it out; nothing is written"
    )
    parser.add_argument("--folder", type=Path, help="for large files that may be used again")
    parser.add_argument("--no-write", action="store_true", help="leave results.md alone")
    return parser


def _sizes(words: str) -> tuple[int, ...]:
    return tuple(int(word) for word in words.split(","))


def _said(options: argparse.Namespace) -> list[str]:
    """The options that matter to the numbers, as they were given."""
    said = []
    if options.sizes:
        said.append(f"--sizes {','.join(str(size) for size in options.sizes)}")
    if options.only:
        said.append(f"--only '{options.only}'")
    return said


if __name__ == "__main__":
    sys.exit(main())
