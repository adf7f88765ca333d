"""Alembic migrations of the one database behind the service."""
