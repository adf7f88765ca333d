"""The kinds of database that a test runs on."""

import pytest

BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))
on_both = pytest.mark.parametrize("kind", BOTH)


@pytest.fixture(name="kind")
def one_kind():
    """For files whose rules are tried on one database; tests under `on_both` run on PostgreSQL too."""
    return "sqlite"
