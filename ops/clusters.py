"""Votes that look as if one person cast many of them, and why.

A cluster is what one address, or accounts with e-mails in series (ana1@, ana2@ …), have voted for one video. An
address alone is no reason to suspect a school. Most of its voters have to have something else in common: names in
series, a vote within seconds of the sign-up, or no vote for anything else. Names in series can come by chance, too,
where a name is common: without an address, most of their votes have to follow their sign-ups within seconds.
Votes that are held because of the limits are always listed.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, or_, select

from anb.models import ExcludedVote, User, Vote, VoteOrigin

MIN_VOTERS = 10  # a family votes from one address
MOST = 0.8  # of a cluster's voters
QUICK = timedelta(seconds=10)  # a person reads the page that follows the sign-up
_MIN_SERIES = 5

_NUMBER = re.compile(r"\d+")


class Reason(StrEnum):
    """What a cluster's voters have in common."""

    ADDRESS = "one address"
    SERIES = "names in series"
    QUICK = "vote within 10 s of sign-up"
    ALONE = "this video alone"
    HELD = "above the limits"


@dataclass(frozen=True, kw_only=True)
class Voter:
    """One vote of a cluster, and its account."""

    id: int
    email: str
    username: str
    is_quick: bool
    votes_alone: bool
    is_held: bool
    is_void: bool

    @classmethod
    def of(cls, row: Any) -> Self:
        """Return what a row tells."""
        return cls(
            id=row.id,
            email=row.email,
            username=f"{row.first_name} {row.last_name}",
            is_quick=_is_quick(row.signed_up_at, row.voted_at),
            votes_alone=row.votes == 1,
            is_held=bool(row.is_held),
            is_void=row.voiding_id is not None,
        )

    @property
    def is_waiting(self) -> bool:
        """Whether the vote is held and nobody has decided about it."""
        return self.is_held and not self.is_void


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The votes of an address or a series for one video."""

    name: str  # the same as long as there is such a cluster
    origin: str  # an address, as its keyed hash, or a series, its numbers written as #
    video_id: UUID
    voters: Sequence[Voter]
    reasons: Sequence[Reason]

    @property
    def counted(self) -> int:
        """How many of the votes count."""
        return sum(not (voter.is_held or voter.is_void) for voter in self.voters)

    @property
    def held(self) -> int:
        """How many wait for a decision."""
        return sum(voter.is_waiting for voter in self.voters)

    @property
    def void(self) -> int:
        """How many were taken out of the count."""
        return sum(voter.is_void for voter in self.voters)

    @property
    def is_decided(self) -> bool:
        """Whether all of its votes were taken out of the count."""
        return self.void == len(self.voters)

    @property
    def voter_ids(self) -> list[int]:
        """Whose votes they are."""
        return [voter.id for voter in self.voters]


_is_waiting = ExcludedVote.is_held & ExcludedVote.voiding_id.is_(None)
_exclusion = (ExcludedVote.video_id == VoteOrigin.video_id) & (ExcludedVote.user_id == VoteOrigin.user_id)
_OF_ADDRESSES = (
    select(VoteOrigin.address.label("origin"), VoteOrigin.video_id)
    .outerjoin(ExcludedVote, _exclusion)
    .group_by(VoteOrigin.address, VoteOrigin.video_id)
    .having(or_(func.count() >= MIN_VOTERS, func.count(case((_is_waiting, 1))) > 0))
)
_series: ColumnElement[str] = func.regexp_replace(User.email, "[0-9]+", "#")
_with_series = select(User.id, _series.label("series")).where(User.email.regexp_match("[0-9].*@")).subquery()
_long_series = (
    select(_with_series.c.series).group_by(_with_series.c.series).having(func.count() >= MIN_VOTERS).subquery()
)
_OF_SERIES = (
    select(_with_series.c.series.label("origin"), Vote.video_id)
    .join(_long_series, _long_series.c.series == _with_series.c.series)
    .join(Vote, Vote.user_id == _with_series.c.id)
    .group_by(_with_series.c.series, Vote.video_id)
    .having(func.count() >= MIN_VOTERS)
)


def _voters() -> Select[Any]:
    others = Vote.__table__.alias("others")
    votes = select(func.count()).select_from(others).where(others.c.user_id == User.id).scalar_subquery()
    excluded = (ExcludedVote.video_id == Vote.video_id) & (ExcludedVote.user_id == Vote.user_id)
    return (
        select(
            User.id,
            User.email,
            User.first_name,
            User.last_name,
            User.created_at.label("signed_up_at"),
            Vote.created_at.label("voted_at"),
            ExcludedVote.is_held,
            ExcludedVote.voiding_id,
            votes.label("votes"),
        )
        .select_from(Vote)
        .join(User, User.id == Vote.user_id)
        .outerjoin(ExcludedVote, excluded)
        .where(Vote.video_id == bindparam("video_id"))
        .order_by(User.id)
    )


_vote_of_origin = (VoteOrigin.video_id == Vote.video_id) & (VoteOrigin.user_id == Vote.user_id)
_VOTERS_OF_ADDRESS = (
    _voters().join(VoteOrigin, _vote_of_origin).where(VoteOrigin.address == bindparam("origin")).distinct()
)
_VOTERS_OF_SERIES = _voters().where(_series == bindparam("origin"))


def find(connection: Connection) -> list[Cluster]:
    """Return the clusters, most reasons first, and among them those about which everything is decided."""
    found = [*_clusters(connection, _OF_ADDRESSES, _VOTERS_OF_ADDRESS, Reason.ADDRESS)]
    found += _clusters(connection, _OF_SERIES, _VOTERS_OF_SERIES, Reason.SERIES)
    return sorted(found, key=lambda cluster: (-len(cluster.reasons), -len(cluster.voters), cluster.name))


def _clusters(
    connection: Connection, groups: Select[str, UUID], voters: Select[Any], kind: Reason
) -> Iterator[Cluster]:
    for group in connection.execute(groups).all():
        asked = {"video_id": group.video_id, "origin": group.origin}
        members = [Voter.of(row) for row in connection.execute(voters, asked)]
        reasons = _reasons(members, kind)
        if _is_suspicious(reasons, kind):
            yield Cluster(
                name=_name(kind, group.origin, group.video_id),
                origin=group.origin,
                video_id=group.video_id,
                voters=members,
                reasons=reasons,
            )


def _is_suspicious(reasons: Sequence[Reason], kind: Reason) -> bool:
    if Reason.HELD in reasons:
        return True
    return Reason.QUICK in reasons if kind is Reason.SERIES else len(reasons) > 1


def _reasons(voters: Sequence[Voter], kind: Reason) -> list[Reason]:
    shares = {
        Reason.SERIES: _in_series(voters),
        Reason.QUICK: sum(voter.is_quick for voter in voters),
        Reason.ALONE: sum(voter.votes_alone for voter in voters),
    }
    found = {kind, *(reason for reason, share in shares.items() if share >= MOST * len(voters) >= MOST * MIN_VOTERS)}
    if any(voter.is_waiting for voter in voters):
        found.add(Reason.HELD)
    return [reason for reason in Reason if reason in found]


def _in_series(voters: Sequence[Voter]) -> int:
    """Return how many have an e-mail, or how many a name, that others have with another number."""
    return max(_series_size([voter.email for voter in voters]), _series_size([voter.username for voter in voters]))


def _series_size(texts: Sequence[str]) -> int:
    series = Counter(_NUMBER.sub("#", text) for text in texts if _NUMBER.search(text))
    return sum(size for size in series.values() if size >= _MIN_SERIES)


def _is_quick(signed_up_at: datetime, voted_at: datetime) -> bool:
    return voted_at - signed_up_at <= QUICK


def _name(kind: Reason, origin: str, video_id: UUID) -> str:
    return hashlib.sha256(f"{kind} {origin} {video_id}".encode()).hexdigest()[:8]
