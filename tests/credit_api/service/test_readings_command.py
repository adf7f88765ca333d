"""`tanxin readings`: a meter's key, its signature, and files of any length."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from credit_api.cli import readings as readings_cli
from credit_api.cli.main import app

HEADER = "interval_start,generation_kwh\n"


def tanxin(*arguments):
    return CliRunner().invoke(app, ["readings", *map(str, arguments)])


@pytest.fixture
def plant(sqlite_world, tmp_path):
    """A registered plant whose meter has a key of its own, and a file of two days."""
    world, key = sqlite_world, tmp_path / "meter.key"
    made = tanxin("key", key)
    assert made.exit_code == 0, made.output
    world.admit("dev-a", "developer")
    body = world.project_body("CLI")
    body["meters"][0] |= {"public_key": made.output.strip()}
    world.post("dev-a", "/v1/projects", body)
    file = tmp_path / "readings.csv"
    file.write_text(HEADER + "".join(f"2025-05-0{d}T{h:02d}:00:00Z,1.5\n" for d in (1, 2) for h in range(24)))
    return world, key, file


def test_a_file_is_loaded_in_signed_parts_and_once(plant, monkeypatch):
    world, key, file = plant
    monkeypatch.setattr(readings_cli, "ROWS", 20)
    where = ("load", file, "--meter", "M-CLI", "--key", key, "--home", world.parts.settings.home)
    first, again = tanxin(*where), tanxin(*where)
    assert json.loads(first.stdout) == {"meter_id": "M-CLI", "stored": 48, "already_there": 0}
    assert json.loads(again.stdout) == {"meter_id": "M-CLI", "stored": 0, "already_there": 48}
    assert world.parts.nodes.of("grid-sip").summary() == (48, 72_000)
    unsigned = tanxin(*where[:4], *where[6:])
    assert (unsigned.exit_code, "signature_invalid" in unsigned.output) == (2, True)


def test_what_sign_prints_is_what_the_api_takes(plant):
    world, key, file = plant
    signed = json.loads(tanxin("sign", file, "--meter", "M-CLI", "--interval", 60, "--key", key).stdout)
    path = "/v1/meters/M-CLI/readings.csv?interval_minutes=60"
    headers = {"Authorization": f"Bearer {world.keys['grid-sip']}", "Idempotency-Key": "one"}
    refused = world.client.post(path, content=file.read_bytes(), headers=headers)
    assert refused.json()["code"] == "signature_invalid"
    headers |= {"X-Meter-Signature": signed["signature"]}
    answer = world.client.post(path, content=file.read_bytes(), headers=headers)
    assert answer.json()["commitment"] == signed["commitment"]
    assert (
        Ed25519PrivateKey.from_private_bytes(key.read_bytes()).public_key().public_bytes_raw().hex()
        == signed["public_key"]
    )


def test_a_meter_goes_on_with_another_key(plant, tmp_path):
    world, _, file = plant
    tanxin("key", tmp_path / "next.key")
    proof = json.loads(tanxin("proof", "--meter", "M-CLI", "--key", tmp_path / "next.key").stdout)
    world.post("grid-sip", "/v1/meters/M-CLI/key", proof | {"why": "a new meter"})
    where = ("--key", tmp_path / "next.key", "--home", world.parts.settings.home)
    loaded = tanxin("load", file, "--meter", "M-CLI", *where)
    assert json.loads(loaded.stdout)["stored"] == 48


def test_refusals_have_a_code(plant, tmp_path):
    world, key, file = plant
    home = ("--home", world.parts.settings.home)
    assert "already_exists" in tanxin("key", key).output
    assert (
        "corrupt_data" in tanxin("sign", tmp_path / "none.csv", "--meter", "M", "--interval", 60, "--key", key).output
    )
    assert "corrupt_data" in tanxin("sign", file, "--meter", "M", "--interval", 60, "--key", file).output
    assert "not_found" in tanxin("load", file, "--meter", "nobody", *home).output
    assert "not_found" in tanxin("load", file, "--meter", "M-CLI", "--home", tmp_path / "elsewhere").output
    file.write_text(HEADER + "2025-05-01T00:00:00Z,-1\n")
    assert "reading_rejected" in tanxin("load", file, "--meter", "M-CLI", "--key", key, *home).output
