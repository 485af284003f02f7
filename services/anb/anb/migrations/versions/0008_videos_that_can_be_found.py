"""Public videos by city, by votes, and by the words of their titles and players

The videos that are there already are entered while the API serves: `enter_missed` in anb/search.py.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "videos", sa.Column("city", sa.String(length=100, collation="utf8mb4_unicode_520_ci"), nullable=True)
    )
    op.create_table(
        "video_words",
        sa.Column("word", sa.String(length=40), nullable=False),
        sa.Column("video_id", sa.Uuid(native_uuid=False), nullable=False),
        sa.Column("processed_at", mysql.DATETIME(fsp=6), nullable=False),
        sa.Column("votes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name="fk_video_words_video", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("word", "video_id"),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_index("ix_video_words_newest", "video_words", ["word", "processed_at", "video_id"])
    op.create_index("ix_video_words_most_voted", "video_words", ["word", "votes", "video_id"])
    op.create_index("ix_video_words_video", "video_words", ["video_id"])
    op.create_index("ix_videos_most_voted", "videos", ["status", "votes", "id"])
    op.create_index("ix_videos_of_city", "videos", ["status", "city", "processed_at", "id"])
    op.create_index("ix_videos_most_voted_of_city", "videos", ["status", "city", "votes", "id"])
