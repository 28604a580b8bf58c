"""An S3 server on this machine, for tests."""

from __future__ import annotations

import itertools
import os
import urllib.request
from functools import cache
from typing import Any

import pytest

_NUMBERS = itertools.count(1)


@cache
def _endpoint() -> str:
    """The address of a server that runs for as long as this process."""
    pytest.importorskip("obstore")
    moto = pytest.importorskip("moto.server")
    server: Any = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def s3_environment() -> dict[str, str]:
    """The variables with which a program reaches the server."""
    return {
        "AWS_ENDPOINT_URL": _endpoint(),
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
    }


def new_bucket(prefix: str = "in/here") -> str:
    """The address of a prefix in a bucket of its own."""
    name = f"bucket-{os.getpid()}-{next(_NUMBERS)}"
    answer(f"/{name}", "PUT")
    return f"s3://{name}/{prefix}"


def answer(path: str, method: str = "GET", body: bytes | None = None) -> bytes:
    """What the server says to a plain request."""
    request = urllib.request.Request(
        _endpoint() + path,
        data=body,
        method=method,
        headers={
            "Authorization": "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request",
            "Content-Type": "application/octet-stream",
        },
    )
    with urllib.request.urlopen(request) as response:
        content: bytes = response.read()
    return content
