"""Object stores on this machine, for tests; each server runs for as long as this process."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import shutil
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from tests.kit.google_storage import GoogleStorage

_RUNNING: list[subprocess.Popen[str]] = []
_NUMBERS = itertools.count(1)


@cache
def _endpoint() -> str:
    """The address of moto's server of S3."""
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


_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_OPTIONS = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
_API_VERSION = "2021-08-06"


@cache
def _azurite() -> str:
    """The address of Azure's test server, below which its only account is."""
    pytest.importorskip("obstore")
    folders = f"{sys.prefix}/azurite/node_modules/.bin{os.pathsep}{os.environ['PATH']}"
    program = shutil.which("azurite-blob", path=folders)
    if program is None:
        pytest.skip("azurite is not there: `make test` installs it where npm is")
    # It ends with this process, whatever ends that: its standard input closes then.
    ends_with_us = '"$@" & read -r _; kill $!'
    process = subprocess.Popen(
        [
            "sh",
            "-c",
            ends_with_us,
            "sh",
            program,
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            "0",
            *_OPTIONS,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    _RUNNING.append(process)
    assert process.stdout is not None
    told = next(line for line in process.stdout if "listens on" in line)
    return told.split()[-1]


def azure_environment() -> dict[str, str]:
    """The variables with which a program reaches the server."""
    return {
        "AZURE_STORAGE_ENDPOINT": f"{_azurite()}/{_ACCOUNT}",
        "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
    }


def new_container(prefix: str = "in/here") -> str:
    """The address of a prefix in a container of its own."""
    name = f"container-{os.getpid()}-{next(_NUMBERS)}"
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": now, "x-ms-version": _API_VERSION}
    lines = ["PUT", *[""] * 11, *(f"{key}:{value}" for key, value in headers.items())]
    lines += [f"/{_ACCOUNT}/{_ACCOUNT}/{name}", "restype:container"]
    signed = hmac.digest(base64.b64decode(_KEY), "\n".join(lines).encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(signed).decode()}"
    url = f"{_azurite()}/{_ACCOUNT}/{name}?restype=container"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method="PUT")):
        return f"az://{name}/{prefix}"


@cache
def _google() -> GoogleStorage:
    pytest.importorskip("obstore")
    return GoogleStorage()


def google_environment() -> dict[str, str]:
    """The variables with which a program reaches the server."""
    return {"GOOGLE_BASE_URL": _google().url, "GOOGLE_BEARER_TOKEN": "tests"}


def new_google_bucket(prefix: str = "in/here") -> str:
    """The address of a prefix in a bucket of its own."""
    return f"gs://bucket-{os.getpid()}-{next(_NUMBERS)}/{prefix}"


STORES = {
    "s3": (s3_environment, new_bucket),
    "google": (google_environment, new_google_bucket),
    "azure": (azure_environment, new_container),
}


def new_place(kind: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a prefix of its own in one of `STORES`, which the environment leads to."""
    environment, new = STORES[kind]
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    return new()
