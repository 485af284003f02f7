"""What log lines of different programs have in common."""

from datetime import UTC, datetime


def time_of(said: str) -> datetime:
    """Return the time that a line says, in ISO 8601 in any of its forms; the beginning of time where it says none."""
    try:
        time = datetime.fromisoformat(said)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
