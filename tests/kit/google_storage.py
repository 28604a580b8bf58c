"""The part of Google Cloud Storage's XML API that a store needs, as its documentation has it.

Written by us, since no server for tests works with the library: it shows that we ask as documented,
not that Google answers so. https://cloud.google.com/storage/docs/xml-api/reference-methods
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_TIME: Final = "Thu, 01 Jan 2026 00:00:00 GMT"
_META: Final = "x-goog-meta-"


class Stored(NamedTuple):
    """An object."""

    content: bytes
    meta: dict[str, str]
    generation: int

    @property
    def headers(self) -> dict[str, str]:
        """What is said of it."""
        e_tag = f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'
        told = {"ETag": e_tag, "x-goog-generation": str(self.generation), "Last-Modified": _TIME}
        return told | self.meta


class GoogleStorage(ThreadingHTTPServer):
    """A server in threads of this process; every bucket is there whose name begins so."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, tuple[dict[str, str], dict[int, bytes]]] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # An answer is sent as one.
    server: GoogleStorage

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        bucket, _, name = parts.path[1:].partition("/")
        key = f"{bucket}/{unquote(name)}"
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        headers: dict[str, str] = {}
        with self.server.lock:
            if not bucket.startswith("bucket"):
                code, content = 404, b"<Error><Code>NoSuchBucket</Code></Error>"
            elif not name:
                code, content = 200, self._listed(bucket, query.get("prefix", ""))
            elif query.keys() & {"uploads", "uploadId"}:
                code, headers, content = self._in_parts(key, query, body)
            elif self.command == "PUT":
                code, headers, content = self._write(key, body, self._meta())
            elif self.command == "DELETE":
                code, content = (204 if self.server.objects.pop(key, None) else 404), b""
            else:
                code, headers, content = self._read(key)
        self.send_response(code)
        length = headers.pop("Content-Length", str(len(content)))
        for header, value in headers.items():
            self.send_header(header, value)
        if code != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - of the base class

    def _meta(self) -> dict[str, str]:
        return {k.lower(): v for k, v in self.headers.items() if k.lower().startswith(_META)}

    def _write(
        self, key: str, content: bytes, meta: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        wanted = self.headers.get("x-goog-if-generation-match")
        stands = self.server.objects.get(key)
        if wanted is not None and int(wanted) != (stands.generation if stands else 0):
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        made = Stored(content, meta, next(self.server.numbers))
        self.server.objects[key] = made
        return 200, made.headers, b""

    def _read(self, key: str) -> tuple[int, dict[str, str], bytes]:
        stands = self.server.objects.get(key)
        if stands is None:
            return 404, {}, b"" if self.command == "HEAD" else b"<Error/>"
        headers, content = stands.headers, stands.content
        if self.headers.get("If-Match") not in (None, headers["ETag"]):
            return 412, {}, b""
        if self.command == "HEAD":
            return 200, headers | {"Content-Length": str(len(content))}, b""
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if part is None:
            return 200, headers, content
        start, last = int(part[1]), min(int(part[2]), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{last}/{len(content)}"
        return 206, headers, content[start : last + 1]

    def _in_parts(
        self, key: str, query: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if "uploads" in query:
            number = str(next(self.server.numbers))
            self.server.uploads[number] = (self._meta(), {})
            text = f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId>"
            return 200, {}, f"{text}</InitiateMultipartUploadResult>".encode()
        number = query["uploadId"]
        meta, parts = self.server.uploads[number]
        if self.command == "PUT":
            parts[int(query["partNumber"])] = body
            return 200, {"ETag": f'"part-{query["partNumber"]}"'}, b""
        del self.server.uploads[number]
        if self.command == "DELETE":
            return 204, {}, b""
        code, headers, _ = self._write(key, b"".join(parts[at] for at in sorted(parts)), meta)
        text = f"<CompleteMultipartUploadResult><ETag>{escape(headers['ETag'])}</ETag>"
        return code, headers, f"{text}</CompleteMultipartUploadResult>".encode()

    def _listed(self, bucket: str, prefix: str) -> bytes:
        begin = f"{bucket}/{prefix}"
        found = [
            f"<Contents><Key>{escape(key.partition('/')[2])}</Key><Size>{len(stored.content)}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(stored.headers['ETag'])}</ETag></Contents>"
            for key, stored in sorted(self.server.objects.items())
            if key.startswith(begin)
        ]
        return f"<ListBucketResult>{''.join(found)}</ListBucketResult>".encode()

    def log_message(self, *_: object) -> None:
        pass
