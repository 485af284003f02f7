"""The life of a video. Every change of its state is a function here; nothing else writes these columns.

    no row ── reserve ──▶ AWAITING_UPLOAD ── refuse ──▶ REFUSED
                                 │
                                 │ mark_uploaded
                                 ▼
              ┌───────────── UPLOADED
              │                  ▲
        claim │                  │ release
              ▼                  │
          PROCESSING ────────────┤   claim takes it over when its lease is over
              │                  │
       finish │                  │ give_up, or claim after three crashes
              ▼                  ▼
          PROCESSED ── take_down ──▶ FAILED ── retry ──▶ UPLOADED

    all but PROCESSED ── delete_own ──▶ DELETED
    all of a person ── delete_all ──▶ DELETED ── purge_all ──▶ no row
    AWAITING_UPLOAD, REFUSED, DELETED ── purge, after a day ──▶ no row

While a video is UPLOADED or PROCESSING, `next_enqueue_at` says when the relay may send its job to the queue again;
`mark_enqueued` and `mark_enqueued_again` put that off. While it is PROCESSING it is leased: `lease_until` says until
when, `extend_lease` renews it, and every write after the claim names its attempt, so that a worker that lost its
lease changes nothing. All times are the database's.

Each function is a part of its caller's transaction. `relay.py` commits an upload and then sends its job.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, text, update

from anb import search, upload_limits, videos
from anb.database import DuplicateKey
from anb.errors import Conflict, Invalid, Unauthenticated
from anb.models import Status, User, Video, now, seconds_from_now
from anb.timings import Timings
from anb.upload_limits import UploadLimits
from anb.videos import Columns
from anb.voting import enter_standings, void_votes

MAX_CRASHES = 3
POISON = "El video no se pudo procesar después de varios intentos."

_DELETABLE = (Status.AWAITING_UPLOAD, Status.REFUSED, Status.UPLOADED, Status.PROCESSING, Status.FAILED)

_video = Video.id == bindparam("video_id")
_ours = _video & (Video.attempt == bindparam("claimed_attempt")) & (Video.status == Status.PROCESSING)
_free = or_(Video.status == Status.UPLOADED, (Video.status == Status.PROCESSING) & (Video.lease_until < now()))
_is_over = (Video.created_at < seconds_from_now("minus_seconds")) & or_(
    # A repeated request with the same key may be filling the reservation at this moment
    (Video.status == Status.AWAITING_UPLOAD) & Video.idempotency_key.is_(None),
    Video.status.in_((Status.REFUSED, Status.DELETED)),
)
_leased = {
    "lease_until": seconds_from_now("lease_seconds"),
    "next_enqueue_at": seconds_from_now("enqueue_in_seconds"),
}
# MySQL assigns from left to right, so that the delay is computed from the count before this sending
_enqueued = {
    "next_enqueue_at": func.timestampadd(
        text("SECOND"),
        func.least(bindparam("longest_seconds"), bindparam("resend_seconds") * func.pow(2, Video.enqueue_count)),
        now(),
    ),
    "enqueue_count": Video.enqueue_count + 1,
}

# Whoever has the player's row reserves alone, so that two uploads cannot both be the last that the limits allow
_LOCK_OWNER = select(User.id).where(User.id == bindparam("owner_id")).with_for_update()
_RESERVE = insert(Video).inline()  # nobody asks for the key, which is ours
_RESERVED_WITH_KEY = select(Video.id, Video.status, Video.error, Video.size_bytes).where(
    Video.user_id == bindparam("owner_id"), Video.idempotency_key == bindparam("key")
)
_MARK_UPLOADED = (
    update(Video)
    .where(_video, Video.status == Status.AWAITING_UPLOAD)
    .values(
        status=Status.UPLOADED,
        source=bindparam("uploaded_source"),
        size_bytes=bindparam("uploaded_bytes"),
        uploaded_at=now(),
        next_enqueue_at=seconds_from_now("enqueue_in_seconds"),
    )
)
_REFUSE = (
    update(Video)
    .where(_video, Video.status == Status.AWAITING_UPLOAD)
    .values(status=Status.REFUSED, error=bindparam("reason"))
)
_MARK_ENQUEUED = update(Video).where(_video, Video.status == Status.UPLOADED).values(_enqueued)
_MARK_ENQUEUED_AGAIN = update(Video).where(Video.id.in_(bindparam("video_ids", expanding=True))).values(_enqueued)
_FAIL_POISON = (
    update(Video)
    .where(_video, _free, Video.crashes >= bindparam("max_crashes"))
    .values(status=Status.FAILED, error=POISON, lease_until=None)
)
_CLAIM = (
    update(Video)
    .where(_video, _free)
    .values(
        status=Status.PROCESSING,
        attempt=Video.attempt + 1,
        crashes=Video.crashes + 1,
        lease_owner=bindparam("worker"),
        enqueue_count=1,
        **_leased,
    )
)
_CLAIMED = select(
    Video.attempt,
    Video.status,
    Video.source,
    func.timestampdiff(text("SECOND"), now(), Video.lease_until).label("seconds"),
).where(_video)
_EXTEND_LEASE = update(Video).where(_ours).values(**_leased)
_FINISH = update(Video).where(_ours).values(status=Status.PROCESSED, processed_at=now(), lease_until=None, error=None)
_FINISHED = select(Video.user_id).where(
    _video, Video.status == Status.PROCESSED, Video.attempt == bindparam("claimed_attempt")
)
_GIVE_UP = update(Video).where(_ours).values(status=Status.FAILED, error=bindparam("reason"), lease_until=None)
_RELEASE = (
    update(Video)
    .where(_ours)
    .values(
        status=Status.UPLOADED,
        crashes=Video.crashes - bindparam("uncounted_crashes"),
        lease_until=None,
        next_enqueue_at=seconds_from_now("enqueue_in_seconds"),
    )
)
_DELETE = (
    update(Video)
    .where(_video, Video.status.in_(_DELETABLE))
    .values(status=Status.DELETED, title="", error=None, idempotency_key=None)
)
_TAKE_DOWN = (
    update(Video)
    .where(_video, Video.status == Status.PROCESSED)
    .values(status=Status.FAILED, error=bindparam("reason"))
)
_RETRY = (
    update(Video)
    .where(_video, Video.status == Status.FAILED)
    .values(status=Status.UPLOADED, error=None, crashes=0, lease_until=None, next_enqueue_at=now(), enqueue_count=0)
)
_LOCKED_OF_OWNER = (
    select(Video.id, Video.status).where(Video.user_id == bindparam("owner_id")).order_by(Video.id).with_for_update()
)
_DELETE_OF_OWNER = (
    update(Video)
    .where(Video.user_id == bindparam("owner_id"))
    .values(status=Status.DELETED, title="", error=None, idempotency_key=None)
)
_PURGE_OF_OWNER = delete(Video).where(Video.user_id == bindparam("owner_id"), Video.status == Status.DELETED)
_PURGEABLE = (
    select(Video.id, Video.status)
    .where(_is_over, Video.id > bindparam("after"))
    .order_by(Video.id)
    .limit(bindparam("at_most"))
)
_PURGE = delete(Video).where(_video, _is_over)


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The row that an upload fills; `size_bytes` is what was declared for it."""

    video_id: UUID
    size_bytes: int
    is_uploaded: bool


@dataclass(frozen=True, kw_only=True)
class Lease:
    """One attempt at a video; `attempt` is the fencing token, `source` the copy of its source that was accepted."""

    video_id: UUID
    attempt: int
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Held:
    """Somebody else works on the video for `seconds` more at least."""

    seconds: int


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
    if connection.execute(_LOCK_OWNER, {"owner_id": owner_id}).one_or_none() is None:
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
        connection.execute(_RESERVE, reservation)
    except DuplicateKey:  # which undoes its statement alone; the transaction goes on
        return _reserved_with_key(connection, owner_id=owner_id, key=idempotency_key, size_bytes=size_bytes)
    upload_limits.check(connection, owner_id=owner_id, limits=limits)
    return Reservation(video_id=video_id, size_bytes=size_bytes, is_uploaded=False)


def _reserved_with_key(connection: Connection, *, owner_id: int, key: str | None, size_bytes: int) -> Reservation:
    row = connection.execute(_RESERVED_WITH_KEY, {"owner_id": owner_id, "key": key}).one()
    declared = size_bytes if row.size_bytes is None else row.size_bytes
    is_uploaded = videos.is_uploaded(row)
    if not is_uploaded and declared != size_bytes:
        raise Invalid("Esta Idempotency-Key ya se usó para un archivo de otro tamaño; usa una nueva.")
    return Reservation(video_id=row.id, size_bytes=declared, is_uploaded=is_uploaded)


def mark_uploaded(connection: Connection, *, video_id: UUID, source: str, size_bytes: int, timings: Timings) -> bool:
    """Turn a filled reservation into an uploaded video, and one copy of its source into the only one.

    False when the reservation is over, because another request has filled it or it was refused or deleted.
    """
    uploaded = {
        "video_id": video_id,
        "uploaded_source": source,
        "uploaded_bytes": size_bytes,
        "enqueue_in_seconds": timings.enqueue_grace_seconds,
    }
    return connection.execute(_MARK_UPLOADED, uploaded).rowcount == 1


def refuse(connection: Connection, *, video_id: UUID, reason: str) -> bool:
    """End a reservation whose file is unacceptable; False when it is over already."""
    return connection.execute(_REFUSE, {"video_id": video_id, "reason": reason}).rowcount == 1


def mark_enqueued(connection: Connection, *, video_id: UUID, timings: Timings) -> None:
    """Note that the queue has taken the video's first message; a worker may be busy with it already."""
    connection.execute(_MARK_ENQUEUED, {"video_id": video_id, **_resending(timings)})


def mark_enqueued_again(connection: Connection, *, video_ids: Sequence[UUID], timings: Timings) -> None:
    """Note that the queue has taken one more message for each of the videos, whose rows are locked."""
    connection.execute(_MARK_ENQUEUED_AGAIN, {"video_ids": video_ids, **_resending(timings)})


def claim(connection: Connection, *, video_id: UUID, owner: str, timings: Timings) -> Lease | Held | None:
    """Lease the video, which counts as a crash until its end is written; None when nothing is left to do.

    A video whose attempts have crashed three times is failed instead of leased once more.
    """
    if connection.execute(_FAIL_POISON, {"video_id": video_id, "max_crashes": MAX_CRASHES}).rowcount:
        return None
    claimed = connection.execute(_CLAIM, {"video_id": video_id, "worker": owner, **_leasing(timings)}).rowcount
    found = connection.execute(_CLAIMED, {"video_id": video_id}).one_or_none()
    if found is None or found.status != Status.PROCESSING:
        return None
    if claimed:
        return Lease(video_id=video_id, attempt=found.attempt, source=found.source)
    return Held(seconds=max(0, found.seconds))


def extend_lease(connection: Connection, lease: Lease, *, timings: Timings) -> bool:
    """Keep the video for the length of another lease; False when it is no longer ours."""
    return connection.execute(_EXTEND_LEASE, {**_fence(lease), **_leasing(timings)}).rowcount == 1


def finish(connection: Connection, lease: Lease) -> bool:
    """Open the video to votes; False when it is no longer ours, and nothing has changed."""
    written = connection.execute(_FINISH, _fence(lease)).rowcount
    # Also found when an earlier try was committed and only the database's answer got lost
    player_id = connection.scalar(_FINISHED, _fence(lease))
    if player_id is not None and written:
        enter_standings(connection, player_id=player_id)
        search.enter(connection, video_id=lease.video_id)
    return player_id is not None


def give_up(connection: Connection, lease: Lease, *, reason: str) -> bool:
    """Fail the video for good, with a sentence for its player; False when it is no longer ours."""
    return connection.execute(_GIVE_UP, {**_fence(lease), "reason": reason}).rowcount == 1


def release(connection: Connection, lease: Lease, *, crashed: bool, delay_seconds: int, timings: Timings) -> bool:
    """Hand the video back for another attempt after the delay; only a crash counts towards giving up.

    False when it is no longer ours.
    """
    released = {
        **_fence(lease),
        "uncounted_crashes": 0 if crashed else 1,
        "enqueue_in_seconds": delay_seconds + timings.lease_over_margin_seconds,
    }
    return connection.execute(_RELEASE, released).rowcount == 1


def delete_own(connection: Connection, *, owner_id: int, video_id: UUID) -> None:
    """Delete a video that is not public yet, or give up a reservation; whoever works on it finds it gone and stops.

    Raises NotFound, Forbidden, or Conflict for a video that is open to votes.
    """
    videos.find_own_in_any_state(connection, owner_id=owner_id, video_id=video_id)
    if connection.execute(_DELETE, {"video_id": video_id}).rowcount == 0:
        videos.find_own_in_any_state(connection, owner_id=owner_id, video_id=video_id)  # deleted meanwhile, or
        raise Conflict("El video ya está publicado para votación y no se puede eliminar.")


def take_down(connection: Connection, *, video_id: UUID, reason: str) -> bool:
    """Take a video from the public, with a sentence for its player, and void its votes; False if it is not public.

    Its source stays: the player sees it as one that failed, and `retry` brings it back, without the votes.
    """
    if connection.execute(_TAKE_DOWN, {"video_id": video_id, "reason": reason}).rowcount == 0:
        return False
    void_votes(connection, video_id=video_id)
    return True


def retry(connection: Connection, *, video_id: UUID) -> bool:
    """Let a video that failed be processed again, whose job the relay sends at once; False if it has not failed."""
    return connection.execute(_RETRY, {"video_id": video_id}).rowcount == 1


def delete_all(connection: Connection, *, owner_id: int) -> Sequence[UUID]:
    """Delete all videos of a person, public ones with the votes for them, and return the ids of all their rows.

    Whoever works on one finds it gone and stops.
    """
    found = connection.execute(_LOCKED_OF_OWNER, {"owner_id": owner_id}).all()
    for video in found:
        void_votes(connection, video_id=video.id)
    connection.execute(_DELETE_OF_OWNER, {"owner_id": owner_id})
    return [video.id for video in found]


def purge_all(connection: Connection, *, owner_id: int) -> None:
    """Remove the rows of the deleted videos of a person at once."""
    connection.execute(_PURGE_OF_OWNER, {"owner_id": owner_id})


def purgeable(connection: Connection, *, after: UUID, at_most: int, timings: Timings) -> Sequence[Columns]:
    """Return id and status of rows that may be purged, those with the smallest ids above `after`."""
    asked = {"after": after, "at_most": at_most, "minus_seconds": -timings.row_purge_after_seconds}
    return connection.execute(_PURGEABLE, asked).all()


def purge(connection: Connection, *, video_id: UUID, timings: Timings) -> bool:
    """Remove the row of a video that has been over for a day; False when it is not, or is gone already."""
    asked = {"video_id": video_id, "minus_seconds": -timings.row_purge_after_seconds}
    return connection.execute(_PURGE, asked).rowcount == 1


def _fence(lease: Lease) -> dict[str, object]:
    return {"video_id": lease.video_id, "claimed_attempt": lease.attempt}


def _leasing(timings: Timings) -> dict[str, object]:
    lease_seconds = timings.lease_seconds
    return {"lease_seconds": lease_seconds, "enqueue_in_seconds": lease_seconds + timings.lease_over_margin_seconds}


def _resending(timings: Timings) -> dict[str, object]:
    return {"resend_seconds": timings.resend_seconds, "longest_seconds": timings.max_resend_seconds}
