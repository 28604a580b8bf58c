"""Whole commands through a forward proxy, and with an authority of one's own."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from orchestrator.cli.main import call
from tests.kit.cli_worlds import Place, simulated
from tests.kit.home import enter
from tests.kit.proxies import HOST, PRIVATE_CA, ForwardProxy, forward_proxy, tls_front

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

API = f"https://{HOST}"
JOB = """\
name: job
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""
PASSWORD = "s3cret/word"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter(tmp_path, monkeypatch)


@contextmanager
def far_away(
    directory: Path, *, user: str | None = None, status: int | None = None
) -> Iterator[tuple[Place, ForwardProxy]]:
    """An API that is reached by a proxy alone, and whose authority no machine knows."""
    with simulated(directory, job=JOB) as place:
        port = urlsplit(place.simulator.base_url).port
        assert port is not None
        with place.portal.wrap_async_context_manager(tls_front(port)) as tls:
            proxy = ForwardProxy(tls, user, status)
            with place.portal.wrap_async_context_manager(forward_proxy(proxy)):
                yield place, proxy


def configure(place: Place, *lines: str, url: str = API) -> None:
    place.write_config(poll_timeout="20s")
    path = place.directory / "config.yaml"
    text = path.read_text(encoding="utf-8")
    api = "".join(f"  {line}\n" for line in lines)
    text = text.replace(f"  base_url: {place.simulator.base_url}\n", f"  base_url: {url}\n{api}")
    path.write_text(text, encoding="utf-8")


def nowhere(directory: Path, word: str) -> bool:
    """Whether no file below a folder holds the text."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return not any(word.encode() in path.read_bytes() for path in files)


CA = f"ca_file: {PRIVATE_CA}"


def test_a_run_goes_by_the_proxy_that_the_config_names(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with far_away(home) as (place, proxy):
        configure(place, CA, f"proxy: {proxy.url}")
        assert place.run() == 0, capsys.readouterr().err
        assert place.is_the_truth()
        assert proxy.targets == {f"{HOST}:443"}
        assert "authorization" not in "".join(proxy.asked).lower()
        assert len(proxy.asked) < sum(place.simulator.calls.values()), "connections are kept"


def test_a_proxy_may_itself_be_asked_over_tls(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        far_away(home, user="me:x") as (place, proxy),
        place.portal.wrap_async_context_manager(tls_front(proxy.port)) as port,
    ):
        configure(place, CA, f"proxy: https://me:x@localhost:{port}")
        assert place.run() == 0, capsys.readouterr().err
        assert place.is_the_truth()
        assert proxy.targets == {f"{HOST}:443"}
        configure(place, f"proxy: https://me:x@localhost:{port}")
        assert call(["check", str(place.job)]) == 1
        assert (
            "error    reach: the proxy: the certificate of localhost is not accepted (this machine"
            " does not know who issued it); check api.proxy\n"
        ) in capsys.readouterr().out


@pytest.mark.parametrize("by", ["file", "variable", "environment"])
def test_a_proxy_that_asks_for_a_password_gets_it_and_nobody_else_does(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    with far_away(home, user=f"me:{PASSWORD}") as (place, proxy):
        address = f"http://me:s3cret%2Fword@127.0.0.1:{proxy.port}"
        if by == "file":
            (home.parent / "proxy-secret").write_text(f"{address}\n", encoding="utf-8")
            configure(place, CA, "proxy: file:../proxy-secret")
        elif by == "variable":
            monkeypatch.setenv("OUR_PROXY", address)
            configure(place, CA, 'proxy: "${OUR_PROXY}"')
        else:
            monkeypatch.setenv("HTTPS_PROXY", address)
            configure(place, CA)
        assert place.run() == 0, capsys.readouterr().err
        assert call(["check", str(place.job)]) == 0
        assert place.is_the_truth()
        said = capsys.readouterr()
        assert f"{API} takes connections by the proxy 127.0.0.1:{proxy.port} (" in said.out
        for word in ("s3cret", "czNjcmV0"):
            assert word not in said.out + said.err
            assert nowhere(home, word)


def test_hosts_of_no_proxy_are_asked_directly(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with far_away(home) as (place, proxy):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "localhost, .test")
        configure(place, CA)
        assert call(["check", str(place.job)]) == 1
        assert f"error    reach: the name {HOST} is not found; " in capsys.readouterr().out
        assert proxy.asked == []


def test_proxy_none_means_none_whatever_the_environment_says(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with far_away(home) as (place, proxy):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        configure(place, CA, "proxy: none")
        assert call(["check", str(place.job)]) == 1
        assert f"the name {HOST} is not found" in capsys.readouterr().out
        assert proxy.asked == []


def test_this_machine_is_asked_by_a_proxy_only_where_the_config_names_it(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with far_away(home) as (place, proxy):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        place.write_config()
        assert place.run() == 0, capsys.readouterr().err
        configure(place, CA, url=f"https://localhost:{proxy.to_port}")
        assert call(["check", str(place.job)]) == 0, capsys.readouterr().out
        assert proxy.asked == []
        configure(place, CA, f"proxy: {proxy.url}", url="https://localhost:9")
        assert call(["check", str(place.job)]) == 0, capsys.readouterr().out
        assert proxy.targets == {"localhost:9"}


@pytest.mark.parametrize(
    ("asks", "given", "words"),
    [
        pytest.param(
            {"user": "me:x"},
            "",
            "the proxy {proxy} asks for a user name and a password (HTTP 407); write them into"
            " api.proxy: http://USER:PASSWORD@HOST:PORT",
            id="no password",
        ),
        pytest.param(
            {"user": "me:x"},
            "me:s3cret@",
            "the proxy {proxy} does not accept the user name and the password (HTTP 407); check"
            " api.proxy",
            id="wrong password",
        ),
        pytest.param(
            {"status": 403},
            "",
            "the proxy {proxy} does not make the connection (HTTP 403); let it allow this address,"
            " or check api.proxy",
            id="refused",
        ),
        pytest.param(
            None,
            "",
            "the proxy: {proxy} refuses the connection; check api.proxy",
            id="down",
        ),
    ],
)
def test_check_gives_the_reason_that_a_run_gives(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    asks: dict[str, Any] | None,
    given: str,
    words: str,
) -> None:
    with far_away(home, **(asks or {})) as (place, proxy):
        port = 1 if asks is None else proxy.port
        configure(place, CA, f"proxy: http://{given}127.0.0.1:{port}")
        assert call(["check", str(place.job)]) == 1
        expected = words.format(proxy=f"127.0.0.1:{port}")
        checked = capsys.readouterr()
        assert f"error    reach: {expected}\n" in checked.out
        assert place.run("--deadline", "2s") == 75
        ran = capsys.readouterr()
        assert expected in ran.err
        assert "s3cret" not in checked.out + checked.err + ran.out + ran.err
        assert nowhere(home / "state", "s3cret")
        assert place.bill() == []


def test_an_authority_that_nobody_named_is_not_trusted_and_check_says_so_too(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with far_away(home) as (place, proxy):
        configure(place, f"proxy: {proxy.url}")
        assert call(["check", str(place.job)]) == 1
        expected = (
            f"the certificate of {HOST} is not accepted (this machine does not know who issued it);"
            " check the address, the clock and the certificates of this machine, or name the"
            " authority that signed it in api.ca_file"
        )
        assert f"error    reach: {expected}\n" in capsys.readouterr().out
        assert place.run("--deadline", "2s") == 75
        assert expected in capsys.readouterr().err
        assert place.bill() == []


def test_a_process_trusts_what_its_environment_says_and_writes_no_keys_down(home: Path) -> None:
    with far_away(home) as (place, proxy), pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTPS_PROXY", proxy.url)
        environment.setenv("SSL_CERT_FILE", str(PRIVATE_CA))
        environment.setenv("SSLKEYLOGFILE", str(home / "keys.log"))
        configure(place)
        process = place.process("check", str(place.job), "--json")
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, out + err
        configure(place, CA)
        process = place.process("check", str(place.job), "--json")
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, out + err
        assert "reach" in {check["subject"] for check in json.loads(out)}
    assert not (home / "keys.log").exists()


def test_variables_that_lead_nowhere_are_a_warning(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with far_away(home) as (place, proxy):
        monkeypatch.setenv("SSL_CERT_FILE", str(home / "gone.pem"))
        configure(place, CA, f"proxy: {proxy.url}")
        assert call(["check", str(place.job)]) == 0
        assert (
            "warning  reach: the variable SSL_CERT_FILE names nothing that is there, and TLS goes"
            " without it; mend or unset SSL_CERT_FILE\n"
        ) in capsys.readouterr().out


def test_a_proxy_of_the_environment_that_cannot_be_used_is_bad_input(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with far_away(home) as (place, _):
        monkeypatch.setenv("ALL_PROXY", "socks5://me:s3cret@10.0.0.1:1080")
        configure(place, CA)
        assert place.run() == 2
        said = capsys.readouterr()
        assert (
            "the variable ALL_PROXY: a SOCKS proxy is named, and only HTTP proxies are spoken to;"
        ) in said.err
        assert call(["check", str(place.job)]) == 2
        said_too = capsys.readouterr()
        assert "a SOCKS proxy is named" in said_too.out
        assert "s3cret" not in said.out + said.err + said_too.out + said_too.err
        assert not place.state.exists()
