"""Reads `api.ca_file`: certificates of authorities that are trusted besides the machine's own."""

import re
from pathlib import Path
from typing import Final

from orchestrator.config.parsers import InvalidValue
from orchestrator.config.regular_files import open_regular, why_unreadable

MAX_BYTES: Final = 4 * 1024 * 1024  # The bundle of a whole system has 250 kB.

_BLOCK: Final = re.compile(
    rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----.*?-----END \1-----", re.DOTALL
)


def read_authorities(path: Path) -> str:
    """The certificates of a PEM file, without the comments between them.

    Raises:
        InvalidValue: it cannot be read, or holds no certificate that can.
    """
    try:
        with open_regular(path) as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        what, remedy = why_unreadable(error, folder="name one file with all certificates in it")
        raise InvalidValue(f"{path} {what}", remedy) from None
    if len(content) > MAX_BYTES:
        raise InvalidValue(f"{path} is larger than {MAX_BYTES // 1024**2} MB", "check the path")
    blocks = [found[0] for found in _BLOCK.finditer(content)]
    if not blocks:
        remedy = "name a file with -----BEGIN CERTIFICATE----- in it"
        if content.startswith(b"0"):  # a SEQUENCE of ASN.1
            remedy = f"convert it: openssl x509 -inform der -in {path.name} -out {path.stem}.pem"
        raise InvalidValue(f"{path} holds no certificate in PEM form", remedy)
    authorities = b"\n".join(blocks).decode("ascii", "replace")
    import ssl  # noqa: PLC0415 - start-up time

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError):
        what = f"{path} holds a certificate that is damaged"
        raise InvalidValue(what, "copy the file anew") from None
    return authorities
