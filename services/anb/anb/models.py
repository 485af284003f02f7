"""The tables. Times are UTC and come from the database's clock, the only one that all processes share."""

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    TextClause,
    UniqueConstraint,
    Uuid,
    bindparam,
    func,
    text,
)
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Compares without case and accents, and exists in MySQL and in MariaDB
FOLDED = "utf8mb4_unicode_520_ci"

Time = DATETIME(fsp=6)
# CHAR(32) in MySQL and in MariaDB; the native type is MariaDB's alone
Id = Uuid(native_uuid=False)


def now(*, plus_seconds: float = 0) -> TextClause:
    """Return the database's time, in UTC, as an SQL expression."""
    if not plus_seconds:
        return text("UTC_TIMESTAMP(6)")
    return text(f"UTC_TIMESTAMP(6) + INTERVAL {round(plus_seconds * 1_000_000)} MICROSECOND")


def seconds_from_now(parameter: str) -> ColumnElement[datetime]:
    """Return the database's time plus as many seconds as the statement's parameter of this name says."""
    return func.timestampadd(text("SECOND"), bindparam(parameter), now())


class Status(enum.StrEnum):
    """Where a video is in its life, which `anb/lifecycle.py` draws.

    A deleted one keeps its row for a while, because it still counts among its player's uploads of the last hour.
    """

    AWAITING_UPLOAD = "awaiting_upload"
    REFUSED = "refused"
    UPLOADED = "uploaded"
    PROCESSING = "processing"
    PROCESSED = "processed"
    FAILED = "failed"
    DELETED = "deleted"


class Base(DeclarativeBase):
    """All tables share InnoDB and four-byte UTF-8."""

    __table_args__: Any = {  # noqa: RUF012 SQLAlchemy's own declaration
        "mysql_engine": "InnoDB",
        "mysql_charset": "utf8mb4",
        "mysql_collate": "utf8mb4_bin",
    }


class User(Base):
    """Somebody who signed up: a player, a voter, or both. Ids grow in the order of sign-up."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email", name="uq_users_email"),
        UniqueConstraint("canonical_email", name="uq_users_canonical_email"),
        Base.__table_args__,
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    email: Mapped[str] = mapped_column(String(254))  # in lower case
    # What anb/emails.py makes of it; empty for an account from when two spellings of one mailbox could have one each
    canonical_email: Mapped[str | None] = mapped_column(String(254))
    first_name: Mapped[str] = mapped_column(String(100))
    last_name: Mapped[str] = mapped_column(String(100))
    city: Mapped[str] = mapped_column(String(100))
    country: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(String(200))
    votes_are_held: Mapped[bool] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(Time, server_default=text("CURRENT_TIMESTAMP(6)"))

    @property
    def username(self) -> str:
        """Return the name that the public sees."""
        return f"{self.first_name} {self.last_name}"


class Video(Base):
    """A video and the state of its processing: the truth that the queue only points to.

    `attempt` numbers the claims and fences late writers; it never goes back. `crashes` counts the claims that
    did not end in good order; a released job gives its own back.
    """

    __tablename__ = "videos"
    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key", name="uq_videos_idempotency"),
        Index("ix_videos_owner", "user_id", "uploaded_at", "id"),
        Index("ix_videos_public", "status", "processed_at", "id"),
        Index("ix_videos_due", "status", "next_enqueue_at"),
        Index("ix_videos_begun", "user_id", "created_at"),
        Index("ix_videos_most_voted", "status", "votes", "id"),
        Index("ix_videos_of_city", "status", "city", "processed_at", "id"),
        Index("ix_videos_most_voted_of_city", "status", "city", "votes", "id"),
        Base.__table_args__,
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", name="fk_videos_user"))
    title: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16))
    city: Mapped[str | None] = mapped_column(String(100, collation=FOLDED))  # the player's, once it is public
    error: Mapped[str | None] = mapped_column(String(500))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    request_id: Mapped[str] = mapped_column(String(64))
    source: Mapped[str | None] = mapped_column(String(32))  # which of the copies that were stored was accepted
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of the source; as declared, until it is accepted
    created_at: Mapped[datetime] = mapped_column(Time, server_default=text("CURRENT_TIMESTAMP(6)"))
    uploaded_at: Mapped[datetime | None] = mapped_column(Time)
    processed_at: Mapped[datetime | None] = mapped_column(Time)
    votes: Mapped[int] = mapped_column(BigInteger, server_default="0")  # what the tally has counted so far
    attempt: Mapped[int] = mapped_column(server_default="0")
    crashes: Mapped[int] = mapped_column(server_default="0")
    lease_owner: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[datetime | None] = mapped_column(Time)
    next_enqueue_at: Mapped[datetime | None] = mapped_column(Time)  # when the relay may send it again
    enqueue_count: Mapped[int] = mapped_column(server_default="0")


class VideoWord(Base):
    """A word by which a public video is found: of its title, or of its player's name.

    What videos are in order by stands here, too: a page of those with a word is read from an index alone. All that
    have a word lie side by side, so that whether a video has another costs next to nothing.
    """

    __tablename__ = "video_words"
    __table_args__ = (
        Index("ix_video_words_newest", "word", "processed_at", "video_id"),
        Index("ix_video_words_most_voted", "word", "votes", "video_id"),
        Index("ix_video_words_video", "video_id"),
        Base.__table_args__,
    )

    word: Mapped[str] = mapped_column(String(40), primary_key=True)
    video_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("videos.id", name="fk_video_words_video", ondelete="CASCADE"), primary_key=True
    )
    processed_at: Mapped[datetime] = mapped_column(Time)
    votes: Mapped[int] = mapped_column(BigInteger)


class Vote(Base):
    """A voter's vote for a video; the primary key makes it the only one."""

    __tablename__ = "votes"
    __table_args__ = (Index("ix_votes_voter", "user_id", "created_at"), Base.__table_args__)

    video_id: Mapped[UUID] = mapped_column(Id, ForeignKey("videos.id", name="fk_votes_video"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", name="fk_votes_user"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Time, server_default=text("CURRENT_TIMESTAMP(6)"))


class UncountedVote(Base):
    """Votes that the tally has still to add to their video and its player, or to take away where it is below 0.

    Votes append here instead of updating a counter, so that a popular video is no hot lock.
    """

    __tablename__ = "uncounted_votes"
    __table_args__ = (Index("ix_uncounted_votes_of_video", "video_id", "votes"), Base.__table_args__)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    video_id: Mapped[UUID] = mapped_column(Id)
    votes: Mapped[int] = mapped_column(server_default="1")


class ExcludedVote(Base):
    """A vote that does not count: it is held for review, or was voided, or both."""

    __tablename__ = "excluded_votes"
    __table_args__ = (
        ForeignKeyConstraint(
            ["video_id", "user_id"],
            ["votes.video_id", "votes.user_id"],
            name="fk_excluded_votes_vote",
            ondelete="CASCADE",
        ),
        Index("ix_excluded_votes_voiding", "voiding_id"),
        Base.__table_args__,
    )

    video_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    is_held: Mapped[bool]
    voiding_id: Mapped[int | None] = mapped_column(ForeignKey("voidings.id", name="fk_excluded_votes_voiding"))


class Voiding(Base):
    """A decision to take votes out of the count, and why."""

    __tablename__ = "voidings"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    note: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(Time, server_default=text("CURRENT_TIMESTAMP(6)"))


class SignUpOrigin(Base):
    """From which address an account was made, as a keyed hash; kept for 90 days."""

    __tablename__ = "sign_up_origins"
    __table_args__ = (Index("ix_sign_up_origins_address", "address", "at"), Base.__table_args__)

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", name="fk_sign_up_origins_user", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    address: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(Time, server_default=text("CURRENT_TIMESTAMP(6)"))


class VoteOrigin(Base):
    """From which address a vote came, as a keyed hash; kept for 90 days, appended like the votes themselves."""

    __tablename__ = "vote_origins"
    __table_args__ = (Index("ix_vote_origins_address", "address", "at"), Base.__table_args__)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    video_id: Mapped[UUID] = mapped_column(Id)
    user_id: Mapped[int] = mapped_column(BigInteger)
    address: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(Time, server_default=text("CURRENT_TIMESTAMP(6)"))


class LoginFailures(Base):
    """How often logins have failed lately: for an account, an address, or a pair of both, which may be known."""

    __tablename__ = "login_failures"
    __table_args__ = (Index("ix_login_failures_expiry", "expires_at"), Base.__table_args__)

    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(Time)
    blocked_until: Mapped[datetime] = mapped_column(Time)
    has_signed_in: Mapped[bool] = mapped_column(server_default=text("0"))
    expires_at: Mapped[datetime] = mapped_column(Time, server_default=text("CURRENT_TIMESTAMP(6)"))


class Standing(Base):
    """A player's place among the others; a player enters with the first processed video."""

    __tablename__ = "standings"
    __table_args__ = (
        Index("ix_standings_votes", text("votes DESC"), "user_id"),
        Index("ix_standings_city", "city", text("votes DESC"), "user_id"),
        Base.__table_args__,
    )

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", name="fk_standings_user"), primary_key=True, autoincrement=False
    )
    city: Mapped[str] = mapped_column(String(100, collation=FOLDED))
    votes: Mapped[int] = mapped_column(BigInteger, server_default="0")


class PasswordReset(Base):
    """A link that lets an account have a new password, once: the hash of its token, and until when it is good."""

    __tablename__ = "password_resets"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", name="fk_password_resets_user"), primary_key=True, autoincrement=False
    )
    token_sha256: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(Time)


class Erasure(Base):
    """The receipt for a person whose data was erased: no more than the number that the account had."""

    __tablename__ = "erasures"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    erased_user_id: Mapped[int] = mapped_column(BigInteger)
    videos: Mapped[int]
    votes: Mapped[int]
    erased_at: Mapped[datetime] = mapped_column(Time, server_default=text("CURRENT_TIMESTAMP(6)"))
