"""Which source was accepted, its size, and the index by which a player's uploads are counted

Videos from before keep both empty: their source has the key that it always had, and their size is counted as none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("videos", sa.Column("source", sa.String(length=32), nullable=True))
    op.add_column("videos", sa.Column("size_bytes", sa.BigInteger(), nullable=True))
    op.create_index("ix_videos_begun", "videos", ["user_id", "created_at"], unique=False)
