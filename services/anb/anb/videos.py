"""The rules for videos: what may be uploaded, and who sees what."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import Connection, Row, Select, bindparam, select

from anb import search, texts
from anb.errors import Forbidden, Gone, Invalid, NotFound
from anb.models import Status, User, Video, Vote
from anb.mp4 import Clip, read_clip
from anb.search import Cursor, Order, Wanted
from anb.voting import waiting_votes

MAX_BYTES = 100 * 1024 * 1024
MIN_SECONDS, MAX_SECONDS = 20, 60
# Frame rates of 1000/1001 and audio that outlasts the picture make a "60 s" clip last up to 60.1 s
SECONDS_TOLERANCE = 0.1
MIN_SIDE_PIXELS = 1080
_MAX_TITLE_LENGTH = 200
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_OWNED = (Status.UPLOADED, Status.PROCESSING, Status.PROCESSED, Status.FAILED)

Columns = Row[*tuple[Any, ...]]

# Part of the same statement: between two, a tally could move votes from one of the numbers to the other
_votes = (Video.votes + waiting_votes(Video.id)).label("votes")

_owns = Video.user_id == bindparam("owner_id")
_FIND = select(
    Video.user_id,
    Video.title,
    Video.status,
    Video.source,
    Video.error,
    Video.uploaded_at,
    Video.processed_at,
    Video.attempt,
    _votes,
).where(Video.id == bindparam("video_id"))
_FIND_BY_KEY = select(Video.id, Video.status, Video.error).where(_owns, Video.idempotency_key == bindparam("key"))
_LIST_OWN = (
    select(
        Video.id,
        Video.title,
        Video.status,
        Video.error,
        Video.uploaded_at,
        Video.processed_at,
        Video.attempt,
    )
    .where(_owns, Video.status.in_(_OWNED))
    .order_by(Video.uploaded_at, Video.id)
)
_LIST_OWN_PAGE = _LIST_OWN.limit(bindparam("at_most")).offset(bindparam("skipped"))

_newest_first = (Video.processed_at.desc(), Video.id.desc())
_as_everybody_sees_it = select(
    Video.id,
    Video.user_id,
    Video.title,
    Video.status,
    Video.uploaded_at,
    Video.processed_at,
    Video.attempt,
    User.first_name,
    User.last_name,
    User.city,
    Video.votes.label("counted"),
    _votes,
).join(User, User.id == Video.user_id)


_VOTES_OF = select(Vote.video_id).where(
    Vote.user_id == bindparam("voter_id"), Vote.video_id.in_(bindparam("video_ids", expanding=True))
)
_PUBLISHED = _as_everybody_sees_it.where(Video.id == bindparam("video_id"))
_PUBLISHED_BY = (
    _as_everybody_sees_it.where(_owns, Video.status == Status.PROCESSED)
    .order_by(*_newest_first)
    .limit(bindparam("at_most"))
)


@cache
def _shown(chosen: Select[UUID], order: Order) -> Select[*tuple[Any, ...]]:
    # The places come from an index alone; only the videos of this page are looked up
    page = chosen.subquery()
    return _as_everybody_sees_it.join(page, page.c.id == Video.id).order_by(order.column.desc(), Video.id.desc())


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
        return texts.title(title, max_length=_MAX_TITLE_LENGTH)
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
    if size_bytes > MAX_BYTES:
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
    if not MIN_SECONDS - SECONDS_TOLERANCE <= seconds <= MAX_SECONDS + SECONDS_TOLERANCE:
        raise _unacceptable(
            f"El video dura {_decimal(seconds)} segundos; debe durar entre {MIN_SECONDS} y {MAX_SECONDS}."
        )
    if min(clip.width, clip.height) < MIN_SIDE_PIXELS:
        raise _unacceptable(
            f"El video mide {clip.width}x{clip.height} píxeles; se requiere una resolución de 1080p o superior."
        )


def find_uploaded_by_key(connection: Connection, *, owner_id: int, idempotency_key: str) -> UUID | None:
    """Return the video that an earlier upload with this key brought, if that upload is complete.

    Raises Invalid when its file was refused.
    """
    row = connection.execute(_FIND_BY_KEY, {"owner_id": owner_id, "key": idempotency_key}).one_or_none()
    return row.id if row is not None and is_uploaded(row) else None


def is_uploaded(video: Columns) -> bool:
    """Return whether the upload is complete; raise Invalid once more when its file was refused."""
    if video.status == Status.REFUSED:
        raise _unacceptable(video.error)
    return bool(video.status != Status.AWAITING_UPLOAD)


def find_own_in_any_state(connection: Connection, *, owner_id: int, video_id: UUID) -> Columns:
    """Return the owner's video, reservations included; NotFound or Forbidden otherwise."""
    video = connection.execute(_FIND, {"video_id": video_id}).one_or_none()
    if video is None or video.status == Status.DELETED:
        raise NotFound("Video no encontrado.")
    if video.user_id != owner_id:
        raise Forbidden("Este video pertenece a otra persona.")
    return video


def find_own(connection: Connection, *, owner_id: int, video_id: UUID) -> Columns:
    """Return the owner's uploaded video and its votes, counted or not.

    Raises NotFound when there is none, Forbidden when it is somebody else's.
    """
    video = find_own_in_any_state(connection, owner_id=owner_id, video_id=video_id)
    if video.status not in _OWNED:
        raise NotFound("Video no encontrado.")
    return video


def list_own(
    connection: Connection, *, owner_id: int, limit: int | None = None, offset: int = 0
) -> Sequence[Columns]:
    """Return the owner's uploaded videos, oldest first: all of them, or `limit` after the first `offset`."""
    if limit is None:
        return connection.execute(_LIST_OWN, {"owner_id": owner_id}).all()
    asked = {"owner_id": owner_id, "at_most": limit, "skipped": offset}
    return connection.execute(_LIST_OWN_PAGE, asked).all()


def public_page(
    connection: Connection,
    *,
    limit: int,
    offset: int = 0,
    after: Cursor | None = None,
    wanted: Wanted = Wanted(),
) -> tuple[Sequence[Columns], Cursor | None]:
    """Return up to `limit` of the videos open to votes that are wanted, and the next page's cursor, if there is one.

    Where hardly any video meets several conditions they are fewer, or none, though there is a next page. They come
    after the cursor, or after the first `offset`. Each with its player's name and city, and with its votes, counted
    or not. Raises Invalid for a cursor of a list in another order.
    """
    chosen = search.choose(connection, wanted, after=after)
    asked = {**chosen.asked, "at_most": limit + 1} | ({"skipped": offset} if after is None else {})
    found = connection.execute(_shown(chosen.ids, wanted.order), asked).all()
    if len(found) <= limit:
        return found, chosen.examined_to
    last = found[limit - 1]
    return found[:limit], Cursor(last.counted if wanted.order is Order.VOTES else last.processed_at, last.id)


def votes_of(connection: Connection, *, voter_id: int, video_ids: Sequence[UUID]) -> set[UUID]:
    """Return for which of the videos the voter has voted, whether those votes count or not."""
    return set(connection.scalars(_VOTES_OF, {"voter_id": voter_id, "video_ids": list(video_ids)}))


def find_published(connection: Connection, *, video_id: UUID) -> Columns:
    """Return a video that is open to votes as everybody sees it.

    Raises Gone for one that was and is not any more, NotFound for any other.
    """
    video = connection.execute(_PUBLISHED, {"video_id": video_id}).one_or_none()
    if video is not None and video.status == Status.PROCESSED:
        return video
    if video is not None and video.processed_at is not None:
        raise Gone("Este video se retiró y ya no está disponible.")
    raise NotFound("Video no encontrado.")


def list_published_by(connection: Connection, *, player_id: int, limit: int) -> Sequence[Columns]:
    """Return up to `limit` of the player's videos that are open to votes, newest first."""
    return connection.execute(_PUBLISHED_BY, {"owner_id": player_id, "at_most": limit}).all()


def _unacceptable(text: str) -> Invalid:
    return Invalid(text, fields={"video_file": text})


def _decimal(number: float) -> str:
    return f"{number:.1f}".replace(".", ",")
