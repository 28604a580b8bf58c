"""Credentials are looked up only when used, all that is missing is told, and no secret shows."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from orchestrator.config import resolve_credentials
from orchestrator.core.settings import Config, CredentialReference, OutputSettings, Secret
from orchestrator.errors import InputError
from tests.kit.config_files import load_config


def config(**references: tuple[str, str]) -> Config:
    """A config that has these credentials."""
    return Config(
        path=Path("config.yaml"),
        credentials={
            name: CredentialReference(name, key, Secret(secret))
            for name, (key, secret) in references.items()
        },
        output=OutputSettings(Path("/reports")),
        state=Path("/ledger.db"),
    )


def refused(settings: Config, names: list[str], env: dict[str, str]) -> list[str]:
    with pytest.raises(InputError) as caught:
        resolve_credentials(settings, names, env)
    return str(caught.value).splitlines()


def test_variables_files_and_literals(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3\n")
    settings = config(
        one=("${K}", "${S}"), two=("abcd1234", f"file:{tmp_path}/secret"), three=("k", "literal")
    )
    found = resolve_credentials(settings, ["two", "one", "two", "three"], {"K": "key", "S": "s1"})
    assert [(one.name, one.api_key, one.api_secret.reveal()) for one in found.values()] == [
        ("two", "abcd1234", "s3"),
        ("one", "key", "s1"),
        ("three", "k", "literal"),
    ]
    assert list(found) == ["two", "one", "three"]


def test_only_what_is_asked_for_is_looked_up() -> None:
    settings = config(one=("k", "s"), broken=("${NONE}", "file:/nowhere"))
    assert list(resolve_credentials(settings, ["one"], {})) == ["one"]
    assert resolve_credentials(settings, [], {}) == {}


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_text("x" * 100_000)
    settings = config(
        one=("${KEY}", "${EMPTY}"),
        two=(f"file:{tmp_path}/none", f"file:{tmp_path}/empty"),
        three=(f"file:{tmp_path}/binary", f"file:{tmp_path}/long"),
        four=(f"file:{tmp_path}", "s"),
    )
    messages = refused(settings, ["one", "two", "three", "four", "fuor"], {"EMPTY": ""})
    assert str(tmp_path) not in "".join(messages)
    named = "the file that this names"
    assert [message.replace(named, "{named}") for message in messages] == [
        "config.yaml: credentials.one.api_key: the variable KEY is not set; export KEY=…",
        "config.yaml: credentials.one.api_secret: the variable EMPTY is empty; export EMPTY=…",
        "config.yaml: credentials.two.api_key: {named} is not there; write the secret there",
        "config.yaml: credentials.two.api_secret: {named} is empty; write the secret there",
        "config.yaml: credentials.three.api_key: {named} is not UTF-8 text; save it as UTF-8",
        (
            "config.yaml: credentials.three.api_secret: {named} is no secret (over 64 kB); check "
            "the path"
        ),
        ("config.yaml: credentials.four.api_key: {named} is a directory; name the file in it"),
        "config.yaml: credentials: there are no credentials named fuor; did you mean four?",
    ]


def test_without_a_config_the_remedy_names_the_variables(tmp_path: Path) -> None:
    settings, _ = load_config(None, base=tmp_path, env={})
    remedy = "set VONAGE_API_KEY and VONAGE_API_SECRET, or write a config.yaml with credentials"
    assert refused(settings, ["default"], {}) == [
        f"credentials.default.api_key: the variable VONAGE_API_KEY is not set; {remedy}",
        f"credentials.default.api_secret: the variable VONAGE_API_SECRET is not set; {remedy}",
    ]


@pytest.mark.parametrize("prefix", ["VONAGE", "NEXMO"])
def test_both_pairs_of_variables_work_without_a_config(tmp_path: Path, prefix: str) -> None:
    env = {f"{prefix}_API_KEY": "k", f"{prefix}_API_SECRET": "s"}
    settings, _ = load_config(None, base=tmp_path, env=env)
    found = resolve_credentials(settings, ["default"], env)["default"]
    assert (found.api_key, found.api_secret.reveal()) == ("k", "s")


def test_one_key_with_two_secrets_is_refused() -> None:
    settings = config(one=("k", "hunter2"), two=("k", "hunter3"), three=("k", "hunter2"))
    assert refused(settings, ["one", "two", "three"], {}) == [
        (
            "config.yaml: credentials.two.api_secret: one and two are one API key with two"
            " secrets; give both the one that is valid"
        )
    ]
    assert len(resolve_credentials(settings, ["one", "three"], {})) == 2


@pytest.mark.parametrize(
    ("key", "secret", "what"),
    [
        (
            "hunter2:x",
            "s",
            (
                "what the variable K holds is not an API key (8 letters or digits); copy it from"
                " the dashboard; the secret belongs to api_secret"
            ),
        ),
        (
            "k",
            " hunter2",
            (
                "what the variable S holds has spaces, line breaks or control characters"
                " around or in it; keep the bare text alone"
            ),
        ),
        (
            "k",
            "hunter2\r\nX-Evil: 1",
            (
                "what the variable S holds has spaces, line breaks or control characters"
                " around or in it; keep the bare text alone"
            ),
        ),
    ],
)
def test_what_http_basic_cannot_carry_is_refused_and_not_shown(
    key: str, secret: str, what: str
) -> None:
    (message,) = refused(config(one=("${K}", "${S}")), ["one"], {"K": key, "S": secret})
    assert message.partition(": ")[2].partition(": ")[2] == what
    assert "hunter2" not in message


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_one_line_end_at_the_end_of_a_file_is_no_part_of_the_secret(
    tmp_path: Path, ending: str
) -> None:
    (tmp_path / "secret").write_bytes(b"s3" + ending.encode())
    found = resolve_credentials(config(one=("k", f"file:{tmp_path}/secret")), ["one"], {})
    assert found["one"].api_secret.reveal() == "s3"


def test_no_secret_in_any_text(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\nhunter2\n")
    settings = config(
        one=("k", "hunter2"),
        two=("k", "${S}"),
        three=("${NONE}", "hunter2"),
        four=("k", f"file:{tmp_path}/secret"),
    )
    found = resolve_credentials(settings, ["one"], {})
    env = {"S": "hunter2-too"}
    with pytest.raises(InputError) as caught:
        resolve_credentials(settings, settings.credentials, env)
    shown = [
        repr(settings),
        str(settings),
        repr(found),
        f"{found}",
        repr(caught.value),
        "".join(traceback.format_exception(caught.value)),
    ]
    assert [text for text in shown if "hunter2" in text] == []
