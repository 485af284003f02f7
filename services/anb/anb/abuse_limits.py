"""How many sign-ups and votes an address, and how many votes an account, may send before somebody looks at them.

What an address sends beyond its limits is taken like any other, so that a school behind one address notices nothing,
and waits for a review: `anb/vote_reviews.py`. The counts are the database's, so that they hold across instances.
Addresses are kept as keyed hashes, for 90 days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Delete, Integer, Select, bindparam, delete, func, insert, literal_column, select

from anb.errors import TooManyRequests
from anb.models import SignUpOrigin, Vote, VoteOrigin, now

PURGE_BATCH = 500
_DAY_SECONDS = 24 * 3600
KEPT_SECONDS = 90 * _DAY_SECONDS
_HOUR_SECONDS, _MINUTE_SECONDS = 3600, 60

_SIGN_UP_ORIGIN = insert(SignUpOrigin).inline()
_VOTE_ORIGIN = insert(VoteOrigin).inline()


@dataclass(frozen=True, kw_only=True)
class AbuseLimits:
    """How much that is."""

    sign_ups_an_hour_per_address: int = 200
    votes_a_minute_per_address: int = 300
    votes_a_minute_per_account: int = 60


def _counted(chosen: Select[Any], most: str) -> Select[Any]:
    """Count up to the limit: how far somebody is beyond it costs no more to find out."""
    return select(func.count()).select_from(chosen.limit(bindparam(most)).subquery())


def _since(seconds: int) -> Any:
    return now(plus_seconds=-seconds)


_one = literal_column("1", Integer)
_SIGN_UPS_OF_ADDRESS = _counted(
    select(_one).where(SignUpOrigin.address == bindparam("address"), SignUpOrigin.at > _since(_HOUR_SECONDS)),
    "most",
)
_VOTES = select(
    _counted(
        select(_one).where(Vote.user_id == bindparam("voter_id"), Vote.created_at > _since(_MINUTE_SECONDS)),
        "most_of_account",
    )
    .scalar_subquery()
    .label("of_account"),
    _counted(
        select(_one).where(VoteOrigin.address == bindparam("address"), VoteOrigin.at > _since(_MINUTE_SECONDS)),
        "most_of_address",
    )
    .scalar_subquery()
    .label("of_address"),
)


def signs_up_too_often(connection: Connection, *, address: str, limits: AbuseLimits) -> bool:
    """Return whether the address has used up its sign-ups of this hour."""
    most = limits.sign_ups_an_hour_per_address
    return bool(connection.scalar(_SIGN_UPS_OF_ADDRESS, {"address": address, "most": most}) >= most)


def votes_too_often(connection: Connection, *, voter_id: int, address: str | None, limits: AbuseLimits) -> bool:
    """Return whether the address has used up its votes of this minute; the caller has locked the voter's row.

    Raises TooManyRequests when the account has used up its own.
    """
    most = {
        "most_of_account": limits.votes_a_minute_per_account,
        "most_of_address": limits.votes_a_minute_per_address,
    }
    votes = connection.execute(_VOTES, {"voter_id": voter_id, "address": address, **most}).one()
    if votes.of_account >= limits.votes_a_minute_per_account:
        raise TooManyRequests(
            f"Ya votaste {limits.votes_a_minute_per_account} veces en el último minuto. "
            "Espera un momento antes de votar de nuevo.",
            retry_after_seconds=_MINUTE_SECONDS,
        )
    return bool(votes.of_address >= limits.votes_a_minute_per_address)


def note_sign_up(connection: Connection, *, user_id: int, address: str) -> None:
    """Keep from where the account was made."""
    connection.execute(_SIGN_UP_ORIGIN, {"user_id": user_id, "address": address})


def note_vote(connection: Connection, *, voter_id: int, video_id: UUID, address: str) -> None:
    """Keep from where the vote came."""
    connection.execute(_VOTE_ORIGIN, {"user_id": voter_id, "video_id": video_id, "address": address})


def _oldest(key: Any, at: Any) -> Select[Any]:
    # Keys grow with time: no index of times is needed to find what was kept first
    return select(key.label("key"), (at < _since(KEPT_SECONDS)).label("is_over")).order_by(key).limit(PURGE_BATCH)


_OVER: Sequence[tuple[Select[Any], Delete]] = (
    (
        _oldest(SignUpOrigin.user_id, SignUpOrigin.at),
        delete(SignUpOrigin).where(SignUpOrigin.user_id.in_(bindparam("over", expanding=True))),
    ),
    (
        _oldest(VoteOrigin.id, VoteOrigin.at),
        delete(VoteOrigin).where(VoteOrigin.id.in_(bindparam("over", expanding=True))),
    ),
)


def purge(connection: Connection) -> int:
    """Delete what has been kept for 90 days, up to 500 of each kind; return how many the larger part was."""
    removed = [0]
    for oldest, deleted in _OVER:
        over = [row.key for row in connection.execute(oldest) if row.is_over]
        if over:
            connection.execute(deleted, {"over": over})
        removed.append(len(over))
    return max(removed)
