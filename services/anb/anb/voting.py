"""Votes, their tally and the ranking that comes of them."""

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from anb.database import DUPLICATE_KEY
from anb.errors import AlreadyVoted, NotFound, Unauthenticated
from anb.models import Standing, Status, UncountedVote, User, Video, Vote

TALLY_BATCH = 1000  # votes; keeps a tally's transaction to some milliseconds


def cast_vote(session: Session, *, voter_id: int, video_id: UUID) -> None:
    """Record a vote; a voter has one per video, which the database enforces.

    Raises NotFound for a video that is not open to votes, AlreadyVoted for a second vote and Unauthenticated
    for a voter who does not exist.
    """
    # A processed video stays one, so that the look and the insert need no lock between them
    if session.scalar(select(Video.status).where(Video.id == video_id)) != Status.PROCESSED:
        raise NotFound("Video no encontrado.")
    try:
        session.execute(insert(Vote).values(video_id=video_id, user_id=voter_id))
    except IntegrityError as error:
        if error.orig is not None and error.orig.args[0] == DUPLICATE_KEY:
            raise AlreadyVoted("Ya has votado por este video.") from None
        raise Unauthenticated("La cuenta de este token no existe.") from None
    session.execute(insert(UncountedVote).values(video_id=video_id))


def tally(session: Session) -> int:
    """Add up to 1,000 uncounted votes to their videos and players; return how many they were.

    Any number of processes may tally at once: each takes other rows.
    """
    rows = session.execute(
        select(UncountedVote.id, UncountedVote.video_id)
        .order_by(UncountedVote.id)
        .limit(TALLY_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return 0
    by_video = Counter(row.video_id for row in rows)
    by_player = _by_player(session, by_video)
    # Always in the same order, so that two tallies cannot wait for each other
    for video_id, votes in sorted(by_video.items()):
        session.execute(update(Video).where(Video.id == video_id).values(votes=Video.votes + votes))
    for player_id, votes in sorted(by_player.items()):
        session.execute(update(Standing).where(Standing.user_id == player_id).values(votes=Standing.votes + votes))
    session.execute(delete(UncountedVote).where(UncountedVote.id.in_([row.id for row in rows])))
    return len(rows)


def uncounted(session: Session, video_ids: list[UUID]) -> dict[UUID, int]:
    """Return the votes that the tally has not reached yet, for the videos that have any."""
    query = (
        select(UncountedVote.video_id, func.count().label("votes"))
        .where(UncountedVote.video_id.in_(video_ids))
        .group_by(UncountedVote.video_id)
    )
    return {row.video_id: row.votes for row in session.execute(query)} if video_ids else {}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A player's place in the ranking."""

    position: int
    username: str
    city: str
    votes: int


def ranking(session: Session, *, limit: int, offset: int = 0, city: str | None = None) -> list[Place]:
    """Return `limit` places after the first `offset`, most votes first, earlier sign-up first among equals.

    `city` is compared without case and accents; positions count within it.
    """
    order = (Standing.votes.desc(), Standing.user_id)
    places = select(Standing.user_id, Standing.votes).order_by(*order).limit(limit).offset(offset)
    if city is not None:
        places = places.where(Standing.city == city)
    # The places come from an index alone; only those of this page are looked up
    page = places.subquery()
    found = session.execute(
        select(User.first_name, User.last_name, User.city, page.c.votes)
        .join(page, page.c.user_id == User.id)
        .order_by(page.c.votes.desc(), page.c.user_id)
    )
    return [
        Place(position=position, username=f"{row.first_name} {row.last_name}", city=row.city, votes=row.votes)
        for position, row in enumerate(found, start=offset + 1)
    ]


def _by_player(session: Session, by_video: Counter[UUID]) -> Counter[int]:
    owners = session.execute(select(Video.id, Video.user_id).where(Video.id.in_(by_video)))
    players: Counter[int] = Counter()
    for video_id, player_id in owners:
        players[player_id] += by_video[video_id]
    return players
