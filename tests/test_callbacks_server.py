"""The receiver over real sockets: what rings, what is refused, and that nothing else happens."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import anyio
import pytest
from anyio.lowlevel import checkpoint

from orchestrator.api import callback_server as receivers
from orchestrator.api.callback_server import CallbackServer, receiving
from orchestrator.core.settings import CallbackSettings
from tests.kit.stage import Watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

pytestmark = pytest.mark.anyio

PUBLIC = "https://hooks.example.com/vonage"


class Ears:
    """A receiver, one address that is listened at, and how often it rang."""

    def __init__(self, receiver: CallbackServer, seen: Watching) -> None:
        self.receiver = receiver
        self.seen = seen
        self.url = receiver.new_address()
        self.token = self.url.removeprefix(f"{PUBLIC}/")
        self.rung = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.receiver.address[1]}"

    @property
    def calls(self) -> tuple[int, int, int]:
        calls = self.receiver.calls
        return calls.received, calls.unknown, calls.refused

    def ring(self) -> None:
        self.rung += 1

    async def post(self, path: str, body: bytes = b"{}", method: str = "POST") -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.base + path, data=body) as answer,
        ):
            assert await answer.read() == b""
            return answer.status

    async def raw(self, request: bytes) -> bytes:
        """What comes back until the receiver closes the connection."""
        async with await self.connect() as stream:
            await stream.send(request)
            return await everything(stream)

    async def connect(self) -> SocketStream:
        return await anyio.connect_tcp("127.0.0.1", self.receiver.address[1])


async def everything(stream: SocketStream) -> bytes:
    pieces = b""
    with anyio.fail_after(10):
        while True:
            try:
                pieces += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return pieces


@asynccontextmanager
async def ears(listen: str = "127.0.0.1:0") -> AsyncIterator[Ears]:
    seen = Watching()
    async with receiving(CallbackSettings(listen, PUBLIC), seen) as receiver:
        assert receiver is not None
        made = Ears(receiver, seen)
        with receiver.listen(made.url, made.ring):
            yield made


# --- what rings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/{token}",
        "/vonage/{token}",
        "/some/other/prefix/{token}",
        "/vonage/{token}/",
        "/vonage/{token}?request=1",
    ],
)
async def test_the_token_rings_whatever_a_reverse_proxy_made_of_the_path(path: str) -> None:
    async with ears() as here:
        assert await here.post(path.format(token=here.token)) == 200
        assert here.rung == 1
        assert here.calls == (1, 0, 0)


@pytest.mark.parametrize(
    "path", ["/", "/vonage", "/vonage/", "/{token}/more", "/{half}", "/?{token}", "/a%00", "/" * 9]
)
async def test_everything_else_is_not_there(path: str) -> None:
    async with ears() as here:
        path = path.format(token=here.token, half=here.token[:16])
        assert await here.post(path) == 404
        assert here.rung == 0
        assert here.calls == (0, 1, 0)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_only_a_post_is_a_callback(method: str) -> None:
    """Neither the status nor a header tells that the address is one of ours."""
    async with ears() as here:
        right = await here.raw(f"{method} /{here.token} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wrong = await here.raw(f"{method} /wrong HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert right.startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert _without_date(right) == _without_date(wrong)
        assert here.rung == 0


def _without_date(answer: bytes) -> list[bytes]:
    return [line for line in answer.splitlines() if not line.startswith(b"Date:")]


async def test_an_answer_names_no_software() -> None:
    async with ears() as here:
        answer = await here.raw(b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Server: callbacks\r\n" in answer
        assert b"aiohttp" not in answer


async def test_nothing_of_a_call_is_believed_but_its_path() -> None:
    async with ears() as here:
        answer = await here.raw(
            f"POST /{here.token} HTTP/1.0\r\nHost: forged.example.com\r\n"
            "X-Forwarded-For: 1.2.3.4\r\nContent-Type: application/json\r\n"
            "Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!".encode()
        )
        assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
        assert here.rung == 1


async def test_a_caller_that_waits_for_leave_to_send_its_body_is_answered() -> None:
    async with ears() as here:
        head = f"POST /{here.token} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        answer = await here.raw(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert here.rung == 1


# --- bodies ---------------------------------------------------------------------------------------


async def test_a_long_body_is_not_read_and_rings_all_the_same() -> None:
    async with ears() as here:
        head = f"POST /{here.token} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n"
        assert (await here.raw(head.encode())).startswith(b"HTTP/1.1 413 ")
        assert here.rung == 1
        assert here.calls == (1, 0, 1)


async def test_a_body_without_a_length_is_cut_at_the_bound() -> None:
    async with ears() as here, await here.connect() as stream:
        head = f"POST /{here.token} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await stream.send(head.encode())
        piece = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        with anyio.fail_after(10):
            try:
                while True:
                    await stream.send(piece)
                    await checkpoint()
            except anyio.BrokenResourceError:
                pass
        assert here.rung == 1
        assert here.calls == (1, 0, 1)


@pytest.mark.virtual
async def test_a_slow_body_rings_before_it_is_there_and_is_not_waited_for() -> None:
    async with ears() as here, await here.connect() as stream:
        head = f"POST /{here.token} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow"
        await stream.send(head.encode())
        began = anyio.current_time()
        await anyio.sleep(1)
        assert here.rung == 1
        answer = await everything(stream)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert anyio.current_time() - began == pytest.approx(receivers.BODY_SECONDS, abs=0.1)
        assert here.rung == 1
        assert here.calls == (1, 0, 1)


# --- floods ---------------------------------------------------------------------------------------


@pytest.mark.virtual
async def test_past_the_rate_calls_are_turned_away_but_a_right_address_still_rings() -> None:
    async with ears() as here:
        async with aiohttp.ClientSession() as session:
            statuses = []
            for _ in range(int(receivers.BURST) + 3):
                async with session.post(f"{here.base}/wrong") as answer:
                    statuses.append(answer.status)
            assert statuses == [404] * int(receivers.BURST) + [429] * 3
            assert answer.headers["Retry-After"] == "1"
            async with session.post(f"{here.base}/{here.token}") as answer:
                assert answer.status == 429
            assert here.rung == 1
            await anyio.sleep(1)
            async with session.post(f"{here.base}/{here.token}") as answer:
                assert answer.status == 200
        assert here.calls == (2, int(receivers.BURST) + 3, 4)
        assert here.seen.notes[1:] == [
            (
                "warning: callbacks: 1,000 calls came for no report of this run; somebody guesses "
                "addresses, or others share callback.public_url; they cost nothing but their "
                "answers"
            )
        ]


async def test_whoever_holds_all_connections_keeps_nobody_out() -> None:
    async with ears() as here:
        held = [await here.connect() for _ in range(receivers.MAX_CONNECTIONS + 5)]
        assert await here.post(f"/{here.token}") == 200
        assert here.rung == 1
        assert here.receiver.calls.refused == 6
        assert await everything(held[0]) == b""
        for stream in held:
            await stream.aclose()


@pytest.mark.virtual
async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with ears() as here, await here.connect() as stream:
        assert await everything_within(stream, 60) == b""


async def everything_within(stream: SocketStream, seconds: float) -> bytes:
    with anyio.fail_after(seconds):
        try:
            return await stream.receive()
        except anyio.EndOfStream:
            return b""


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["tls", "nonsense", "long header", "long path", "bad length", "bad chunk", "bad method"],
)
async def test_noise_is_answered_and_not_a_word_of_it_written(
    noise: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async with ears() as here:
        answer = await here.raw(noise)
        assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
        assert answer.endswith(b"\r\n\r\n")
        assert b"aiohttp" not in answer
        assert here.calls == (0, 0, 1)
        assert await here.post(f"/{here.token}") == 200
        assert here.rung == 1
    assert capfd.readouterr() == ("", "")


# --- listening ------------------------------------------------------------------------------------


async def test_it_says_where_it_listens_and_for_what() -> None:
    async with ears() as here:
        port = here.receiver.address[1]
        assert here.seen.notes == [f"info: callbacks: listening on 127.0.0.1:{port} for {PUBLIC}"]


async def test_it_listens_on_ipv6_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with ears("[::1]:0") as here:
        host, port = here.receiver.address
        assert here.seen.notes == [f"info: callbacks: listening on [::1]:{port} for {PUBLIC}"]
        assert host == "::1"


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.7", os.strerror(errno.EADDRNOTAVAIL)), ("a..b", "no name of a host")],
)
async def test_an_address_that_is_not_ours_is_a_warning(host: str, reason: str) -> None:
    seen = Watching()
    async with receiving(CallbackSettings(f"{host}:0", PUBLIC), seen) as receiver:
        assert receiver is None
    assert seen.notes == [
        (
            f"warning: callback.listen: {host}:0 cannot be listened on ({reason}); this run "
            "polls its reports"
        )
    ]


async def test_a_port_that_another_has_is_a_warning() -> None:
    async with ears() as here:
        taken = f"127.0.0.1:{here.receiver.address[1]}"
        seen = Watching()
        async with receiving(CallbackSettings(taken, PUBLIC), seen) as receiver:
            assert receiver is None
        assert seen.notes == [
            (
                f"warning: callback.listen: {taken} cannot be listened on (Address already in "
                "use); this run polls its reports"
            )
        ]


async def test_a_listener_that_fails_is_told_of_once_and_the_caller_is_answered() -> None:
    async with ears() as here:

        def fail() -> None:
            raise RuntimeError("a bug of ours")

        with here.receiver.listen(f"{PUBLIC}/bad", fail):
            assert await here.post("/bad") == 200
            assert await here.post("/bad") == 200
        assert here.seen.notes[1:] == ["error: a callback could not be passed on (RuntimeError)"]


async def test_after_its_end_nobody_listens() -> None:
    async with ears() as here:
        pass
    with pytest.raises(OSError, match="All connection attempts failed"):
        await here.connect()


async def test_the_end_does_not_wait_for_those_who_only_hold_a_connection() -> None:
    async with ears() as here:
        stream = await here.connect()
        await anyio.sleep(0.01)
    assert await everything(stream) == b""
    await stream.aclose()
