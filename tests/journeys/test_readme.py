"""The README's own lines, run as they stand against a sandbox that was seeded as `tanxin run` seeds it."""

import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from hand_made import registered_anew
from ready_commands import ready_commands
from rich.console import Console

from credit_api.app.main import create_app
from credit_api.app.sandbox import register_founders
from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble
from simulations.local_network.layout import free_ports
from simulations.worlds.seeding import seed_over_http

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SECTIONS = dict(part.split("\n", 1) for part in README.split("\n## ")[1:])
FOUND = {title: re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for title, text in SECTIONS.items()}
BLOCKS = {title: blocks[0] for title, blocks in FOUND.items() if blocks}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory, trained_network):
    """A seeded sandbox on a free port: its address and home."""
    home = tmp_path_factory.mktemp("sandbox")
    shutil.copytree(trained_network, home / "network")
    # The sandbox runs on the real clock, and it is the seeding that lets a bank approve and appoint.
    registered_anew(home / "network", datetime.now(UTC))
    [port] = free_ports(1)
    parts = assemble(Settings(home=home, sandbox=True, port=port))
    server = uvicorn.Server(uvicorn.Config(create_app(parts), port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.05)
    url = f"http://127.0.0.1:{port}"
    energy = ROOT.parent / "shared" / "data" / "energy"
    seed_over_http(url, register_founders(parts), energy if energy.exists() else None, Console(quiet=True))
    yield url, home
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def tanxin(tmp_path_factory):
    """The path of `tanxin`, whose calls need not load it."""
    with ready_commands(tmp_path_factory.mktemp("bin"), ROOT) as program:
        yield program


def run(script, tanxin, home, url):
    """Run README lines: the address, home and tanxin of this test take the place of the reader's."""
    script = script.replace(".venv/bin/tanxin", str(tanxin)).replace("http://127.0.0.1:8000", url)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TANXIN_HOME": str(home), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_has_a_block_for_each_kind_of_user():
    users = [name.split("'")[0] for name in BLOCKS]
    assert users == ["A bank integrator", "A loan officer", "A researcher", "A credit, back to its readings"]


def test_bank_integrator_then_loan_officer(sandbox, tanxin):
    url, home = sandbox
    integrator, officer = list(BLOCKS.values())[:2]
    output = run(integrator + officer + BLOCKS["A credit, back to its readings"], tanxin, home, url)
    assert "kg, as issued" in output
    assert "books are what their journals lead to" in output
    assert "methodology,region,vintage,issued_kg" in output
    assert '"score":' in output
    assert '"reasons":' in output
    assert "consent_withdrawn" in output
    assert "agree with their postings" in output


def test_seeding_again_changes_nothing(sandbox):
    url, home = sandbox
    before = _books(home)
    seed_over_http(url, home / "sandbox-keys.json", None, Console(quiet=True))
    assert _books(home) == before


def test_researcher(tanxin, tmp_path):
    output = run(BLOCKS["A researcher's first five minutes"], tanxin, tmp_path, "")
    assert "protected" in output
    assert "xgboost" in output
    assert "group_over_each" in output


def _books(home):
    """Every entry but the anchors of the audit trail, which hears of a repeated command too, and every balance."""
    with sqlite3.connect(f"file:{home / 'tanxin.db'}?mode=ro", uri=True) as books:
        entries = "SELECT kind, reference, at, actor_id FROM entry WHERE kind <> 'audit_anchor' ORDER BY id"
        balances = "SELECT owner_id, kind, asset, reference, posted, held FROM account ORDER BY id"
        return books.execute(entries).fetchall(), books.execute(balances).fetchall()
