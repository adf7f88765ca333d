"""The `tanxin` command where it touches the books."""

import json
import os
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner
from world import TRANSFER

from credit_api.app.sandbox import FOUNDERS, is_seeded, mark_seeded, register_founders
from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble
from credit_api.cli.main import app
from credit_api.http.auth.keys import authenticate
from credit_api.http.auth.principal import digest
from financing.lending.unit import UnitOfWork


@pytest.fixture
def parts(tmp_path):
    opened = assemble(Settings(home=tmp_path, sandbox=True))
    yield opened
    opened.close()


def test_founding_writes_keys_that_work_and_only_their_owner_reads(parts):
    path = register_founders(parts)
    content = json.loads(path.read_text())
    assert os.stat(path).st_mode & 0o777 == 0o600
    everyone = {founder.id for founder in FOUNDERS}
    assert set(content["keys"]) == everyone | {f"{each}:second" for each in everyone}
    with parts.reading() as connection:
        for name, key in content["keys"].items():
            found = authenticate(connection, digest(key), datetime.now(UTC))
            assert found is not None
            organisation, _, officer = name.partition(":")
            assert (found[0].organisation_id, found[0].person) == (
                organisation,
                f"{organisation}:{officer or 'officer'}",
            )
    assert register_founders(parts) == path
    assert json.loads(path.read_text()) == content


def test_the_same_home_with_other_books_is_founded_again_on_the_same_day(parts, tmp_path):
    first = json.loads(register_founders(parts).read_text())
    other = assemble(Settings(home=tmp_path, database_url=f"sqlite:///{tmp_path / 'other.db'}", sandbox=True))
    second = json.loads(register_founders(other).read_text())
    other.close()
    assert second["started_at"] == first["started_at"]
    assert second["keys"] != first["keys"]


def test_the_mark_of_seeding_belongs_to_its_books(parts):
    from financing.base.quantities import Money
    from financing.ledger.accounts import CNY, AccountKey, AccountKind, cash
    from financing.ledger.entries import EntryKind, balanced, transfer

    register_founders(parts)
    assert not is_seeded(parts)
    funding = transfer(AccountKey("exchange-seee", AccountKind.SETTLEMENT, CNY), cash("bank-gusu"), Money(1))
    entry = balanced(EntryKind.FUNDING, "f", funding)
    parts.writer.execute(lambda unit: unit.ledger.post(entry, at=parts.clock(), actor_id="exchange-seee"))
    mark_seeded(parts)
    assert is_seeded(parts)


def test_keys_and_verification(parts, tmp_path):
    register_founders(parts)
    runner = CliRunner()
    issued = runner.invoke(app, ["keys", "issue", "bank-gusu", "--home", str(tmp_path)])
    assert issued.exit_code == 0, issued.output
    with parts.reading() as connection:
        found = authenticate(connection, digest(issued.stdout.strip()), datetime.now(UTC))
        assert found is not None
        assert (found[0].organisation_id, found[0].person) == ("bank-gusu", "bank-gusu:officer")
    verified = runner.invoke(app, ["ledger", "verify", "--home", str(tmp_path)])
    assert verified.exit_code == 0
    assert "1 entries agree" in verified.stdout  # the anchor of the audit trail, which has the key
    unknown = runner.invoke(app, ["keys", "issue", "nobody", "--home", str(tmp_path)])
    assert unknown.exit_code == 2
    assert "not_found" in unknown.stderr
    mistyped = runner.invoke(app, ["ledger", "verify", "--home", str(tmp_path / "elsewhere")])
    assert mistyped.exit_code == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_taken_port_is_told_before_anything_is_done(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(app, ["run", "--home", str(tmp_path / "home"), "--port", port])
    assert done.exit_code == 1
    assert "choose another --port" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_command_that_fails_unexpectedly_stores_nothing_and_says_so(tmp_path, monkeypatch):
    from fastapi.testclient import TestClient

    from credit_api.app.main import create_app
    from credit_api.prices import api as market

    parts = assemble(Settings(home=tmp_path, sandbox=True))
    keys = json.loads(register_founders(parts).read_text())["keys"]

    def broken(*_args):
        raise ZeroDivisionError

    monkeypatch.setattr(market, "deposit", broken)
    with TestClient(create_app(parts), raise_server_exceptions=False) as client:
        headers = {"Authorization": f"Bearer {keys['exchange-seee']}", "Idempotency-Key": "k"}
        body = {"organisation_id": "bank-gusu", "amount_fen": 1, **TRANSFER}
        answer = client.post("/v1/deposits", json=body, headers=headers)
        assert answer.status_code == 500
        assert answer.json()["code"] == "internal_error"
        assert "ZeroDivision" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        with parts.reading() as connection:
            assert UnitOfWork(connection).ledger.head().entry_id == 0


def readable_by_others(home):
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.stat().st_mode & 0o077)


def test_what_an_earlier_version_left_open_is_closed_and_what_is_not_ours_is_left(tmp_path):
    stores = tmp_path / "network" / "nodes"
    stores.mkdir(parents=True)
    key = tmp_path / "node-keys" / "bank-gusu.key"  # where the home is a network's own
    for path in (stores / "bank-gusu.db", key, tmp_path / "tanxin.db", tmp_path / "notes.txt"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
        path.chmod(0o644)
    assemble(Settings(home=tmp_path)).close()
    assert [name for name in readable_by_others(tmp_path) if name.startswith(("network", "node-keys", "tanxin"))] == []
    assert (tmp_path / "notes.txt").stat().st_mode & 0o777 == 0o644
