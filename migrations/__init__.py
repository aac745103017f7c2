"""Alembic's migrations: the only thing that makes or changes tables. Run by `moorage db upgrade`."""
