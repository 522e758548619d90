"""Steps that bring a database up to date, for Alembic. Written steps are never changed."""
