"""Votes, their tally and the ranking that comes of them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy import cast as sql_cast

from anb import abuse_limits, search
from anb.abuse_limits import AbuseLimits
from anb.database import DuplicateKey
from anb.errors import AlreadyVoted, NotFound, Unauthenticated
from anb.models import ExcludedVote, Standing, Status, UncountedVote, User, Video, Vote

TALLY_BATCH = 1000  # votes; keeps a tally's transaction to some milliseconds
AUDIT_BATCH = 500  # players; keeps an audit's snapshot, and what the database holds back for it, short

# One account votes one vote at a time, so that two cannot both be the last that the limits allow
_LOCKED_VOTER = select(User.votes_are_held).where(User.id == bindparam("voter_id")).with_for_update()
# Whoever takes a video down waits for the votes that are being cast for it, and these for whoever does
_STATUS = select(Video.status).where(Video.id == bindparam("video_id")).with_for_update(read=True)
_HELD_VOTE = insert(ExcludedVote).inline()
_VOTE = insert(Vote).inline()
_UNCOUNTED_VOTE = insert(UncountedVote).inline()

# What a tally asks, built once: building a statement takes longer than running it
_BATCH = UncountedVote.id.in_(bindparam("batch", expanding=True))
_TAKEN = (
    select(UncountedVote.id, UncountedVote.video_id)
    .order_by(UncountedVote.id)
    .limit(TALLY_BATCH)
    .with_for_update(skip_locked=True)
)
_LOCKED_VIDEOS = (
    select(Video.user_id)
    .where(Video.id.in_(bindparam("video_ids", expanding=True)))
    .order_by(Video.id)
    .with_for_update()
)
_LOCKED_STANDINGS = (
    select(Standing.user_id)
    .where(Standing.user_id.in_(bindparam("player_ids", expanding=True)))
    .order_by(Standing.user_id)
    .with_for_update()
)
# The database adds up: a statement for each video would be dearer than the vote
_of_video = (
    select(UncountedVote.video_id, func.sum(UncountedVote.votes).label("votes"))
    .where(_BATCH)
    .group_by(UncountedVote.video_id)
    .subquery()
)
_ADDED_TO_VIDEOS = update(Video).where(Video.id == _of_video.c.video_id).values(votes=Video.votes + _of_video.c.votes)
_of_player = (
    select(Video.user_id, func.sum(UncountedVote.votes).label("votes"))
    .join(UncountedVote, UncountedVote.video_id == Video.id)
    .where(_BATCH)
    .group_by(Video.user_id)
    .subquery()
)
_ADDED_TO_STANDINGS = (
    update(Standing).where(Standing.user_id == _of_player.c.user_id).values(votes=Standing.votes + _of_player.c.votes)
)
_DONE = delete(UncountedVote).where(_BATCH)
_ENTER_STANDINGS = (
    insert(Standing)
    .prefix_with("IGNORE")
    .from_select(["user_id", "city"], select(User.id, User.city).where(User.id == bindparam("player_id")))
)


def _ranked(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Return the ranking's page: its places come from an index alone, only those of the page are looked up."""
    page = (
        select(Standing.user_id, Standing.votes)
        .where(*conditions)
        .order_by(Standing.votes.desc(), Standing.user_id)
        .limit(bindparam("at_most"))
        .offset(bindparam("skipped"))
        .subquery()
    )
    return (
        select(User.id, User.first_name, User.last_name, User.city, page.c.votes)
        .join(page, page.c.user_id == User.id)
        .order_by(page.c.votes.desc(), page.c.user_id)
    )


def _votes_due(video_id: Any) -> ColumnElement[int]:
    """Return how many votes the video's counter should have, as an expression: both counts see one snapshot."""
    cast = select(func.count()).select_from(Vote).where(Vote.video_id == video_id)
    excluded = select(func.count()).select_from(ExcludedVote).where(ExcludedVote.video_id == video_id)
    return cast.scalar_subquery() - excluded.scalar_subquery() - waiting_votes(video_id)


def waiting_votes(video_id: Any) -> ColumnElement[int]:
    """Return how many votes the tally has still to add to the video, as an expression."""
    sum_or_zero = func.coalesce(func.sum(UncountedVote.votes), literal_column("0"))
    waiting = select(sum_or_zero).where(UncountedVote.video_id == video_id)
    # A sum is a decimal number to the database, which JSON has not
    return sql_cast(waiting.scalar_subquery(), BigInteger)


_RANKING = _ranked()
_PLAYER_IN_RANKING = (
    select(User.id, User.first_name, User.last_name, User.city, Standing.votes)
    .join(Standing, Standing.user_id == User.id)
    .where(User.id == bindparam("player_id"))
)
_RANKING_OF_CITY = _ranked(Standing.city == bindparam("city"))
_CITIES = select(func.min(Standing.city)).group_by(Standing.city).order_by(Standing.city).limit(bindparam("at_most"))

_AUDITED_PLAYERS = (
    select(User.id).where(User.id > bindparam("after_player")).order_by(User.id).limit(bindparam("at_most"))
)
_of_players: BindParameter[Any] = bindparam("player_ids", expanding=True)
_AUDITED_VIDEOS = select(Video.id, Video.user_id, Video.status, Video.votes, _votes_due(Video.id).label("due")).where(
    Video.user_id.in_(_of_players)
)
_AUDITED_STANDINGS = select(Standing.user_id, Standing.votes).where(Standing.user_id.in_(_of_players))

_video, _player = Video.id == bindparam("video_id"), Standing.user_id == bindparam("player_id")
_LOCKED_VIDEO = select(Video.id).where(_video).with_for_update()
_DUE_OF_VIDEO = select(_votes_due(bindparam("video_id", type_=Video.id.type)))
_SET_VIDEO = update(Video).where(_video).values(votes=bindparam("due"))
_LOCKED_STANDING = select(Standing.user_id).where(_player).with_for_update()
_of_videos = select(_votes_due(Video.id).label("votes")).where(Video.user_id == bindparam("player_id")).subquery()
_DUE_OF_PLAYER = select(func.coalesce(func.sum(_of_videos.c.votes), 0))
_SET_STANDING = update(Standing).where(_player).values(votes=bindparam("due"))

_VOTES_FOR = delete(Vote).where(Vote.video_id == bindparam("for_video"))
_PLAYER = select(Video.user_id).where(_video)
_VOTED_FOR = select(Vote.video_id).where(Vote.user_id == bindparam("voter_id")).order_by(Vote.video_id)
_VOTE_OF = delete(Vote).where(Vote.video_id == bindparam("for_video"), Vote.user_id == bindparam("voter_id"))


def cast_vote(
    connection: Connection,
    *,
    voter_id: int,
    video_id: UUID,
    address: str | None = None,
    limits: AbuseLimits = AbuseLimits(),
) -> None:
    """Record a vote; a voter has one per video, which the database enforces.

    `address` is the keyed hash of the client's, None where nobody knows it. A vote of an address that votes or has
    signed up more often than the limits say is taken like any other, held for review and not counted until then.

    Raises NotFound for a video that is not open to votes, AlreadyVoted for a second vote, TooManyRequests for an
    account that votes more often than people do and Unauthenticated for a voter who does not exist.
    """
    is_held = connection.scalar(_LOCKED_VOTER, {"voter_id": voter_id})
    if is_held is None:
        raise Unauthenticated("La cuenta de este token no existe.")
    if connection.scalar(_STATUS, {"video_id": video_id}) != Status.PROCESSED:
        raise NotFound("Video no encontrado.")
    is_held |= abuse_limits.votes_too_often(connection, voter_id=voter_id, address=address, limits=limits)
    try:
        connection.execute(_VOTE, {"video_id": video_id, "user_id": voter_id})
    except DuplicateKey:
        raise AlreadyVoted("Ya has votado por este video.") from None
    if address is not None:
        abuse_limits.note_vote(connection, voter_id=voter_id, video_id=video_id, address=address)
    if is_held:
        connection.execute(_HELD_VOTE, {"video_id": video_id, "user_id": voter_id, "is_held": True})
    else:
        connection.execute(_UNCOUNTED_VOTE, {"video_id": video_id})


def tally(connection: Connection) -> int:
    """Add up to 1,000 entries of uncounted votes to their videos and players; return how many they were.

    Any number of processes may tally at once: each takes other rows.
    """
    votes = connection.execute(_TAKEN).all()
    if not votes:
        return 0
    batch = {"batch": [vote.id for vote in votes]}
    # Locked in the same order by all, so that two tallies cannot wait for each other
    video_ids = list({vote.video_id for vote in votes})
    player_ids = set(connection.scalars(_LOCKED_VIDEOS, {"video_ids": video_ids}))
    connection.execute(_LOCKED_STANDINGS, {"player_ids": list(player_ids)})
    connection.execute(_ADDED_TO_VIDEOS, batch)
    search.note_votes(connection, video_ids=video_ids)
    connection.execute(_ADDED_TO_STANDINGS, batch)
    connection.execute(_DONE, batch)
    return len(votes)


def enter_standings(connection: Connection, *, player_id: int) -> None:
    """Let the player's name appear in the ranking; once is enough, again is harmless."""
    connection.execute(_ENTER_STANDINGS, {"player_id": player_id})


@dataclass(frozen=True, kw_only=True)
class Place:
    """A player's place in the ranking."""

    player_id: int
    position: int
    username: str
    city: str
    votes: int


def ranking(connection: Connection, *, limit: int, offset: int = 0, city: str | None = None) -> list[Place]:
    """Return `limit` places after the first `offset`, most votes first, earlier sign-up first among equals.

    `city` is compared without case and accents; positions count within it.
    """
    page = {"at_most": limit, "skipped": offset}
    if city is None:
        found = connection.execute(_RANKING, page)
    else:
        found = connection.execute(_RANKING_OF_CITY, {**page, "city": city})
    return [
        Place(
            player_id=row.id,
            position=position,
            username=f"{row.first_name} {row.last_name}",
            city=row.city,
            votes=row.votes,
        )
        for position, row in enumerate(found, start=offset + 1)
    ]


@dataclass(frozen=True, kw_only=True)
class Player:
    """Somebody in the ranking."""

    id: int
    username: str
    city: str
    votes: int


def find_player(connection: Connection, *, player_id: int) -> Player:
    """Return a player as everybody sees them; NotFound for whoever has no place in the ranking."""
    row = connection.execute(_PLAYER_IN_RANKING, {"player_id": player_id}).one_or_none()
    if row is None:
        raise NotFound("Jugador no encontrado.")
    return Player(id=row.id, username=f"{row.first_name} {row.last_name}", city=row.city, votes=row.votes)


def cities(connection: Connection, *, limit: int) -> list[str]:
    """Return up to `limit` cities in the ranking by name, each once however its players write it."""
    return list(connection.scalars(_CITIES, {"at_most": limit}))


@dataclass(frozen=True, kw_only=True)
class Miscount:
    """A counter that is not what the votes say: a video's, or without `video_id` the player's in the ranking.

    `counted` is None for a player who has a processed video and is missing in the ranking. Votes that the tally
    has not reached yet are in neither number.
    """

    player_id: int
    video_id: UUID | None
    counted: int | None
    votes: int


def audit(engine: Engine, *, after_player: int = 0, players: int = AUDIT_BATCH) -> tuple[list[Miscount], int | None]:
    """Compare the counters of up to `players` players and their videos with their votes, while votes come in.

    Returns what does not agree, and the player after whom the next audit goes on, None at the end. All of it is
    read from one snapshot, in which a vote is either uncounted or counted.
    """
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ")
    with snapshot.begin() as connection:
        return _audit(connection, after_player=after_player, players=players)


def _audit(connection: Connection, *, after_player: int, players: int) -> tuple[list[Miscount], int | None]:
    batch = {"after_player": after_player, "at_most": players}
    player_ids = connection.scalars(_AUDITED_PLAYERS, batch).all()
    if not player_ids:
        return [], None
    found: list[Miscount] = []
    due, ranked = Counter[int](), set[int]()
    for row in connection.execute(_AUDITED_VIDEOS, {"player_ids": player_ids}):
        due[row.user_id] += row.due
        if row.status == Status.PROCESSED:
            ranked.add(row.user_id)
        if row.votes != row.due:
            found.append(Miscount(player_id=row.user_id, video_id=row.id, counted=row.votes, votes=row.due))
    standings = {row.user_id: row.votes for row in connection.execute(_AUDITED_STANDINGS, {"player_ids": player_ids})}
    for player_id in sorted(ranked | standings.keys()):
        counted = standings.get(player_id)
        if counted != due[player_id]:
            found.append(Miscount(player_id=player_id, video_id=None, counted=counted, votes=due[player_id]))
    return found, player_ids[-1]


def recount(connection: Connection, miscount: Miscount) -> int:
    """Set the counter to what the votes say by now and return that; safe while votes come in and are tallied.

    The counter's row is locked before anything is counted. Whatever a tally has added by then is no longer
    uncounted; a tally that comes later waits for the lock and finds its votes uncounted still. One row is locked
    at a time, so that a recount and a tally cannot wait for each other.
    """
    player_id, video_id = miscount.player_id, miscount.video_id
    if video_id is not None:
        video = {"video_id": video_id}
        connection.execute(_LOCKED_VIDEO, video)
        votes = int(connection.scalar(_DUE_OF_VIDEO, video) or 0)
        connection.execute(_SET_VIDEO, {**video, "due": votes})
        search.note_votes(connection, video_ids=[video_id])
        return votes
    if miscount.counted is None:
        enter_standings(connection, player_id=player_id)
    player = {"player_id": player_id}
    connection.execute(_LOCKED_STANDING, player)
    votes = int(connection.scalar(_DUE_OF_PLAYER, player) or 0)
    connection.execute(_SET_STANDING, {**player, "due": votes})
    return votes


def void_votes(connection: Connection, *, video_id: UUID) -> int:
    """Delete all votes for a video whose row the caller has locked, and count what is left; return how many."""
    voided = connection.execute(_VOTES_FOR, {"for_video": video_id}).rowcount
    _count_again(connection, video_id=video_id)
    return voided


def withdraw_votes(connection: Connection, *, voter_id: int) -> int:
    """Delete all votes of a voter, and count what is left for their videos; return how many there were."""
    video_ids = connection.scalars(_VOTED_FOR, {"voter_id": voter_id}).all()
    for video_id in video_ids:  # in the order in which tallies lock them
        connection.execute(_LOCKED_VIDEO, {"video_id": video_id})
        connection.execute(_VOTE_OF, {"for_video": video_id, "voter_id": voter_id})
        _count_again(connection, video_id=video_id)
    return len(video_ids)


def _count_again(connection: Connection, *, video_id: UUID) -> None:
    player_id = connection.scalars(_PLAYER, {"video_id": video_id}).one()
    for counter in (video_id, None):
        recount(connection, Miscount(player_id=player_id, video_id=counter, counted=0, votes=0))
