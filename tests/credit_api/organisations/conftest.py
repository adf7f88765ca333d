"""Passwords that are quickly hashed: what argon2 costs on purpose is its own library's business."""

import pytest
from argon2 import PasswordHasher

from credit_api.http.auth import passwords

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NOBODY = QUICK.hash("nobody's password")


@pytest.fixture(autouse=True)
def quick_passwords(request, monkeypatch):
    if "real_passwords" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_hasher", QUICK)
        monkeypatch.setattr(passwords, "NOBODY", NOBODY)


@pytest.fixture
def real_passwords():
    """The hash of the service, with what it costs."""
