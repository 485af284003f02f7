"""The rules for videos: what may be uploaded, who sees what, and what may be deleted."""

import base64
import binascii
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Self
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Row,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from anb import texts
from anb.database import DUPLICATE_KEY, driver_sql
from anb.errors import Conflict, Forbidden, Invalid, NotFound, TooManyRequests, Unauthenticated
from anb.models import Standing, Status, UncountedVote, User, Video, now
from anb.mp4 import Clip, read_clip

LARGEST_BYTES = 100 * 1024 * 1024
SHORTEST_SECONDS, LONGEST_SECONDS = 20, 60
# Frame rates of 1000/1001 and audio that outlasts the picture make a "60 s" clip last up to 60.1 s
SECONDS_TOLERANCE = 0.1
SMALLEST_SIDE_PIXELS = 1080
_LONGEST_TITLE = 200
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")

# How long the relay leaves an accepted video to its own request before it rings for it
SEND_GRACE_SECONDS = 10

_OWNED = (Status.UPLOADED, Status.PROCESSING, Status.PROCESSED, Status.FAILED)
_DELETABLE = (Status.AWAITING_UPLOAD, Status.REFUSED, Status.UPLOADED, Status.PROCESSING, Status.FAILED)
_WAITING = (Status.AWAITING_UPLOAD, Status.UPLOADED, Status.PROCESSING)

_HOUR_SECONDS = 3600
# What was posted for a reservation is kept for a day (stacks/media.py); until then it takes place
RESERVATION_SECONDS = 24 * 3600
# Nobody knows when a worker gets to what waits
_RETRY_WAITING_SECONDS = 60

Columns = Row[*tuple[Any, ...]]

# Part of the same statement: between two, a tally could move votes from one of the numbers to the other
_waiting = select(func.count(UncountedVote.id)).where(UncountedVote.video_id == Video.id).scalar_subquery()
_votes = (Video.votes + _waiting).label("votes")

# What uploads and looks ask is built once: building a statement takes longer than running it
_RESERVED = insert(Video).inline()  # nobody asks for the key, which is ours
_ACCEPTED = (
    update(Video)
    .where(Video.id == bindparam("video_id"), Video.status == Status.AWAITING_UPLOAD)
    .values(
        status=Status.UPLOADED,
        source=bindparam("accepted"),
        size_bytes=bindparam("accepted_bytes"),
        uploaded_at=now(),
        next_enqueue_at=now(plus_seconds=SEND_GRACE_SECONDS),
    )
)
# Whoever has the player's row counts and adds alone
_PLAYER_LOCKED = driver_sql(select(User.id).where(User.id == bindparam("player")).with_for_update())
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
).where(Video.user_id == bindparam("player"), Video.created_at > now(plus_seconds=-RESERVATION_SECONDS))
_BY_ID = driver_sql(
    select(
        Video.user_id,
        Video.title,
        Video.status,
        Video.source,
        Video.error,
        Video.uploaded_at,
        Video.processed_at,
        Video.attempt,
        _votes,
    ).where(Video.id == bindparam("video"))
)


def parse_id(text: str) -> UUID:
    """Return the id; an unknown form is as unknown as an unknown id, so it raises NotFound."""
    try:
        video_id = UUID(text)
    except ValueError:
        raise NotFound("Video no encontrado.") from None
    if str(video_id) != text.lower():
        raise NotFound("Video no encontrado.")
    return video_id


def check_title(title: object) -> str:
    """Return the title as it is kept; Invalid unless it is a line of 1 to 200 readable characters or emoji."""
    try:
        return texts.title(title, longest=_LONGEST_TITLE)
    except texts.Unfit as reason:
        raise Invalid("El título no es válido.", fields={"title": str(reason)}) from None


def check_idempotency_key(key: str | None) -> str | None:
    """Return the key; Invalid unless it is absent or 1 to 255 visible ASCII characters."""
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        text = "La cabecera Idempotency-Key debe tener entre 1 y 255 caracteres ASCII visibles."
        raise Invalid(text, fields={"Idempotency-Key": text})
    return key


def check_size(size_bytes: int) -> None:
    """Raise Invalid unless a file of this size may be uploaded."""
    if size_bytes < 1:
        raise _unacceptable("El archivo está vacío.")
    if size_bytes > LARGEST_BYTES:
        raise _unacceptable("El archivo supera el máximo de 100 MB.")


def check_file(file: BinaryIO, *, size_bytes: int) -> Clip:
    """Return what the file really contains; Invalid unless it is an MP4 that the contest accepts.

    At most 100 MB, 20 to 60 seconds, at least 1080 pixels on the shorter side as shown.
    """
    check_size(size_bytes)
    try:
        clip = read_clip(file, size_bytes=size_bytes)
    except Invalid as refusal:
        raise _unacceptable(refusal.message) from refusal
    check_clip(clip)
    return clip


def check_clip(clip: Clip) -> None:
    """Raise Invalid unless a clip of this length and resolution may be uploaded."""
    seconds = clip.duration_seconds
    if not SHORTEST_SECONDS - SECONDS_TOLERANCE <= seconds <= LONGEST_SECONDS + SECONDS_TOLERANCE:
        raise _unacceptable(
            f"El video dura {_decimal(seconds)} segundos; debe durar entre {SHORTEST_SECONDS} y {LONGEST_SECONDS}."
        )
    if min(clip.width, clip.height) < SMALLEST_SIDE_PIXELS:
        raise _unacceptable(
            f"El video mide {clip.width}x{clip.height} píxeles; se requiere una resolución de 1080p o superior."
        )


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """What one player may have under way at once, and begin within an hour."""

    open_reservations: int = 30
    waiting_bytes: int = 30 * LARGEST_BYTES
    uploads_an_hour: int = 120


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The row that an upload fills; `size_bytes` is what was declared for it."""

    video_id: UUID
    size_bytes: int
    is_accepted: bool


def reserve(
    connection: Connection,
    *,
    owner_id: int,
    title: str,
    size_bytes: int,
    idempotency_key: str | None,
    request_id: str,
    limits: UploadLimits,
) -> Reservation:
    """Create the row that an upload fills.

    The same key from the same owner finds the same row again, which counts for no limit. Raises TooManyRequests for
    more than the owner may begin, Invalid when the key's file was refused or is another one.
    """
    if connection.exec_driver_sql(_PLAYER_LOCKED, {"player": owner_id}).one_or_none() is None:
        raise Unauthenticated("La cuenta de este token no existe.")
    video_id = uuid.uuid4()
    reservation = {
        "id": video_id,
        "user_id": owner_id,
        "title": title,
        "status": Status.AWAITING_UPLOAD,
        "size_bytes": size_bytes,
        "idempotency_key": idempotency_key,
        "request_id": request_id,
    }
    try:
        connection.execute(_RESERVED, reservation)
    except IntegrityError as error:  # which undoes its statement alone; the transaction goes on
        if error.orig is None or error.orig.args[0] != DUPLICATE_KEY:
            raise
        return _reserved_again(connection, owner_id, idempotency_key, size_bytes)
    _check_limits(connection, owner_id, limits)
    return Reservation(video_id=video_id, size_bytes=size_bytes, is_accepted=False)


def _reserved_again(connection: Connection, owner_id: int, key: str | None, size_bytes: int) -> Reservation:
    query = select(Video.id, Video.status, Video.error, Video.size_bytes)
    row = connection.execute(query.where(Video.user_id == owner_id, Video.idempotency_key == key)).one()
    declared = size_bytes if row.size_bytes is None else row.size_bytes
    accepted = is_accepted(row)
    if not accepted and declared != size_bytes:
        raise Invalid("Esta Idempotency-Key ya se usó para un archivo de otro tamaño; usa una nueva.")
    return Reservation(video_id=row.id, size_bytes=declared, is_accepted=accepted)


def _check_limits(connection: Connection, owner_id: int, limits: UploadLimits) -> None:
    """Raise TooManyRequests, which undoes the reservation, when it is one too many."""
    begun = connection.execute(_BEGUN_LATELY, {"player": owner_id}).one()
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


def accepted_before(connection: Connection, *, owner_id: int, idempotency_key: str) -> UUID | None:
    """Return the video that an earlier upload with this key brought, if that upload is complete.

    Raises Invalid when its file was refused.
    """
    row = connection.execute(
        select(Video.id, Video.status, Video.error).where(
            Video.user_id == owner_id, Video.idempotency_key == idempotency_key
        )
    ).one_or_none()
    return row.id if row is not None and is_accepted(row) else None


def is_accepted(video: Columns) -> bool:
    """Return whether the upload is complete; raise Invalid once more when its file was refused."""
    if video.status == Status.REFUSED:
        raise _unacceptable(video.error)
    return bool(video.status != Status.AWAITING_UPLOAD)


def accept(connection: Connection, *, video_id: UUID, source: str, size_bytes: int) -> bool:
    """Turn a filled reservation into an uploaded video, and one copy of its source into the only one.

    False when the reservation is over, because another request has filled it or it was refused or deleted.
    """
    filled = {"video_id": video_id, "accepted": source, "accepted_bytes": size_bytes}
    return rows(connection.execute(_ACCEPTED, filled)) == 1


def refuse(connection: Connection, *, video_id: UUID, reason: str) -> bool:
    """End a reservation whose file is unacceptable; False when it is over already."""
    refused = update(Video).where(Video.id == video_id, _is_open).values(status=Status.REFUSED, error=reason)
    return rows(connection.execute(refused)) == 1


def find_reserved(connection: Connection, *, owner_id: int, video_id: UUID) -> Columns:
    """Return the owner's video or reservation in whatever state; NotFound or Forbidden otherwise."""
    video = connection.exec_driver_sql(_BY_ID, {"video": video_id.hex}).one_or_none()
    if video is None or video.status == Status.DELETED:
        raise NotFound("Video no encontrado.")
    if video.user_id != owner_id:
        raise Forbidden("Este video pertenece a otra persona.")
    return video


def find_own(connection: Connection, *, owner_id: int, video_id: UUID) -> Columns:
    """Return the owner's uploaded video and its votes, counted or not.

    Raises NotFound when there is none, Forbidden when it is somebody else's.
    """
    video = find_reserved(connection, owner_id=owner_id, video_id=video_id)
    if video.status not in _OWNED:
        raise NotFound("Video no encontrado.")
    return video


def list_own(
    session: Session, *, owner_id: int, limit: int | None = None, offset: int | None = None
) -> Sequence[Video]:
    """Return the owner's uploaded videos, oldest first: all of them, or `limit` after the first `offset`."""
    query = (
        select(Video).where(Video.user_id == owner_id, Video.status.in_(_OWNED)).order_by(Video.uploaded_at, Video.id)
    )
    return session.scalars(query.limit(limit).offset(offset)).all()


def delete_own(session: Session, *, owner_id: int, video_id: UUID) -> None:
    """Delete a video that is not public yet, or give up a reservation; whoever works on it finds it gone and stops.

    Raises NotFound, Forbidden, or Conflict for a video that is open to votes.
    """
    find_reserved(session.connection(), owner_id=owner_id, video_id=video_id)
    gone = session.execute(
        update(Video)
        .where(Video.id == video_id, Video.status.in_(_DELETABLE))
        .values(status=Status.DELETED, title="", error=None, idempotency_key=None)
    )
    if rows(gone) == 0:
        raise Conflict("El video ya está publicado para votación y no se puede eliminar.")


@dataclass(frozen=True)
class Cursor:
    """Where a page of the public list ends; opaque to clients."""

    processed_at: datetime
    video_id: UUID

    def to_text(self) -> str:
        """Return the cursor as it stands in a URL."""
        return base64.urlsafe_b64encode(f"{self.processed_at.isoformat()}|{self.video_id}".encode()).decode()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a cursor that we handed out; Invalid for anything else."""
        try:
            time, _, video_id = base64.b64decode(text, altchars=b"-_", validate=True).decode("ascii").partition("|")
            return cls(datetime.fromisoformat(time).replace(tzinfo=None), UUID(video_id))
        except (binascii.Error, ValueError):
            raise Invalid("El cursor no es válido.", fields={"cursor": "No es un cursor de esta lista."}) from None


def public_page(
    session: Session, *, limit: int, offset: int = 0, after: Cursor | None = None
) -> tuple[Sequence[Columns], Cursor | None]:
    """Return up to `limit` videos open to votes, newest first, and the next page's cursor.

    They come after the cursor, or after the first `offset`. Each with its player's name and city, and with its
    votes, counted or not.
    """
    order = (Video.processed_at.desc(), Video.id.desc())
    # The places come from an index alone; only the videos of this page are looked up
    page = select(Video.id).where(Video.status == Status.PROCESSED).order_by(*order).limit(limit + 1).offset(offset)
    if after is not None:
        # Written out, because MySQL reads no index range for a comparison of rows
        page = page.where(
            Video.processed_at <= after.processed_at,
            or_(Video.processed_at < after.processed_at, Video.id < after.video_id),
        )
    chosen = page.subquery()
    query = (
        select(
            Video.id,
            Video.title,
            Video.uploaded_at,
            Video.processed_at,
            Video.attempt,
            User.first_name,
            User.last_name,
            User.city,
            _votes,
        )
        .join(Video.owner)
        .join(chosen, chosen.c.id == Video.id)
        .order_by(*order)
    )
    found = session.execute(query).all()
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], Cursor(last.processed_at, last.id)


def enter_standings(session: Session, *, player_id: int) -> None:
    """Let the player's name appear in the ranking; once is enough, again is harmless."""
    player = select(User.id, User.city).where(User.id == player_id)
    session.execute(insert(Standing).prefix_with("IGNORE").from_select(["user_id", "city"], player))


def rows(result: object) -> int:
    """Return how many rows an UPDATE or DELETE matched."""
    if not isinstance(result, CursorResult):
        raise TypeError("only UPDATE and DELETE count rows")
    return result.rowcount


def _unacceptable(text: str) -> Invalid:
    return Invalid(text, fields={"video_file": text})


def _decimal(number: float) -> str:
    return f"{number:.1f}".replace(".", ",")
