"""A remote object as a file that is fetched in pieces, as few as its reader's jumps allow, within a budget."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anb.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MIN_READ_AHEAD_BYTES: Final = 64 * 1024
MAX_BLOCK_BYTES: Final = 4 * 1024 * 1024
# A jump this short is cheaper read over than asked for: it takes as long as S3 takes to begin an answer
NEAR_BYTES: Final = 1024 * 1024

TOO_MANY_PIECES: Final = (
    "El archivo está hecho de demasiadas piezas pequeñas para revisarlo; vuelve a exportarlo como MP4."
)


class TooManyPieces(Invalid):
    """What the reader needs is spread over so many places that fetching it costs more than the budget."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What reading one object may cost; no request begins after `max_seconds`."""

    max_requests: int
    max_bytes: int
    max_seconds: float


# Reading forward through the largest upload, 100 MB, takes some 100 requests when every jump is just not near, and
# some 30 when all are. The latter fetch the file as a whole, as a recording in fragments of 100 ms needs it; that is
# why the bytes are those of the largest upload, and since going forward fetches none of them twice, they are enough.
# The seconds are half of what nginx waits for an answer (60), and enough for four such files at once over the
# 128 Mbit/s that an instance has when its burst is spent.
FILE_CHECK_BUDGET: Final = Budget(max_requests=128, max_bytes=100 * 1024 * 1024, max_seconds=30)


class RangedFile(io.RawIOBase):
    """Reads an object through `fetch`, which returns so many bytes from a position; `first` is how it begins.

    Fetches little ahead where the reader jumps far, and ever more where it goes on close by. Keeps one block,
    at most MAX_BLOCK_BYTES, and while it fetches none. Raises TooManyPieces when the requests or bytes of the
    budget are spent, Unavailable when its seconds are, and whatever `fetch` raises.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], bytes],
        *,
        size_bytes: int,
        first: bytes = b"",
        budget: Budget = FILE_CHECK_BUDGET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._size_bytes, self._budget, self._clock = fetch, size_bytes, budget, clock
        self._deadline = clock() + budget.max_seconds
        self._position = 0
        self._block, self._block_start = first, 0
        self._ahead_bytes = MIN_READ_AHEAD_BYTES
        self._requests, self._bytes = (1, len(first)) if first else (0, 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read at most what is left of a block, so that nothing is fetched ahead of its use."""
        target = memoryview(buffer).cast("B")
        wanted = min(len(target), self._size_bytes - self._position)
        if wanted <= 0:
            return 0
        if not self._block_start <= self._position < self._block_start + len(self._block):
            self._load(wanted)
        offset = self._position - self._block_start
        data = memoryview(self._block)[offset : offset + wanted]
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _load(self, wanted: int) -> None:
        """Fetch the block that begins where the reader is."""
        ahead_bytes = MIN_READ_AHEAD_BYTES
        if self._block and 0 <= self._position - self._block_start - len(self._block) <= NEAR_BYTES:
            ahead_bytes = self._ahead_bytes = min(2 * self._ahead_bytes, MAX_BLOCK_BYTES)
        count = min(wanted + ahead_bytes, MAX_BLOCK_BYTES, self._size_bytes - self._position)
        self._spend(count)
        self._block = b""  # its memory is for the next one
        self._block = self._fetch(self._position, count)
        self._block_start = self._position

    def _spend(self, count: int) -> None:
        self._requests += 1
        self._bytes += count
        if self._requests > self._budget.max_requests or self._bytes > self._budget.max_bytes:
            raise TooManyPieces(TOO_MANY_PIECES)
        if self._clock() > self._deadline:
            raise Unavailable("El almacenamiento tarda demasiado en responder. Inténtalo de nuevo.")
