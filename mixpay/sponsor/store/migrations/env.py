"""Alembic runs this for each upgrade, with our connection, inside our transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
