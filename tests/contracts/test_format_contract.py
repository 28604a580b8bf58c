"""What every `OutputFormat` promises, whatever its bytes are."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.collect.archive import read_member
from orchestrator.collect.convert import convert
from orchestrator.collect.formats import output_format
from orchestrator.collect.formats.base import FileSubject
from orchestrator.collect.output_file import Converted
from orchestrator.core.settings import Format
from orchestrator.errors import CorruptArchive, InputError
from tests.kit.archives import NASTY_ROWS, csv_bytes, csv_in, records_in, streamed_zip, without_zstd

if TYPE_CHECKING:
    from orchestrator.collect.formats.base import OutputFormat
    from orchestrator.collect.output_file import Converted

CONTENTS = {
    "nasty bodies": csv_bytes(),
    "CR LF": csv_bytes(ends="\r\n"),
    "empty": b"",
    "no last line feed": csv_bytes().removesuffix(b"\n"),
    "packs well": csv_bytes(NASTY_ROWS * 20_000),
}
NO_TEXT = b'"a"\n' + random.Random(1).randbytes(3_000_000).replace(b'"', b"'")


@pytest.fixture(params=list(Format), ids=lambda name: str(name.value))
def name(request: pytest.FixtureRequest) -> Format:
    """Each format of the config."""
    chosen: Format = request.param
    return chosen


@pytest.fixture
def tested(name: Format) -> OutputFormat:
    """What the registry has for it."""
    return output_format(name)


def write(tested: OutputFormat, path: Path, content: bytes) -> Converted:
    """A published file of a CSV, made from an archive as a run makes it."""
    archive = streamed_zip(content)
    made = convert(io.BytesIO(archive), path, tested, None, FileSubject())
    if tested.is_archive:
        assert not path.exists(), "the archive itself is the file, and the caller moves it"
        path.write_bytes(archive)
    return made


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_file_holds_the_csv_and_is_told_by_hash_and_size(
    tested: OutputFormat, name: Format, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"something that gives way")
    if tested.is_archive:
        path.unlink()
    made = write(tested, path, content)
    written = path.read_bytes()
    if tested.keeps_bytes:
        assert csv_in(written, name) == content
    assert (made.size_bytes, made.sha256) == (len(written), hashlib.sha256(written).hexdigest())


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_file_is_read_again_as_it_was_written(
    tested: OutputFormat, tmp_path: Path, content: bytes
) -> None:
    made = write(tested, tmp_path / "file", content)
    with (tmp_path / "file").open("rb") as file:
        read = b"".join(tested.blocks(file))
    if tested.keeps_bytes:
        assert read == content
    else:
        assert records_in(read) == records_in(content)
    with (tmp_path / "file").open("rb") as file:
        assert tested.count(file) == made.rows


def test_bytes_that_are_no_text_are_kept_or_refused(tested: OutputFormat, tmp_path: Path) -> None:
    """They are no records of as many fields as the header has."""
    if not tested.keeps_bytes:
        with pytest.raises(CorruptArchive):
            write(tested, tmp_path / "file", NO_TEXT)
        return
    write(tested, tmp_path / "file", NO_TEXT)
    with (tmp_path / "file").open("rb") as file:
        assert b"".join(tested.blocks(file)) == NO_TEXT


def test_equal_records_make_equal_files(tested: OutputFormat, tmp_path: Path) -> None:
    first = write(tested, tmp_path / "first.csv", CONTENTS["nasty bodies"])
    second = write(tested, tmp_path / "second.csv", CONTENTS["nasty bodies"])
    assert first == second


def test_blocks_are_bounded_however_well_they_pack(tested: OutputFormat, tmp_path: Path) -> None:
    content = b'"a"\n' + b'"0"\n' * 12_500_000
    write(tested, tmp_path / "file", content)
    with (tmp_path / "file").open("rb") as file:
        sizes = [len(block) for block in tested.blocks(file)]
    assert sum(sizes) == len(content)
    assert max(sizes) <= 1024 * 1024


def test_a_file_that_a_person_took_is_counted_by_lines(
    tested: OutputFormat, tmp_path: Path
) -> None:
    archive = streamed_zip(b'"a"\n"1"\nx"y\n')
    convert(io.BytesIO(archive), tmp_path / "file", tested, None, FileSubject(), lenient=True)
    if tested.is_archive:
        (tmp_path / "file").write_bytes(archive)
    with (tmp_path / "file").open("rb") as file:
        assert tested.count(file) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-3],
        lambda content: content[: len(content) // 2],
        lambda content: content + b"x",
        lambda content: content + content,
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        lambda content: b"",
    ],
    ids=["end cut", "half", "a byte more", "twice", "a bit flipped", "nothing"],
)
@pytest.mark.parametrize("name", [name for name in Format if name is not Format.CSV])
def test_damage_is_found_by_what_reads_it(
    name: Format, tested: OutputFormat, tmp_path: Path, damage: Any
) -> None:
    """Any bytes are a CSV: there only the hash shows damage."""
    write(tested, tmp_path / "file", CONTENTS["nasty bodies"])
    damaged = damage((tmp_path / "file").read_bytes())
    with pytest.raises(CorruptArchive):
        tested.count(io.BytesIO(damaged))


def test_a_writer_that_is_closed_early_leaves_no_handle(
    tested: OutputFormat, tmp_path: Path
) -> None:
    writer = tested.open(tmp_path / "file", FileSubject())
    writer.write(b"x" * 1000)
    writer.close()
    writer.close()


def test_about_what_a_file_takes_is_known_before(tested: OutputFormat, tmp_path: Path) -> None:
    content = NO_TEXT if tested.keeps_bytes else csv_bytes(NASTY_ROWS * 20_000)
    made = write(tested, tmp_path / "file", content)
    expected = tested.expected_bytes(read_member(io.BytesIO(streamed_zip(content))))
    assert made.size_bytes * 0.9 < expected
    assert not tested.keeps_bytes or expected < made.size_bytes * 1.1


def test_a_library_that_is_missing_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_zstd(monkeypatch)
    with pytest.raises(InputError, match=r"`pip install 'backports\.zstd>=1'`, or set output"):
        output_format(Format.CSV_ZST)


def test_the_documents_name_every_format(name: Format) -> None:
    documents = Path(__file__).parents[2]
    assert f"`{name.value}`" in (documents / "docs" / "config.md").read_text("utf-8")
    assert name.value in (documents / "config.example.yaml").read_text("utf-8")
