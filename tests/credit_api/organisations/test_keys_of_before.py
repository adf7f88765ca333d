"""A database of the time when a registry handed out keys for everybody: what its keys, sessions and claims are now."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from credit_api.app.database import migrate
from credit_api.app.main import create_app
from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble
from financing.base.storage.database import open_engine

KEY = "txk_" + "k" * 43
AT = "2026-01-05 08:00:00.000000"
ROWS = (
    "INSERT INTO organisation (id, kind, name_zh, name_en, subject_id, created_at)"
    f" VALUES ('dev-old', 'developer', 'x', 'x', 'FIRM-1', '{AT}')",
    "INSERT INTO api_key (sha256, organisation_id, label, created_at)"
    f" VALUES ('{hashlib.sha256(KEY.encode()).hexdigest()}', 'dev-old', 'Ms Wang', '{AT}')",
    "INSERT INTO console_session (sha256, organisation_id, person, csrf_token, created_at, expires_at)"
    f" VALUES ('{'b' * 64}', 'dev-old', 'Ms Wang', 'c', '{AT}', '2099-01-01 00:00:00.000000')",
)


@pytest.fixture
def old(tmp_path, database_url):
    engine = open_engine(database_url)
    migrate(engine, "0011")
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        for row in ROWS:
            connection.execute(text(row))
    engine.dispose()
    return tmp_path / "home", database_url


def served(old, *, sandbox):
    home, url = old
    parts = assemble(Settings(home=home, database_url=url, sandbox=sandbox))
    return parts, TestClient(create_app(parts))


def test_a_key_of_before_is_a_sandbox_key_for_ninety_days(old):
    parts, client = served(old, sandbox=True)
    head = {"Authorization": f"Bearer {KEY}"}
    with client:
        (key,) = client.get("/v1/keys", headers=head).json()
        assert key["label"] == "Ms Wang"
        (person,) = client.get("/v1/people", headers=head).json()
        assert (person["name"], person["person_id"]) == ("Ms Wang", key["person_id"])
        # A customer's id that a registry wrote down is nobody's until it is proved.
        assert client.get("/v1/subject/inquiries", headers=head).status_code == 403
        parts.clock = lambda: datetime.now(UTC) + timedelta(days=91)
        assert client.get("/v1/keys", headers=head).status_code == 401


def test_outside_a_sandbox_it_is_refused_in_words_that_say_why(old):
    _, client = served(old, sandbox=False)
    with client:
        answer = client.get("/v1/keys", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 401
    assert "API keys open sandboxes only" in answer.json()["detail"]
