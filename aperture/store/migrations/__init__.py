"""Alembic revisions; `versions` has them in order."""
