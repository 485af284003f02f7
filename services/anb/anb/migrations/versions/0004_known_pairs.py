"""Pairs of account and address that have signed in, and when a count of failed logins ends"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "login_failures", sa.Column("has_signed_in", sa.Boolean(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "login_failures",
        sa.Column(
            "expires_at", mysql.DATETIME(fsp=6), server_default=sa.text("CURRENT_TIMESTAMP(6)"), nullable=False
        ),
    )
    op.create_index("ix_login_failures_expiry", "login_failures", ["expires_at"], unique=False)
