"""What an operator decides about votes: take them out of the count, put them back, let held ones count.

Each function is one transaction over some voters of one video. It locks the video, as the tally does, so that two
decisions about the same votes come one after the other, and changes the count by what it found there: repeating one
that was cut short does the rest of it and nothing twice. Votes may come in meanwhile; they are not among these.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from anb.models import ExcludedVote, UncountedVote, User, Video, Voiding, Vote

BATCH = 500  # votes; keeps a video locked for some milliseconds

_LOCKED = select(Video.id).where(Video.id == bindparam("video_id")).with_for_update()
_of_video = ExcludedVote.video_id == bindparam("for_video")
_of_voters = ExcludedVote.user_id.in_(bindparam("voter_ids", expanding=True))
_CAST = select(Vote.user_id).where(
    Vote.video_id == bindparam("for_video"), Vote.user_id.in_(bindparam("voter_ids", expanding=True))
)
_EXCLUDED = select(ExcludedVote.user_id, ExcludedVote.is_held, ExcludedVote.voiding_id).where(_of_video, _of_voters)
_BEGIN_VOIDING = insert(Voiding)
_EXCLUDE = insert(ExcludedVote).inline()
_VOID_HELD = update(ExcludedVote).where(_of_video, _of_voters).values(voiding_id=bindparam("voiding"))
_INCLUDE = delete(ExcludedVote).where(_of_video, _of_voters)
_RELEASE_VOIDED = update(ExcludedVote).where(_of_video, _of_voters).values(is_held=False)
_RESTORE_HELD = update(ExcludedVote).where(_of_video, _of_voters).values(voiding_id=None)
_TRUST = (
    update(User)
    .where(User.id.in_(bindparam("voter_ids", expanding=True)), User.votes_are_held)
    .values(votes_are_held=False)
)
_ADJUST = insert(UncountedVote).inline()
_VOIDED = (
    select(ExcludedVote.video_id, ExcludedVote.user_id)
    .where(ExcludedVote.voiding_id == bindparam("voiding"))
    .order_by(ExcludedVote.video_id, ExcludedVote.user_id)
    .limit(BATCH)
)


def begin_voiding(connection: Connection, *, note: str) -> int:
    """Write down why votes are going to be voided; return the number by which that can be undone."""
    return int(connection.execute(_BEGIN_VOIDING, {"note": note}).lastrowid)


def void(connection: Connection, *, video_id: UUID, voter_ids: Sequence[int], voiding_id: int) -> int:
    """Take the voters' votes for the video out of the count; return how many were not void before."""
    found, excluded = _locked(connection, video_id, voter_ids)
    counted = sorted(found - excluded.keys())
    held = sorted(voter for voter, row in excluded.items() if row.voiding_id is None)
    if counted:
        connection.execute(
            _EXCLUDE,
            [{"video_id": video_id, "user_id": v, "is_held": False, "voiding_id": voiding_id} for v in counted],
        )
    if held:
        connection.execute(_VOID_HELD, {"for_video": video_id, "voter_ids": held, "voiding": voiding_id})
    _adjust(connection, video_id, -len(counted))
    return len(counted) + len(held)


def release(connection: Connection, *, video_id: UUID, voter_ids: Sequence[int]) -> int:
    """Let the voters' held votes for the video count, and what they vote from now on; return how many they were.

    One that was voided stays out of the count until that is undone.
    """
    _, excluded = _locked(connection, video_id, voter_ids)
    held = [row for row in excluded.values() if row.is_held]
    counted = sorted(row.user_id for row in held if row.voiding_id is None)
    voided = sorted(row.user_id for row in held if row.voiding_id is not None)
    if counted:
        connection.execute(_INCLUDE, {"for_video": video_id, "voter_ids": counted})
    if voided:
        connection.execute(_RELEASE_VOIDED, {"for_video": video_id, "voter_ids": voided})
    _adjust(connection, video_id, len(counted))
    connection.execute(_TRUST, {"voter_ids": sorted(voter_ids)})
    return len(held)


def voided(connection: Connection, *, voiding_id: int) -> tuple[UUID, list[int]] | None:
    """Return a video and up to 500 voters whose votes for it the voiding keeps out of the count; None for no more."""
    rows = connection.execute(_VOIDED, {"voiding": voiding_id}).all()
    if not rows:
        return None
    return rows[0].video_id, [row.user_id for row in rows if row.video_id == rows[0].video_id]


def restore(connection: Connection, *, video_id: UUID, voter_ids: Sequence[int], voiding_id: int) -> int:
    """Undo the voiding for the voters' votes for the video; return how many they were. Held ones are held again."""
    _, excluded = _locked(connection, video_id, voter_ids)
    ours = [row for row in excluded.values() if row.voiding_id == voiding_id]
    counted = sorted(row.user_id for row in ours if not row.is_held)
    held = sorted(row.user_id for row in ours if row.is_held)
    if counted:
        connection.execute(_INCLUDE, {"for_video": video_id, "voter_ids": counted})
    if held:
        connection.execute(_RESTORE_HELD, {"for_video": video_id, "voter_ids": held})
    _adjust(connection, video_id, len(counted))
    return len(ours)


def _locked(
    connection: Connection, video_id: UUID, voter_ids: Sequence[int]
) -> tuple[set[int], dict[int, Row[int, bool, int | None]]]:
    """Lock the video; return who of the voters has voted for it, and what is known of the votes that do not count."""
    asked = {"for_video": video_id, "voter_ids": list(voter_ids)}
    connection.execute(_LOCKED, {"video_id": video_id})
    excluded = {row.user_id: row for row in connection.execute(_EXCLUDED, asked)}
    return set(connection.scalars(_CAST, asked)), excluded


def _adjust(connection: Connection, video_id: UUID, votes: int) -> None:
    if votes:
        connection.execute(_ADJUST, {"video_id": video_id, "votes": votes})
