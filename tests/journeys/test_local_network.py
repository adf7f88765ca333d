"""A network of real processes on loopback, from nothing to a score and a loan: who can read what, and what happens when
processes are killed."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from federated.channel.own_socket import SOCKET, ask_own
from federated.errors import ConsentMissing, NodeUnavailable
from financing.base.storage.database import open_engine
from simulations.local_network.bringing_up import node_process, start_nodes
from simulations.local_network.layout import OPERATOR, Layout
from simulations.local_network.processes import Processes, last_line
from simulations.worlds.names import BANKS, EXCHANGE, GRIDS

BANK = BANKS[0]


def tanxin(*words):
    done = subprocess.run(
        [sys.executable, "-m", "credit_api", *words],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    home = tmp_path_factory.mktemp("ln")
    # Of this population a joint model is better than banks alone, or no grid company would be asked.
    small = ("--firms", "2000", "--seed", "2", "--least-rows", "60", "--folds", "1", "--no-superlink")
    try:
        told = tanxin("network", "up", "--local", "--home", str(home), "--json", *small)
        yield Layout.known(home), json.loads(told.stdout), told.stderr
    finally:
        tanxin("network", "down", "--home", str(home))
    assert not [each for each in Processes(home).listed() if each.runs]


def test_it_trains_approves_and_scores_between_processes(network):
    layout, told, said = network
    assert told["version"] == "v0001"
    assert (told["answer"]["basis"], told["answer"]["electricity"]) == ("joint", "included")
    assert 300 <= told["answer"]["score"] <= 850
    assert "protected, round" in said
    for name in layout.nodes:
        standing = ask_own(layout.of(name), "/standing")
        assert (standing["versions"], standing["champion"]) == ({"v0001": "approved"}, "v0001")
        assert standing["unmet"] == []
    with pytest.raises(ConsentMissing):
        ask_own(layout.of(BANK), "/score", {"subject": told["subject"], "consent": "-", "purpose": "loan_review"})
    with pytest.raises(NodeUnavailable, match="no node serves"):
        ask_own(layout.of(OPERATOR), "/standing")


def test_the_exchange_lends_on_what_the_banks_node_signed_and_has_nobodys_store(network):
    layout, told, said = network
    decision, loan = told["decision"], told["loan"]
    assert (decision["outcome"], decision["model_version"]) == ("approve", "v0001")
    assert decision["assessment_id"].startswith("stm_")
    assert (loan["state"], loan["drawn_fen"]) == ("active", decision["max_amount_fen"])
    assert "approve, CNY" in said
    home = layout.of(EXCHANGE)
    assert tanxin("audit", "statements", "--home", str(home)).stdout.startswith("1 stored statements are what banks'")
    assert not (home / "network" / "nodes").exists()
    # Readings lie at the grid company's node, and what it stated of them is signed with its key, the verifier's
    # statement with the verifier's: the exchange keeps nobody's.
    (meter,) = json.loads(tanxin("node", "meter", "list", "--home", str(layout.of("grid-sip"))).stdout)
    assert meter["intervals"] == 8760
    assert not list(home.glob("grid-nodes/*"))
    assert not list(home.glob("signing/*.key"))
    engine = open_engine(f"sqlite:///{home / 'tanxin.db'}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT organisation_id, held_by FROM signing_key ORDER BY 1")).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("grid-sip", "node"), ("verifier-cqc", "holder")]


def test_each_store_and_key_is_read_by_one_process_and_by_its_owner_alone(network):
    layout, *_ = network
    running = {each.name: each for each in Processes(layout.home).listed()}
    assert set(running) == {*BANKS, *GRIDS, EXCHANGE}
    for name in layout.nodes:
        holders = {
            process for process in Path("/proc").iterdir()
            if process.name.isdigit() and _has_open(process, layout.store(name).resolve())
        }  # fmt: skip
        assert {process.name for process in holders} == {str(running[name].pid)}
    for path in layout.home.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path} may be opened by others: {mode:o}"
    # Nobody's private key lies in another's home: each sealed key is opened by the secret beside it alone.
    keys = [path for path in layout.home.rglob("*.key") if path.parent.name == "node-keys"]
    assert sorted(path.parent.parent.name for path in keys) == sorted(layout.nodes)
    assert stat.S_ISSOCK((layout.of(BANK) / SOCKET).stat().st_mode)


def _has_open(process, path):
    try:
        return any(os.readlink(each) == str(path) for each in (process / "fd").iterdir())
    except OSError:
        return False


def test_status_says_who_runs_where(network):
    layout, *_ = network
    told = json.loads(tanxin("network", "status", "--home", str(layout.home), "--json").stdout)
    assert [each["name"] for each in told] == [*layout.nodes, EXCHANGE]
    for each in told:
        own = "tanxin.db" if each["name"] == EXCHANGE else f"nodes/{each['name']}.db"
        assert f"{each['name']}/{own}" in each["stores"]
        assert (f"{each['name']}/readings.db" in each["stores"]) is (each["name"] in GRIDS)
        assert {store.split("/")[0] for store in each["stores"]} == {each["name"]}


def test_killed_nodes_come_back_and_scores_fall_back_meanwhile(network):
    layout, told, _ = network
    processes, subject = Processes(layout.home), told["subject"]
    question = {"subject": subject, "consent": f"CONS-{subject}", "purpose": "credit_application"}
    for grid in GRIDS:
        os.kill(processes.running(grid).pid, signal.SIGKILL)
        _until(lambda grid=grid: processes.running(grid) is None)
    alone = ask_own(layout.of(BANK), "/score", question)
    assert (alone["basis"], alone["electricity"]) == ("bank_only", "unavailable")
    os.kill(processes.running(BANK).pid, signal.SIGKILL)
    _until(lambda: processes.running(BANK) is None)
    with pytest.raises(NodeUnavailable):
        ask_own(layout.of(BANK), "/score", question)
    for name in (BANK, *GRIDS):
        node_process(layout, processes, name)
    start_nodes(layout, lambda _: None)
    again = ask_own(layout.of(BANK), "/score", question)
    assert (again["score"], again["basis"]) == (told["answer"]["score"], "joint")


def _until(held, seconds=20.0):
    until = time.monotonic() + seconds
    while not held():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_a_process_said_last_is_told_also_out_of_a_box(tmp_path):
    log = tmp_path / "operator.log"
    assert last_line(log) == "it wrote nothing"
    log.write_text("began\nfold 0\n\n", "utf-8")
    assert last_line(log) == "fold 0"
    log.write_text(
        "fold 0\n╭─ Error ──╮\n│ Connection to the SuperLink │\n│ is unavailable. │\n╰──────────╯\n", "utf-8"
    )
    assert last_line(log) == "Connection to the SuperLink is unavailable."
