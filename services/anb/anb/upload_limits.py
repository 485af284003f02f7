"""What one player may have under way at once, and begin within an hour."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, case, func, select, text

from anb.errors import TooManyRequests
from anb.models import Status, Video, now
from anb.videos import MAX_BYTES

_HOUR_SECONDS = 3600
# What was posted for a reservation is kept for a day (stacks/media.py); until then it takes place
RESERVATION_SECONDS = 24 * 3600
# Nobody knows when a worker gets to what waits
_RETRY_WAITING_SECONDS = 60
_WAITING = (Status.AWAITING_UPLOAD, Status.UPLOADED, Status.PROCESSING)

_within_the_hour = Video.created_at > now(plus_seconds=-_HOUR_SECONDS)
_is_open = Video.status == Status.AWAITING_UPLOAD


def _age_of_oldest(condition: ColumnElement[bool]) -> ColumnElement[int]:
    oldest = func.min(case((condition, Video.created_at)))
    return func.coalesce(func.timestampdiff(text("SECOND"), oldest, now()), 0)


_BEGUN_LATELY = select(
    func.count(case((_within_the_hour, 1))).label("in_the_hour"),
    func.count(case((_is_open, 1))).label("open"),
    func.coalesce(func.sum(case((Video.status.in_(_WAITING), Video.size_bytes))), 0).label("waiting_bytes"),
    _age_of_oldest(_within_the_hour).label("oldest_in_the_hour_seconds"),
    _age_of_oldest(_is_open).label("oldest_open_seconds"),
).where(Video.user_id == bindparam("owner_id"), Video.created_at > now(plus_seconds=-RESERVATION_SECONDS))


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """How much that is."""

    open_reservations: int = 30
    waiting_bytes: int = 30 * MAX_BYTES
    uploads_an_hour: int = 120


def check(connection: Connection, *, owner_id: int, limits: UploadLimits) -> None:
    """Raise TooManyRequests, which undoes the reservation that was just made, when it is one too many."""
    begun = connection.execute(_BEGUN_LATELY, {"owner_id": owner_id}).one()
    if begun.in_the_hour > limits.uploads_an_hour:
        raise TooManyRequests(
            f"Ya subiste {limits.uploads_an_hour} videos en la última hora. Inténtalo más tarde.",
            retry_after_seconds=max(1, _HOUR_SECONDS - begun.oldest_in_the_hour_seconds),
        )
    if begun.open > limits.open_reservations:
        raise TooManyRequests(
            f"Tienes {limits.open_reservations} subidas sin terminar. Termina o elimina alguna antes de otra.",
            retry_after_seconds=max(1, RESERVATION_SECONDS - begun.oldest_open_seconds),
        )
    if begun.waiting_bytes > limits.waiting_bytes:
        raise TooManyRequests(
            f"Tus videos en espera superan {limits.waiting_bytes // 1024**2} MB. "
            "Espera a que se procesen, o termina o elimina alguna subida.",
            retry_after_seconds=_RETRY_WAITING_SECONDS,
        )
