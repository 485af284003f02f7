"""How values look in JSON."""

from datetime import datetime


def utc(time: datetime | None) -> str | None:
    """Return a time of the database as ISO 8601 in UTC, to the second."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")
