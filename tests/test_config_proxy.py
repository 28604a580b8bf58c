"""`api.proxy` and `api.ca_file`: every form, every mistake, and never a password in words."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from orchestrator.config import proxies_of
from orchestrator.errors import InputError
from tests.kit.config_files import load_config
from tests.kit.job_files import read_settings
from tests.kit.proxies import PRIVATE_CA

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.proxies import Proxies

FAR: tuple[str, str, int] = ("https", "api.nexmo.com", 443)


def proxies(directory: Path, value: str, env: dict[str, str] | None = None) -> Proxies:
    config, mistakes, _ = read_settings(directory, f"api: {{proxy: {value}}}\n", mode=0o600)
    assert mistakes == []
    assert config is not None
    return proxies_of(config, env or {})


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("'http://proxy.corp:3128'", "http://proxy.corp:3128"),
        ("'http://proxy.corp:3128/'", "http://proxy.corp:3128"),
        ("'https://proxy.corp'", "https://proxy.corp:443"),
        ("proxy.corp", "http://proxy.corp:80"),
        ("'proxy.corp:3128'", "http://proxy.corp:3128"),
        ("'http://[fd00::1]:3128'", "http://[fd00::1]:3128"),
        ('"${OURS}"', "http://ours.corp:8080"),
    ],
)
def test_forms_of_an_address(tmp_path: Path, value: str, address: str) -> None:
    found = proxies(tmp_path, value, {"OURS": "http://ours.corp:8080", "HTTPS_PROXY": "http://x"})
    proxy = found.towards(*FAR)
    assert proxy is not None
    assert proxy.address == address
    assert proxy.source == "api.proxy"
    assert proxy.authorization is None


def test_a_password_leaves_the_address_and_shows_nowhere(tmp_path: Path) -> None:
    proxy = proxies(tmp_path, "'http://me%40corp:p%3Aw@proxy.corp:3128'").towards(*FAR)
    assert proxy is not None
    assert proxy.authorization is not None
    token = base64.b64encode(b"me@corp:p:w").decode()
    assert proxy.authorization.reveal() == f"Basic {token}"
    assert "p:w" not in repr(proxy) + str(proxy)
    assert token not in repr(proxy)


def test_a_password_may_stand_in_a_private_config_only(tmp_path: Path) -> None:
    text = "api: {proxy: 'http://me:hush@proxy.corp:3128'}\n"
    assert read_settings(tmp_path, text, mode=0o600)[1] == []
    assert read_settings(tmp_path, text, mode=0o644)[1] == [
        (
            "config.yaml:1:14: api.proxy: a password stands here, and others may read this file;"
            " write ${NAME} or file:PATH instead, or make the file private: chmod 600 config.yaml"
        )
    ]
    assert read_settings(tmp_path, text.replace("me:hush@", ""), mode=0o644)[1] == []


FORM = "write http://HOST:PORT, with USER:PASSWORD@ before HOST where it asks for them"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("'ftp://proxy.corp'", f"ftp://proxy.corp is not the address of a proxy; {FORM}"),
        (
            "'http://proxy.corp/path'",
            f"http://proxy.corp/path is not the address of a proxy; {FORM}",
        ),
        ("'http://proxy.corp:x'", f"http://proxy.corp:x is not the address of a proxy; {FORM}"),
        ("'http://a..b'", f"http://a..b is not the address of a proxy; {FORM}"),
        ("'http://me:hush@proxy.corp:x'", f"this is not the address of a proxy; {FORM}"),
        ("'http://me:hush#1@proxy.corp'", f"this is not the address of a proxy; {FORM}"),
        (
            "'socks5://me:hush@proxy.corp'",
            f"a SOCKS proxy is named, and only HTTP proxies are spoken to; {FORM}",
        ),
        (
            "'http://${USER}@proxy'",
            "mixes a variable with other text; write ${NAME} and nothing else",
        ),
        ("", "is empty; give it a value, or remove the key"),
    ],
)
def test_mistakes_have_their_place_and_no_password(tmp_path: Path, value: str, words: str) -> None:
    _, mistakes, _ = read_settings(tmp_path, f"api:\n  proxy: {value}\n", mode=0o600)
    (mistake,) = mistakes
    assert mistake.startswith("config.yaml:2:")
    assert mistake.partition("api.proxy: ")[2] == words


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "api.proxy: the variable P is not set; export P=…"),
        ({"P": "http://me:hush@proxy:x"}, f"api.proxy: this is not the address of a proxy; {FORM}"),
    ],
)
def test_a_reference_that_leads_to_no_address(
    tmp_path: Path, env: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        proxies(tmp_path, '"${P}"', env)
    assert str(caught.value) == f"{tmp_path}/config.yaml: {words}"


@pytest.mark.parametrize(
    ("env", "source"),
    [
        ({"HTTPS_PROXY": "http://p", "ALL_PROXY": "http://q"}, "HTTPS_PROXY"),
        ({"https_proxy": "http://p", "HTTPS_PROXY": "http://q"}, "https_proxy"),
        ({"ALL_PROXY": "p:3128"}, "ALL_PROXY"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://q"}, None),
        ({"HTTP_PROXY": "http://p"}, None),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "a.b, nexmo.com"}, None),
        ({"HTTPS_PROXY": "socks5://p", "NO_PROXY": "nexmo.com"}, None),
    ],
)
def test_without_the_key_the_environment_says(
    tmp_path: Path, env: dict[str, str], source: str | None
) -> None:
    config, _ = load_config(None, base=tmp_path, env={})
    proxy = proxies_of(config, env).towards(*FAR)
    assert (proxy and proxy.source) == source


# --- api.ca_file ----------------------------------------------------------------------------------


def authorities(directory: Path, content: bytes | None) -> tuple[str, list[str]]:
    if content is not None:
        (directory / "ca.pem").write_bytes(content)
    config, mistakes, _ = read_settings(directory, "api: {ca_file: ca.pem}\n")
    return (config.api.authorities if config else ""), [
        mistake.replace(f"{directory}/", "") for mistake in mistakes
    ]


def test_a_bundle_with_comments_is_read(tmp_path: Path) -> None:
    one = PRIVATE_CA.read_bytes()
    found, mistakes = authorities(tmp_path, "# Főtanúsítvány\n".encode() + one + b"# more\n" + one)
    assert mistakes == []
    assert found.count("BEGIN CERTIFICATE") == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "ca.pem is not there; check the path"),
        (
            b"nothing of the kind",
            (
                "ca.pem holds no certificate in PEM form; name a file with"
                " -----BEGIN CERTIFICATE----- in it"
            ),
        ),
        (
            b"0\x82\x01\x00DER",
            (
                "ca.pem holds no certificate in PEM form; convert it: openssl x509 -inform der -in"
                " ca.pem -out ca.pem"
            ),
        ),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "ca.pem holds a certificate that is damaged; copy the file anew",
        ),
    ],
)
def test_a_file_without_certificates_is_a_mistake(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    _, mistakes = authorities(tmp_path, content)
    assert mistakes == [f"config.yaml:1:16: api.ca_file: {words}"]


def test_a_folder_is_no_file_of_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").mkdir()
    assert authorities(tmp_path, None)[1] == [
        (
            "config.yaml:1:16: api.ca_file: ca.pem is a directory; name one file with all"
            " certificates in it"
        )
    ]
