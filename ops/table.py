"""Plain text for a terminal, a mail and a ticket alike."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the rows under their header, in columns as wide as they need to be."""
    lines = [list(header), *([text(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def text(value: object) -> str:
    """Return a value in one line that no terminal obeys: a dash for none, times in UTC to the second."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    line = " ".join(str(value).split())
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)


def minute(at: datetime) -> str:
    """Return a time in UTC to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def size(size_bytes: int) -> str:
    """Return a size as people read it."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1_000_000:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1000:.1f} kB"


def age(seconds: float) -> str:
    """Return a time span as people read it."""
    return str(timedelta(seconds=int(seconds)))
