"""The right to work on a video: taken and kept in its row, fenced by the number of the attempt.

Every write after the claim names its attempt, so that a worker that lost its lease changes nothing. All times
are the database's.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.orm import Session

from anb.models import Status, Video, now
from anb.videos import enter_standings, rows

LEASE_SECONDS = 120
HEARTBEAT_SECONDS = 30
# The relay, which looks every 10 s, rings again for a job whose lease has been over for this long: time enough for
# the message to show up again by itself, and no more, because a lost one must not cost a video 150 s
RELAY_MARGIN_SECONDS = 10
MAX_CRASHES = 3
POISON = "El video no se pudo procesar después de varios intentos."


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


def claim(session: Session, *, video_id: UUID, owner: str) -> Lease | Held | None:
    """Take the video, which counts as a crash until its end is written; None when nothing is left to do.

    A video whose attempts have crashed three times is failed instead of taken once more.
    """
    free = or_(Video.status == Status.UPLOADED, (Video.status == Status.PROCESSING) & (Video.lease_until < now()))
    taken = update(Video).where(Video.id == video_id, free)
    poison = session.execute(
        taken.where(Video.crashes >= MAX_CRASHES).values(status=Status.FAILED, error=POISON, lease_until=None)
    )
    if rows(poison):
        return None
    claimed = session.execute(
        taken.values(
            status=Status.PROCESSING,
            attempt=Video.attempt + 1,
            crashes=Video.crashes + 1,
            lease_owner=owner,
            enqueue_count=1,
            **_times(),
        )
    )
    found = session.execute(
        select(
            Video.attempt,
            Video.status,
            Video.source,
            func.timestampdiff(text("SECOND"), now(), Video.lease_until).label("seconds"),
        ).where(Video.id == video_id)
    ).one_or_none()
    if found is None or found.status != Status.PROCESSING:
        return None
    if rows(claimed):
        return Lease(video_id=video_id, attempt=found.attempt, source=found.source)
    return Held(seconds=max(0, found.seconds))


def extend(session: Session, lease: Lease) -> bool:
    """Keep the video for another 120 s; False when it is no longer ours."""
    return rows(session.execute(_ours(lease).values(**_times()))) == 1


def finish(session: Session, lease: Lease) -> bool:
    """Open the video to votes; False when it is no longer ours, and nothing has changed."""
    written = session.execute(
        _ours(lease).values(status=Status.PROCESSED, processed_at=now(), lease_until=None, error=None)
    )
    won = select(Video.user_id).where(
        Video.id == lease.video_id, Video.status == Status.PROCESSED, Video.attempt == lease.attempt
    )
    # Also true when an earlier try was committed and only the database's answer got lost
    player_id = session.scalar(won)
    if player_id is not None and rows(written):
        enter_standings(session, player_id=player_id)
    return player_id is not None


def give_up(session: Session, lease: Lease, *, reason: str) -> bool:
    """Fail the video for good, with a sentence for its player; False when it is no longer ours."""
    return rows(session.execute(_ours(lease).values(status=Status.FAILED, error=reason, lease_until=None))) == 1


def release(session: Session, lease: Lease, *, crashed: bool, delay_seconds: int) -> bool:
    """Hand the video back for another attempt after the delay; only a crash counts towards giving up."""
    return (
        rows(
            session.execute(
                _ours(lease).values(
                    status=Status.UPLOADED,
                    crashes=Video.crashes - (0 if crashed else 1),
                    lease_until=None,
                    next_enqueue_at=now(plus_seconds=delay_seconds + RELAY_MARGIN_SECONDS),
                )
            )
        )
        == 1
    )


def _ours(lease: Lease):  # type: ignore[no-untyped-def] # an Update; its generic parameters say nothing
    return update(Video).where(
        Video.id == lease.video_id, Video.attempt == lease.attempt, Video.status == Status.PROCESSING
    )


def _times() -> dict[str, object]:
    return {
        "lease_until": now(plus_seconds=LEASE_SECONDS),
        "next_enqueue_at": now(plus_seconds=LEASE_SECONDS + RELAY_MARGIN_SECONDS),
    }
