"""YAML to a tree of text with places; what is no such tree is refused where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.config.document import SourcePosition
from orchestrator.config.yaml_tree import MAX_BYTES, MAX_DEPTH, parse_document, read_document
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

LOADERS = [yaml.SafeLoader]
if hasattr(yaml, "CSafeLoader"):
    LOADERS.append(yaml.CSafeLoader)  # type: ignore[arg-type]  # both have the same interface


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__)
def loader(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_scalars_stay_text(loader: Any) -> None:
    text = "a: 00123456\nb: NO\nc: 2025-01-01\nd: 'null'\ne: 1e3\nf: \"\"\n"
    content = parse_document(text, "f", loader).content
    assert content == {
        "a": "00123456",
        "b": "NO",
        "c": "2025-01-01",
        "d": "null",
        "e": "1e3",
        "f": "",
    }


QUOTE = "write the value out, in quotes if it begins with that sign"


@pytest.mark.parametrize("empty", ["", "~", "null", "Null", "NULL"])
def test_unquoted_nothing_is_none(empty: str, loader: Any) -> None:
    assert parse_document(f"a: {empty}\nb: [{empty or '~'}]\n", "f", loader).content == {
        "a": None,
        "b": [None],
    }


def test_every_key_and_value_has_its_place(loader: Any) -> None:
    document = parse_document("é😀: [x, {y: z}]\nb:\n  - c\n", "f", loader)
    assert document.keys == {
        ("é😀",): SourcePosition(1, 1),
        ("é😀", 1, "y"): SourcePosition(1, 10),
        ("b",): SourcePosition(2, 1),
    }
    assert document.values == {
        (): SourcePosition(1, 1),
        ("é😀",): SourcePosition(1, 5),
        ("é😀", 0): SourcePosition(1, 6),
        ("é😀", 1): SourcePosition(1, 9),
        ("é😀", 1, "y"): SourcePosition(1, 13),
        ("b",): SourcePosition(3, 3),
        ("b", 0): SourcePosition(3, 5),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: is empty; see the examples in jobs/ and config.example.yaml"),
        ("# only a remark\n", "f: is empty; see the examples in jobs/ and config.example.yaml"),
        ("---\n", "f: is empty; see the examples in jobs/ and config.example.yaml"),
        (
            "- a\n",
            (
                "f:1:1: the file holds a list, not keys with values; begin with lines such as"
                " `accounts:`"
            ),
        ),
        (
            "\nhello\n",
            (
                "f:2:1: the file holds a single text, not keys with values; begin with lines such"
                " as `accounts:`"
            ),
        ),
        ("a:\n\t- b\n", "f:2:1: a tab stands in the indentation; indent with spaces"),
        ("a:\n  - b\n\t- c\n", "f:3:1: a tab stands in the indentation; indent with spaces"),
        (
            "a: b: c\n",
            (
                "f:1:5: a colon stands where no key can be; check the indentation, and put quotes"
                " around a value that holds a colon"
            ),
        ),
        ("x: 1\na: [b, c\nd: e\n", "f:2:4: this list is not closed; add ] or the missing comma"),
        ("a: {b: c\n", "f:1:4: this mapping is not closed; add } or the missing comma"),
        (
            "a: 'b\nc: d\n",
            (
                "f:1:4: this quote is never closed; close it, or put the whole value in the other"
                " quotes"
            ),
        ),
        ("a: @x\n", "f:1:4: this character cannot begin a value; put quotes around the value"),
        (
            "a:\n  - b\n - c\n",
            (
                "f:3:2: the indentation does not fit the lines above; begin the entries of one list"
                " or mapping in one column"
            ),
        ),
        (
            "key: - a",
            (
                "f:1:6: a list cannot begin behind its key; put its first entry on the next line,"
                " or write [one, two]"
            ),
        ),
        (
            "'a': b\n'c'\nd: e",
            (
                "f:3:1: the line before is neither `key: value` nor an entry of a list; check its"
                " colon and the space after it"
            ),
        ),
        ("a: ]", "f:1:4: a value is missing here; check the brackets and commas"),
        ("a: &", "f:1:5: cannot be read as YAML here; check this line"),
        (
            "a: 1\n---\nb: 2\n",
            "f:2:1: a second document begins; keep one document to a file, without ---",
        ),
        ("a: b\x00c\n", "f:1:5: holds the control character U+0000; remove it"),
        ("x: 1\na: \x1b[31m\n", "f:2:4: holds the control character U+001B; remove it"),
        (
            "a: !!str b\n",
            f"f:1:4: a: ! begins a YAML tag; {QUOTE}",
        ),
        (
            "a: !!python/object/apply:os.system [x]\n",
            f"f:1:4: a: ! begins a YAML tag; {QUOTE}",
        ),
        (
            "a: {[b]: c}\n",
            "f:1:5: a: a list or a mapping stands where a key belongs; name a key",
        ),
        (
            "a:\n  b: &x [c]\n  d: *x\n",
            (
                f"f:2:6: a.b: & begins a YAML anchor; {QUOTE}\n"
                f"f:3:6: a.d: * begins a YAML alias; {QUOTE}"
            ),
        ),
    ],
)
def test_what_is_no_tree_is_refused_where_it_stands(text: str, message: str, loader: Any) -> None:
    with pytest.raises(InputError) as caught:
        parse_document(text, "f", loader)
    assert str(caught.value) == message


def test_an_anchor_bomb_costs_nothing(loader: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(InputError, match="YAML anchor"):
        parse_document("\n".join(lines), "f", loader)


@pytest.mark.parametrize("bracket", ["[\n ", "{a: \n ", "- "])
def test_deep_nesting_is_refused_without_recursion(bracket: str, loader: Any) -> None:
    with pytest.raises(InputError, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse_document("a:\n " + bracket * 20_000, "f", loader)


def test_a_key_given_twice_keeps_the_first_and_is_told(loader: Any) -> None:
    document = parse_document("a: 1\nb: {c: 1, d: 2, c: 3}\na: {x: y}\n", "f", loader)
    assert document.content == {"a": "1", "b": {"c": "1", "d": "2"}}
    assert [str(mistake) for mistake in document.mistakes] == [
        "f:2:17: b.c: the key stands twice, first in line 2; keep one of them",
        "f:3:1: a: the key stands twice, first in line 1; keep one of them",
    ]


def _refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_document(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_a_missing_file(tmp_path: Path) -> None:
    assert _refused(tmp_path / "none.yaml") == "none.yaml: there is no such file; check the path"


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    assert _refused(tmp_path / "jobs") == "jobs: is a directory; name the file in it"


def test_a_name_that_the_system_refuses(tmp_path: Path) -> None:
    message = _refused(tmp_path / "a\x00b")
    assert "cannot be read (the system refuses its name); check the path" in message


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"a: b\n" * (10 * 1024 * 1024 // 5))
    assert MAX_BYTES == 2 * 1024 * 1024
    assert _refused(tmp_path / "big.yaml") == (
        "big.yaml: is larger than 2 MB: surely not a file for this program;"
        " check the path, or split it into several files"
    )


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_that_is_not_utf8(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "latin.yaml").write_bytes(mark + b"a: 1\nb: \xc3\xa9 \xe9t\xe9\n")
    message = "latin.yaml:2:6: is not UTF-8 text (byte 0xe9); save it as UTF-8"
    assert _refused(tmp_path / "latin.yaml") == message


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_document(tmp_path / "bom.yaml").content == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "text",
    [
        "a: [" + "*a," * 100_000 + "]",
        "a: [" + "&a b," * 100_000 + "]",
        "a: 1\n" * 100_000,
        "a: [" + "*a," * 100_000 + "\n{",
        "a: [" + "!a b," * 100_000 + "]\na: [" + "? *a\n" * 1000,
    ],
    ids=["aliases", "anchors", "keys twice", "aliases, not closed", "tags, not closed"],
)
def test_the_mistakes_of_a_file_are_bounded(text: str) -> None:
    """100,000 aliases made 7.5 MB of errors."""
    try:
        found = parse_document(text, "job.yaml").mistakes
    except InputError as error:
        found = list(error.mistakes)
    assert 200 <= len(found) < 410
    assert len("".join(map(str, found))) < 50_000
