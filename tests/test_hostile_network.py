"""Who gets to see the key: redirects, links to other hosts, servers without a good certificate."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web

from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.errors import ServerFault, TransportError
from orchestrator.simulator import Fault, Settings
from tests.kit.clients import REPORT, SECRET, TOKEN, client_of, create, every_call
from tests.kit.servers import http_server
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from orchestrator.core.ports import ReportsApi

pytestmark = [pytest.mark.anyio]

TLS = Path(__file__).parent / "kit" / "tls"
QUARTER = between("2025-11-01", "2026-02-01")


class Recorder:
    """A host that writes down every byte that it is sent above TCP, and answers."""

    def __init__(self, answer: Callable[[], web.Response] = web.Response) -> None:
        self.seen: list[str] = []
        self._answer = answer

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(f"{request.method} {request.raw_path} {request.raw_headers!r} {body!r}")
        return self._answer()

    @property
    def knows_the_secret(self) -> bool:
        return any(word in text for text in self.seen for word in (SECRET, TOKEN, "uthorization"))


@every_call
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_call_follows_a_redirect_to_another_host(
    call: Callable[[ReportsApi], Awaitable[object]], status: int
) -> None:
    foreign = Recorder(lambda: web.json_response(REPORT))
    async with http_server(foreign) as other:
        location = {"Location": f"{other}/v2/reports"}
        own = Recorder(lambda: web.Response(status=status, headers=location))
        async with http_server(own) as url, client_of(url) as api:
            with pytest.raises(ServerFault, match="which no such call should; check api"):
                await call(api)
    assert len(own.seen) == 1
    assert own.knows_the_secret, "or this test sees nothing"
    assert foreign.seen == []


@pytest.mark.virtual
@pytest.mark.parametrize(
    ("at", "where"), [("link", "{other}/f?sig=1"), ("redirect", "{other}/f?sig=1")]
)
async def test_a_run_sends_a_foreign_host_nothing_but_the_request(
    tmp_path: Path, at: str, where: str
) -> None:
    """What that host serves is no archive: the report is disputed in the end."""
    foreign = Recorder()
    async with http_server(foreign) as other:
        to = where.format(other=other)
        fault = (
            Fault.of("report", "link", to=to, nth=1)
            if at == "link"
            else Fault.of("download", "redirect", to=to, first=8)
        )
        async with stage(tmp_path, with_faults(Settings(records_per_day=1.0), fault)) as here:
            end = await here.run(job(between("2026-01-01", "2026-02-01")))
            secrets = [key.api_secret for key in here.settings.keys]
            assert exit_code(end.remains) is ExitCode.FINDINGS
            assert here.states() == {"disputed": 1}
    assert len(foreign.seen) >= 1
    assert not foreign.knows_the_secret
    assert not any(secret in text for secret in secrets for text in foreign.seen)


@pytest.mark.virtual
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault.of("report", "link", to="foreign"), id="link to another host"),
        pytest.param(Fault.of("report", "link", to="relative"), id="relative link"),
        pytest.param(Fault.of("download", "redirect", nth=[1, 3]), id="redirect to another host"),
        pytest.param(Fault.of("download", "redirect", to="chain", first=6), id="redirects on"),
    ],
)
async def test_detours_of_a_file_are_followed_to_the_truth(tmp_path: Path, fault: Fault) -> None:
    async with stage(tmp_path, with_faults(Settings(records_per_day=1.0), fault)) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(job(QUARTER))


# --- TLS ------------------------------------------------------------------------------------------


@asynccontextmanager
async def tls_server(certificate: str, recorder: Recorder) -> AsyncIterator[str]:
    """A real TLS server on 127.0.0.1 with a certificate of `tests/kit/tls`; its base URL."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / f"{certificate}.pem")
    runner = web.ServerRunner(web.Server(recorder))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("certificate", ["good", "expired", "other_host"])
async def test_an_authority_that_the_machine_does_not_trust_gets_no_request(
    certificate: str,
) -> None:
    recorder = Recorder(lambda: web.json_response(REPORT))
    async with tls_server(certificate, recorder) as url, client_of(url) as api:
        with pytest.raises(TransportError) as caught:
            await create(api)
    assert str(caught.value).endswith(
        ": the certificate of 127.0.0.1 is not accepted (this machine does not know who issued"
        " it); check the address, the clock and the certificates of this machine, or name the"
        " authority that signed it in api.ca_file"
    )
    assert not caught.value.maybe_sent
    assert recorder.seen == []


async def test_a_file_on_a_host_without_a_good_certificate_is_not_fetched() -> None:
    recorder = Recorder()
    async with tls_server("good", recorder) as url, client_of("https://api.nexmo.com") as api:
        with pytest.raises(
            TransportError, match=r"the certificate of 127\.0\.0\.1 is not accepted"
        ):
            async with api.download(f"{url}/f"):
                pass
    assert recorder.seen == []


ASK = """
import anyio, sys
from orchestrator.errors import ApiError
from tests.kit.clients import client_of, status

async def main(url):
    async with client_of(url) as api:
        try:
            print("answered", (await status(api)).request_id)
        except ApiError as error:
            print(error)

anyio.run(main, sys.argv[1])
"""


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("good", "answered r-1"),
        ("expired", "is not accepted (it has expired)"),
        ("other_host", "is not accepted (it is for another address)"),
    ],
)
async def test_of_a_trusted_authority_the_name_and_the_time_are_checked_too(
    certificate: str, words: str
) -> None:
    """The machine's own way to trust an authority works, so the refusals above are about trust."""
    recorder = Recorder(lambda: web.json_response(REPORT))
    async with tls_server(certificate, recorder) as url:
        done = await anyio.run_process(
            [sys.executable, "-c", ASK, url],
            env={
                **os.environ,
                "SSL_CERT_FILE": str(TLS / "ca.pem"),
                "PYTHONPATH": str(TLS.parents[2]),
            },
            stderr=subprocess.PIPE,
        )
    assert words in done.stdout.decode(), done.stderr.decode()
    assert recorder.knows_the_secret is (certificate == "good")


@pytest.mark.virtual
async def test_an_api_with_a_false_certificate_costs_nothing_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    recorder = Recorder(lambda: web.json_response(REPORT))
    async with (
        stage(tmp_path, Settings(records_per_day=1.0)) as here,
        tls_server("good", recorder) as url,
    ):
        true = here.config
        here.config = replace(true, api=replace(true.api, base_url=url))
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {}
        assert any(
            "the certificate of 127.0.0.1 is not accepted" in note for note in here.seen.notes
        )
        assert recorder.seen == []
        here.config = true
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(QUARTER))
