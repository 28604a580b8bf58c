"""A download that ends in order a while after the run is to stop."""

from collections.abc import AsyncIterator

from orchestrator.core.ports import Download
from orchestrator.engine.drain import Drain
from orchestrator.errors import TransportError


class BriefDownload:
    """Passes a download on. Once the drain's grace is over, it breaks off like a connection.

    So whoever takes it keeps what has come, as after any other break; a cancellation would lose
    what is in their hands.
    """

    def __init__(self, download: Download, drain: Drain) -> None:
        self._download = download
        self._drain = drain
        self.was_cut = False

    @property
    def length(self) -> int | None:
        """See the port `Download`."""
        return self._download.length

    @property
    def start(self) -> int:
        """See the port `Download`."""
        return self._download.start

    @property
    def validator(self) -> str | None:
        """See the port `Download`."""
        return self._download.validator

    async def chunks(self) -> AsyncIterator[bytes]:
        """See the port `Download`."""
        chunks = self._download.chunks()
        try:
            while True:
                piece: bytes | None = None
                with self._drain.grace() as grace:
                    piece = await anext(chunks, None)
                if grace.cancelled_caught:
                    self.was_cut = True
                    raise TransportError(
                        "cut, since the run is to stop; what has come is kept for the next run",
                        maybe_sent=True,
                    )
                if piece is None:
                    return
                yield piece
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
