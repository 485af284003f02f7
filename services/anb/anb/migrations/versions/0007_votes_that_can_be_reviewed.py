"""One account for each mailbox, from where sign-ups and votes come, and votes that are held or voided

Accounts from before whose addresses reach the same mailbox stay: the oldest takes the canonical address, the others
none, and all of them are found by the address that they were made with.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from anb.emails import PROVIDERS, canonical

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BATCH = 1000
_TABLE: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.add_column("users", sa.Column("canonical_email", sa.String(length=254), nullable=True))
    op.add_column("users", sa.Column("votes_are_held", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.create_unique_constraint("uq_users_canonical_email", "users", ["canonical_email"])
    _fill_canonical_emails(op.get_bind())

    op.create_index("ix_votes_voter", "votes", ["user_id", "created_at"])
    op.drop_index("ix_votes_user", "votes")
    op.add_column("uncounted_votes", sa.Column("votes", sa.Integer(), server_default="1", nullable=False))
    op.create_index("ix_uncounted_votes_of_video", "uncounted_votes", ["video_id", "votes"])
    op.drop_index("ix_uncounted_votes_video", "uncounted_votes")

    _create_reviews()
    _create_origins()


def _create_reviews() -> None:
    op.create_table(
        "voidings",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id"),
        **_TABLE,
    )
    op.create_table(
        "excluded_votes",
        sa.Column("video_id", sa.Uuid(native_uuid=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_held", sa.Boolean(), nullable=False),
        sa.Column("voiding_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["video_id", "user_id"],
            ["votes.video_id", "votes.user_id"],
            name="fk_excluded_votes_vote",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["voiding_id"], ["voidings.id"], name="fk_excluded_votes_voiding"),
        sa.PrimaryKeyConstraint("video_id", "user_id"),
        **_TABLE,
    )
    op.create_index("ix_excluded_votes_voiding", "excluded_votes", ["voiding_id"])


def _create_origins() -> None:
    op.create_table(
        "sign_up_origins",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("address", sa.String(length=32), nullable=False),
        _time("at"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sign_up_origins_user", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id"),
        **_TABLE,
    )
    op.create_index("ix_sign_up_origins_address", "sign_up_origins", ["address", "at"])
    op.create_table(
        "vote_origins",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("video_id", sa.Uuid(native_uuid=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(length=32), nullable=False),
        _time("at"),
        sa.PrimaryKeyConstraint("id"),
        **_TABLE,
    )
    op.create_index("ix_vote_origins_address", "vote_origins", ["address", "at"])


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, mysql.DATETIME(fsp=6), server_default=sa.text("CURRENT_TIMESTAMP(6)"), nullable=False)


def _fill_canonical_emails(connection: sa.Connection) -> None:
    """The oldest first; IGNORE leaves out whose canonical address another has already."""
    users = sa.table("users", sa.column("id"), sa.column("email"), sa.column("canonical_email"))
    has_spellings = sa.func.substring_index(users.c.email, "@", -1).in_(sorted(PROVIDERS))
    connection.execute(sa.update(users).where(~has_spellings).values(canonical_email=users.c.email))
    found = sa.select(users.c.id, users.c.email).where(has_spellings, users.c.id > sa.bindparam("after"))
    page = found.order_by(users.c.id).limit(_BATCH)
    filled = (
        sa.update(users)
        .prefix_with("IGNORE")
        .where(users.c.id == sa.bindparam("user"))
        .values(canonical_email=sa.bindparam("address"))
    )
    after = 0
    while batch := connection.execute(page, {"after": after}).all():
        connection.execute(filled, [{"user": row.id, "address": canonical(row.email)} for row in batch])
        after = batch[-1].id
