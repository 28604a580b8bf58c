"""`results.md`: one section a benchmark, replaced when it is run again, left alone when not."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.sections import markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.sections import Section

HEAD: Final = """\
# Results of the benchmarks

Written by `python -m benchmarks`; see [README.md](README.md) for what is measured and how. Each
section tells when, where and from which commit it was measured; a section that was not run again
stays as it was.
"""


def update(folder: Path, name: str, section: Section, command: str, order: Sequence[str]) -> None:
    """Puts a section into ``results.md``, and its plots beside it.

    Args:
        folder: where ``results.md`` stands.
        name: the benchmark's.
        section: what it says.
        command: that was run.
        order: every benchmark's name; sections stand in this order.
    """
    path = folder / "results.md"
    sections = read(path.read_text("utf-8")) if path.exists() else {}
    where = f"{machine()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit(folder)}"
    sections[name] = (
        f"## {section.title}\n\n{markdown(section)}\n\n<sub>`{command}` · {where}</sub>"
    )
    known = [one for one in order if one in sections]
    rest = sorted(sections.keys() - set(known))
    blocks = [f"<!-- {one} -->\n{sections[one]}\n<!-- end of {one} -->" for one in known + rest]
    path.write_text(HEAD + "\n" + "\n\n".join(blocks) + "\n", encoding="utf-8")
    for plot, svg in section.plots.items():
        (folder / "plots").mkdir(exist_ok=True)
        (folder / "plots" / f"{plot}.svg").write_text(svg, encoding="utf-8")


def read(document: str) -> dict[str, str]:
    """The sections of a ``results.md``, by name."""
    pattern = r"<!-- ([\w-]+) -->\n(.*?)\n<!-- end of \1 -->"
    return {found[1]: found[2] for found in re.finditer(pattern, document, re.DOTALL)}


def machine() -> str:
    """The machine and the Python, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GB, Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        known = re.search(
            r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE
        )
    except OSError:
        known = None
    return known[1] if known else platform.processor() or "a processor that does not tell its name"


def commit(folder: Path) -> str:
    """The commit that is measured; ``+`` where the tree, results apart, has changed since."""
    try:
        known = _git(folder, "rev-parse", "--short", "HEAD")
        own = (":(exclude)results.md", ":(exclude)plots")
        changed = _git(folder, "status", "--porcelain", "--", ":/", *own)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{known}+" if changed else known


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()
