"""Fuzzing of the archive reader: valid archives, cut and joined and lied to where it hurts."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.collect import inflate
from orchestrator.collect.archive import read_member
from orchestrator.collect.counting import RecordCounter
from orchestrator.errors import CorruptArchive
from orchestrator.simulator.faults.bad_files import ARCHIVE_FORMS, HONEST
from orchestrator.texts import printable
from tests.kit.archives import NAME, csv_bytes, seekable_zip, streamed_zip

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT: Final = csv_bytes()
ROWS: Final = 6

VALID: Final = (
    streamed_zip(CONTENT),
    streamed_zip(CONTENT, zip64=True),
    streamed_zip(CONTENT, method=zipfile.ZIP_STORED),
    seekable_zip((NAME, CONTENT)),
    *(ARCHIVE_FORMS[form](NAME, CONTENT) for form in sorted(HONEST)),
)
EVIL_ONES: Final = tuple(
    ARCHIVE_FORMS[form](NAME, CONTENT) for form in sorted(ARCHIVE_FORMS.keys() - HONEST - {"bomb"})
)
"""Without the large bomb, whose single mutation would take longer than a thousand others."""

SIGNATURES: Final = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x07\x08")
NUMBERS: Final = (0, 1, 8, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
LONGEST_SECONDS: Final = 2.0

fuzzed = settings(
    max_examples=600,
    deadline=timedelta(seconds=5),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _place(draw: st.DrawFn, archive: bytes) -> int:
    """Anywhere, or in the first fields behind a signature: there the lies have an effect."""
    if draw(st.booleans()):
        return draw(st.integers(0, len(archive)))
    found = archive.rfind(draw(st.sampled_from(SIGNATURES)))
    return min(len(archive), max(found, 0) + draw(st.integers(0, 60)))


def _number(draw: st.DrawFn, archive: bytes) -> bytes:
    at = _place(draw, archive)
    number = draw(st.sampled_from(NUMBERS) | st.integers(0, len(archive)))
    form = draw(st.sampled_from(["<H", "<L", "<Q"]))
    piece = struct.pack(form, number & (1 << 8 * struct.calcsize(form)) - 1)
    return archive[:at] + piece + archive[at + len(piece) :]


def _bytes(draw: st.DrawFn, archive: bytes) -> bytes:
    at = _place(draw, archive)
    return archive[:at] + draw(st.binary(max_size=40)) + archive[at:]


def _without(draw: st.DrawFn, archive: bytes) -> bytes:
    at = _place(draw, archive)
    return archive[:at] + archive[at + draw(st.integers(1, 64)) :]


def _again(draw: st.DrawFn, archive: bytes) -> bytes:
    first, second = sorted((_place(draw, archive), _place(draw, archive)))
    at = _place(draw, archive)
    return archive[:at] + archive[first:second] + archive[at:]


def _joined(draw: st.DrawFn, archive: bytes) -> bytes:
    other = draw(st.sampled_from(VALID + EVIL_ONES))
    return archive[: _place(draw, archive)] + other[_place(draw, other) :]


def _flipped(draw: st.DrawFn, archive: bytes) -> bytes:
    at = min(_place(draw, archive), len(archive) - 1)
    if at < 0:
        return archive
    return archive[:at] + bytes([archive[at] ^ 1 << draw(st.integers(0, 7))]) + archive[at + 1 :]


MUTATIONS: Final[tuple[Callable[[st.DrawFn, bytes], bytes], ...]] = (
    _number, _bytes, _without, _again, _joined, _flipped,
)  # fmt: skip


@st.composite
def mutants(draw: st.DrawFn, origins: tuple[bytes, ...]) -> bytes:
    archive = draw(st.sampled_from(origins))
    for mutate in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=4)):
        archive = mutate(draw, archive)
    return archive


def unpacked(archive: bytes) -> bytes | None:
    """What the reader takes out, None if it refuses; anything else that it raises is a failure."""
    content: bytes | None
    began = time.monotonic()
    file = io.BytesIO(archive)
    try:
        member = read_member(file)
        inflate.check_size(member, ROWS)
        content = b"".join(inflate.blocks(file, member))
        counter = RecordCounter()
        counter.feed(content)
        counter.finish()
        words = "accepted"
    except CorruptArchive as refusal:
        content, words = None, str(refusal)
    assert words
    assert printable(words) == words
    assert time.monotonic() - began < LONGEST_SECONDS
    return content


@fuzzed
@given(mutants(VALID))
def test_a_damaged_archive_gives_the_very_content_or_a_refusal(archive: bytes) -> None:
    assert unpacked(archive) in (None, CONTENT)


@fuzzed
@given(mutants(EVIL_ONES))
def test_an_evil_archive_is_no_better_for_more_damage(archive: bytes) -> None:
    """What its reader takes is what any other reader finds: nothing hides beside it."""
    content = unpacked(archive)
    if content is not None and content != CONTENT:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            (member,) = opened.infolist()
            assert opened.read(member) == content


@fuzzed
@given(st.binary(max_size=2000))
def test_noise_is_refused(noise: bytes) -> None:
    assert unpacked(noise) is None


@fuzzed
@given(st.binary(max_size=300), st.integers(0, 300), st.booleans())
def test_noise_where_packed_bytes_belong_is_refused_or_is_right(
    noise: bytes, at: int, whole: bool
) -> None:
    archive = VALID[0]
    start = 30 + len(NAME)
    end = archive.index(b"PK\x07\x08")
    packed = noise if whole else archive[start : start + at] + noise
    packed = packed[: end - start].ljust(end - start, b"\0")
    assert unpacked(archive[:start] + packed + archive[end:]) in (None, CONTENT)
