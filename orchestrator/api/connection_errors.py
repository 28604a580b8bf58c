"""Says why a connection failed, in words that do not depend on the versions of libraries.

The words are the operating system's for an error number (`os.strerror`), or OpenSSL's name of the
failure, which can be searched for. Sentences of asyncio, aiohttp and OpenSSL are never repeated.
"""

import errno
import os
import socket
import ssl
from typing import Final

_CERTIFICATE: Final = {
    2: "this machine does not know who issued it",
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is signed by itself",
    19: "this machine does not know who issued it",
    20: "this machine does not know who issued it",
    21: "this machine does not know who issued it",
    23: "it has been revoked",
    62: "it is for another name",
    64: "it is for another address",
}
"""By the numbers of X509_V_ERR_..., which OpenSSL never changes."""


def system_words(error: BaseException) -> str:
    """What the operating system says of an error, in a few words."""
    if isinstance(error, socket.gaierror):
        return "the name is not found"
    if isinstance(error, UnicodeError):
        return "no name of a host"
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0 and not isinstance(error, ssl.SSLError):
        return os.strerror(number)
    return type(error).__name__


def listen_words(error: BaseException) -> str:
    """Why an address cannot be listened on."""
    if isinstance(error, OSError) and error.errno is None:
        # From Python 3.13 on asyncio drops this number, and no other: "could not bind on any".
        return os.strerror(errno.EADDRNOTAVAIL)
    return system_words(error)


def tls_words(error: BaseException) -> str:
    """Why no TLS connection came about: OpenSSL's name of it, such as ``WRONG_VERSION_NUMBER``."""
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or "it was refused"
    return system_words(error)


def certificate_words(error: BaseException) -> str:
    """What is wrong with a certificate."""
    number = getattr(error, "verify_code", None)
    return _CERTIFICATE.get(number or 0, "it cannot be verified")
