"""Whatever a file holds, reading it ends in a job, a config or an InputError, and quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.model import CalendarWord
from orchestrator.core.products import PRODUCTS
from orchestrator.errors import InputError, Mistake
from tests.kit.config_files import load_config, load_jobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORDS = st.sampled_from(
    """name credentials timezone accounts products windows chunk settle callback_url id from to last
    max include_subaccounts include_message direction product status inbound outbound true false
    abcd1234 ef567890 default Europe/London 2025-01-01 2025-13-01 2026-01-01T00:00:00Z yesterday 1h
    7 days 1 month https://example.com/ api output state limits retry poll on_unknown callback
    api_key api_secret ${X} file:x listen public_url base_url requests_per_second timeout""".split()
) | st.sampled_from([*PRODUCTS, *(word.value for word in CalendarWord), "1 month", "7 days", ""])

TEXTS = WORDS | st.text(max_size=20) | st.none()
KEYS = WORDS | st.text(max_size=8)
TREES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
FILES = st.one_of(
    st.text(max_size=200).map(str.encode),
    st.binary(max_size=200),
    st.text(alphabet=" \n\t-:[]{}&*!|>'\"%@`#,?a1~", max_size=80).map(str.encode),
    st.dictionaries(KEYS, TREES, max_size=8).map(lambda tree: yaml.safe_dump(tree).encode()),
)
SHAPED = st.fixed_dictionaries(
    {
        "accounts": st.lists(TEXTS | st.dictionaries(KEYS, TEXTS, max_size=3), max_size=3),
        "products": st.lists(
            st.sampled_from([*PRODUCTS])
            | st.dictionaries(KEYS, TEXTS | st.lists(TEXTS, max_size=3), max_size=4)
            | st.fixed_dictionaries(
                {"product": st.sampled_from([*PRODUCTS])},
                optional={
                    "direction": st.sampled_from(["inbound", "outbound"]),
                    "status": TEXTS,
                    "country": st.lists(st.sampled_from(["DE", "FR", "NO"]), max_size=3),
                },
            ),
            max_size=4,
        ),
        "windows": st.lists(TEXTS | st.dictionaries(KEYS, TEXTS, max_size=3), max_size=3),
    },
    optional={"timezone": TEXTS, "chunk": TREES, "settle": TEXTS, "credentials": TREES},
)


def _job(path: Path) -> Any:
    return load_jobs([path], credentials=["default"])


def _config(path: Path) -> Any:
    return load_config(path, base=path.parent, env={})


@pytest.mark.parametrize("read", [_job, _config])
@given(content=FILES | SHAPED.map(lambda tree: yaml.safe_dump(tree).encode()))
@settings(
    max_examples=250,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_anything_is_read_or_refused_in_words(
    tmp_path: Path, read: Callable[[Path], Any], content: bytes
) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    _are_fit_to_read(_findings(read, path), path)


def _findings(read: Callable[[Path], Any], path: Path) -> tuple[Mistake, ...]:
    """The warnings of a sound file, the mistakes of another: at least one."""
    try:
        _, warnings = read(path)
    except InputError as error:
        return error.mistakes or (Mistake("no mistake at all", 0, 0, "", ""),)
    return tuple(warnings)


def _are_fit_to_read(findings: tuple[Mistake, ...], path: Path) -> None:
    """Each is one printable line that begins with the file and says something."""
    bad = [
        str(finding)
        for finding in findings
        if not str(finding).isprintable()
        or finding.file != str(path)
        or not finding.what
        or "Input should" in str(finding)
        or len(str(finding).removeprefix(str(path))) > 700
        or (finding.line == 0) != (finding.column == 0)
    ]
    assert bad == []
