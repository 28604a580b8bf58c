"""How object stores are reached: the library obstore, what the environment says, times, errors."""

import os
import re
from datetime import timedelta
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from orchestrator.core.hosts import is_on_this_machine
from orchestrator.errors import InputError
from orchestrator.texts import short

_ENVIRONMENT: Final = ("AWS_", "AZURE_", "AZURITE_", "GOOGLE_")  # Variables that the library reads.
_ENDPOINTS: Final = {
    "s3": ("aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint"),
    "az": ("azure_storage_endpoint", "azure_endpoint", "azurite_blob_storage_url"),
    "gs": ("google_base_url",),
}
"""The variables that may say where a store is, in lower case, by how its address begins."""

_RETRIES: Final = {
    "max_retries": 5,  # The library's own ten take three minutes, in which a run cannot end.
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=10),
        "base": 2,
    },
}
_CONNECT_SECONDS: Final = 10
_REQUEST_SECONDS: Final = 120
_SLOWEST: Final = 128 * 1024  # Bytes a second, 1 Mbit/s: the slowest line that large bodies get by.
_MAX_ERROR: Final = 300  # Characters of what the library says; the rest is its own source code.
_QUERY: Final = re.compile(r"\?[^\s]*")
_USER: Final = re.compile(r"(?<=://)[^/\s@]*@")

Environment = tuple[tuple[str, str], ...]


def library() -> Any:
    """The library obstore.

    Raises:
        InputError: it is not installed.
    """
    try:
        import_module("obstore.store")
        return import_module("obstore")
    except ImportError as error:
        raise InputError(
            "output.directory is the address of an object store, which needs the library obstore;"
            " install it with `pip install 'obstore>=0.12'`, or name a directory"
        ) from error


def environment() -> Environment:
    """The variables of now that say how stores are reached."""
    return tuple(sorted(item for item in os.environ.items() if item[0].startswith(_ENVIRONMENT)))


def request_seconds(size_bytes: int) -> int:
    """How long a request may take whose body is so large, in whole minutes."""
    return _REQUEST_SECONDS + size_bytes // _SLOWEST // 60 * 60


@lru_cache(maxsize=32)
def connect(library: Any, url: str, variables: Environment, seconds: int) -> Any:
    """The library's store at an address; the same one each time, with its open connections.

    Args:
        url: of the bucket, and the prefix of all keys.
        seconds: that a request may take.

    Raises:
        InputError: the library takes neither the address nor the environment, or what is sent
            could be read on its way.
    """
    for name, value in variables:
        # The library would end the process over it. A key of Google is JSON of several lines.
        if not value.isprintable() and not name.endswith("SERVICE_ACCOUNT_KEY"):
            raise InputError(
                f"output.directory {url}: the environment variable {name} holds a line break or"
                " another character that cannot be sent; set it without"
            )
    options: dict[str, object] = {
        "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
        "timeout": timedelta(seconds=seconds),
    }
    names = _ENDPOINTS[url.partition("://")[0]]
    for name, endpoint in variables:
        if name.lower() in names and endpoint.lower().startswith("http://"):
            if not is_on_this_machine(endpoint):
                raise InputError(
                    f"output.directory {url}: {name} begins with http://, so that records would be"
                    " sent unencrypted; let it begin with https://"
                )
            options["allow_http"] = True  # As for the API: plain HTTP never leaves this machine.
    try:
        return library.store.from_url(url, client_options=options, retry_config=_RETRIES)
    except (library.exceptions.BaseError, ValueError) as error:
        raise InputError(f"output.directory {url} cannot be used: {told(error)}") from error


def told(error: BaseException) -> str:
    """What the library says of an error, on one line.

    Without its own inner names, and without what may be secret in addresses: queries, which may
    hold a signature, and passwords.
    """
    text = str(error).partition("Debug source:")[0]
    text = _USER.sub("", _QUERY.sub("", text))
    return short(" ".join(text.split()), _MAX_ERROR)
