"""Alembic runs this file to apply the versions beside it."""

from alembic import context

from anb.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
