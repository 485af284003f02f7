"""The end of an account: everything that is known of a person goes, and a receipt with a number stays.

First `lifecycle.delete_all`, then the objects of those videos, then `finish`. Each may be repeated.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Table, bindparam, delete, func, insert, select

from anb import emails, lifecycle, throttle
from anb.models import Base, Erasure, Status, User, Video
from anb.voting import withdraw_votes

# A video's state is written by its lifecycle alone, and a vote is counted
_NOT_JUST_DELETED = {"videos", "votes"}
_LOCKED = select(User.email).where(User.id == bindparam("person")).with_for_update()
_VIDEOS = select(func.count()).where(Video.user_id == bindparam("person"))
_STANDING_VIDEOS = _VIDEOS.where(Video.status != Status.DELETED)
_RECEIPT = insert(Erasure)
_USER = delete(User).where(User.id == bindparam("person"))


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What was erased of the person whose account had this number."""

    user_id: int
    videos: int
    votes: int


def finish(connection: Connection, *, user_id: int) -> Receipt | None:
    """Remove the account with all that hangs on it, and note the receipt; None while it has videos left to delete.

    Its votes are taken back, and counters and ranking follow.
    """
    person = {"person": user_id}
    email = connection.scalars(_LOCKED, person).one()
    if connection.scalar(_STANDING_VIDEOS, person):
        return None
    for table, column in _tables_of_people():
        connection.execute(delete(table).where(column == user_id))
    votes = withdraw_votes(connection, voter_id=user_id)
    throttle.forget(connection, email=emails.canonical(email))
    videos = int(connection.scalar(_VIDEOS, person) or 0)
    lifecycle.purge_all(connection, owner_id=user_id)
    connection.execute(_USER, person)
    connection.execute(_RECEIPT, {"erased_user_id": user_id, "videos": videos, "votes": votes})
    return Receipt(user_id=user_id, videos=videos, votes=votes)


def _tables_of_people() -> Iterator[tuple[Table, Column[int]]]:
    """Yield every table with a `user_id`, whatever will have one, those first that point to others."""
    for table in reversed(Base.metadata.sorted_tables):
        if "user_id" in table.columns and table.name not in _NOT_JUST_DELETED:
            yield table, table.columns["user_id"]
