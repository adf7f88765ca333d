"""A running node's customers, changed from its own organisation's systems: over the socket, by the one open process."""

import errno
import json
import socket
import sqlite3
import time

import pytest
from nodes_apart import BANK, GRID, NOW, Running
from typer.testing import CliRunner

from credit_api.cli.customers import node_app
from credit_api.nodes.customer_routes import ARRIVING
from federated.channel.own_socket import ask_own
from federated.consent.record import Purpose
from federated.errors import ChannelRefused, CorruptData, DataMissing, NodeUnavailable, SchemaMismatch
from federated.nodes.customers import holdings
from federated.serving import ScoreQuery


@pytest.fixture
def bank(apart):
    found = Running(apart, BANK)
    yield found
    found.close()


def row(columns, subject="FIRM-NEW", value=1.5, **more):
    return {"subject_id": subject} | dict.fromkeys(columns, value) | more


def csv_of(path, rows):
    names = list(rows[0])
    lines = [",".join(names), *(",".join("" if r[n] is None else str(r[n]) for n in names) for r in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def load_rows(node, rows, path="/customers/load"):
    return node._asked(path, json.dumps({"rows": rows}).encode(), "application/json", 30.0)


def test_customers_come_as_rows_are_corrected_and_go(bank):
    before = ask_own(bank.home, "/customers/holdings")["customers"]
    done = load_rows(bank.node, [row(bank.columns), row(bank.columns, "FIRM-NEWER", None)])
    assert (done["added"], done["changed"], done["customers"]) == (2, 0, before + 2)
    values = bank.desk.node.store.values_of("FIRM-NEW")
    assert set(values) == {1.5}
    done = load_rows(bank.node, [row(bank.columns, value=0.1 + 0.2)])
    assert (done["added"], done["changed"]) == (0, 1)
    assert set(bank.desk.node.store.values_of("FIRM-NEW")) == {0.1 + 0.2}, "no digit is lost on the way"
    done = load_rows(bank.node, [{"subject_id": "FIRM-NEW", "outcome": 1}], "/customers/outcomes")
    assert done["changed"] == 1
    gone = ask_own(bank.home, "/customers/delete", {"subjects": ["FIRM-NEW", "FIRM-NEWER", "FIRM-NEVER"]})
    assert (gone["deleted"], gone["unknown"], gone["customers"]) == (2, ["FIRM-NEVER"], before)
    assert gone["kept"], "what a deletion does not reach is named"
    assert bank.desk.node.store.values_of("FIRM-NEW") is None


def test_a_file_is_taken_whole_or_not_at_all_and_leaves_nothing_behind(bank, tmp_path):
    good = csv_of(tmp_path / "good.csv", [row(bank.columns, f"FIRM-N{n}") for n in range(500)])
    told = []
    assert bank.node.send("/customers/load", good, told.append)["added"] == 500
    assert sum(told) == good.stat().st_size
    held = bank.node.ask("/customers/holdings")
    bad = csv_of(tmp_path / "bad.csv", [row(bank.columns, "FIRM-A"), row(bank.columns, "FIRM-B", "nan")])
    with pytest.raises(CorruptData, match="line 3 is not a finite number"):
        bank.node.send("/customers/load", bad)
    short = csv_of(tmp_path / "short.csv", [row(bank.columns[1:], "FIRM-A")])
    with pytest.raises(SchemaMismatch, match="lacks"):
        bank.node.send("/customers/load", short)
    with pytest.raises(SchemaMismatch, match="has no use for 'age_of_owner'"):
        load_rows(bank.node, [row(bank.columns, age_of_owner=3)])
    with pytest.raises(DataMissing):
        bank.node.send("/customers/load", tmp_path / "none.csv")
    assert bank.node.ask("/customers/holdings") == held
    assert not list(bank.home.glob(f"{ARRIVING}*"))


def test_names_and_sizes_are_looked_at_before_anything_is_kept(bank, tmp_path, monkeypatch):
    file = csv_of(tmp_path / "some.csv", [row(bank.columns)])
    for name in ("../../peers.json", ".hidden", "a" * 101):
        with pytest.raises(CorruptData, match="a file's name"):
            bank.node._asked(f"/customers/load?name={name}", b"subject_id\n", "text/csv", 30.0)
    monkeypatch.setattr("credit_api.nodes.customer_routes.MOST_FILE_BYTES", 64)
    with pytest.raises(ChannelRefused, match="64 bytes at the most"):
        bank.node.send("/customers/load", file)
    with pytest.raises(Exception, match="not as nodes write it"):
        load_rows(bank.node, [row(bank.columns)] * 1_001)
    with pytest.raises(Exception, match="not as nodes write it"):
        bank.node.ask("/customers/delete", {"subjects": []})
    assert not list(bank.home.glob(f"{ARRIVING}*"))


def until(held):
    deadline = time.monotonic() + 10
    while not held():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_question_that_breaks_the_node_loses_no_other_one(bank, monkeypatch, caplog):
    """The connection ended after the answer, and the next question on it was lost."""

    def broken(_):
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr("credit_api.nodes.customer_routes.holdings", broken)
    for _ in range(10):
        with pytest.raises(NodeUnavailable, match="this node failed"):
            bank.node.ask("/customers/holdings")
        assert bank.node.ask("/customers/uses", {"subject": "FIRM-NONE"}) == {"uses": []}
    assert {record.exc_info[0] for record in caplog.records if record.exc_info} == {RuntimeError}


def test_ids_may_be_numbers_and_truths_are_none(bank):
    assert load_rows(bank.node, [row(bank.columns, 123), row(bank.columns, "00123")])["added"] == 2
    assert {"123", "00123"} <= set(bank.desk.node.store.subject_ids())
    with pytest.raises(Exception, match="not as nodes write it"):
        load_rows(bank.node, [row(bank.columns, "FIRM-A", True)])


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), sqlite3.OperationalError("database or disk is full")]
)
def test_a_full_disk_is_said_in_a_line(bank, monkeypatch, caplog, error):
    def full(*_):
        raise error

    monkeypatch.setattr("credit_api.nodes.customer_routes._written", full)
    with pytest.raises(NodeUnavailable, match=r"cannot keep this: .*(No space left|is full)"):
        load_rows(bank.node, [row(bank.columns)])
    assert [(record.message, record.exc_info) for record in caplog.records if record.levelname == "ERROR"] == [
        (f"/customers/load: {error.args[-1]}", None)
    ]
    assert not list(bank.home.glob(f"{ARRIVING}*"))


def test_a_file_that_breaks_off_is_not_taken_and_fills_no_log(bank, caplog):
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(str(bank.home / "node.sock"))
        own.sendall(b"POST /customers/load HTTP/1.1\r\nhost: node\r\ncontent-length: 900\r\n\r\nsubject_id\n")
        until(lambda: list(bank.home.glob(f"{ARRIVING}*")))
    until(lambda: not list(bank.home.glob(f"{ARRIVING}*")) and not bank.server.server_state.tasks)
    assert not [record for record in caplog.records if record.exc_info]


def test_what_was_arriving_when_a_process_ended_is_gone_with_the_next(apart):
    left = apart.folder / BANK / f"{ARRIVING}0123"
    left.mkdir()
    (left / "customers.csv").write_text("subject_id\nFIRM-00001\n")
    running = Running(apart, BANK)
    assert not left.exists()
    running.close()


def test_commands_ask_the_running_node_and_nobody_opens_its_store_beside_it(bank, apart, tmp_path, monkeypatch):
    store = bank.home / "nodes" / f"{BANK}.db"
    store.parent.mkdir(exist_ok=True)
    # The store of this node lies elsewhere in this world: only the running node can answer for this one.
    store.write_bytes(b"no store")
    runner, file = CliRunner(), csv_of(tmp_path / "in.csv", [row(bank.columns, "FIRM-BY-COMMAND")])
    done = runner.invoke(node_app, ["load", "--store", str(store), "--file", str(file), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["added"]) == (0, 1), done.output
    shown = runner.invoke(node_app, ["show", "--store", str(store), "--json"])
    assert json.loads(shown.stdout)["customers"] == holdings(bank.desk.node.store).customers
    ends = csv_of(tmp_path / "ends.csv", [{"subject_id": "FIRM-BY-COMMAND", "outcome": 0}])
    done = runner.invoke(node_app, ["outcomes", "--store", str(store), "--file", str(ends)])
    assert "1 changed" in done.stdout, done.output
    done = runner.invoke(node_app, ["delete", "--store", str(store), "--subject", "FIRM-BY-COMMAND"])
    assert "1 deleted" in done.stdout, done.output
    bank.node.send("/customers/load", file)
    ids = csv_of(tmp_path / "ids.csv", [{"subject_id": "FIRM-BY-COMMAND"}])
    done = runner.invoke(node_app, ["delete", "--store", str(store), "--file", str(ids), "--json"])
    assert json.loads(done.stdout)["deleted"] == 1, done.output
    done = runner.invoke(node_app, ["load", "--store", str(store), "--file", str(tmp_path / "no.csv")])
    assert done.exit_code == 2


def test_a_node_tells_what_it_did_with_a_customers_data(bank):
    subject = bank.desk.node.customers(1, "")[0]
    bank.network.score(ScoreQuery(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW))
    done = CliRunner().invoke(node_app, ["uses", "--home", str(bank.home), "--subject", subject])
    uses = json.loads(done.stdout)
    assert (uses[0]["action"], uses[0]["outcome"], uses[0]["subject_id"]) == ("score", "answered", subject)


def test_a_grid_company_takes_features_with_their_period_and_no_outcomes(apart):
    grid = Running(apart, GRID)
    rows = [row(grid.columns, read_from="2026-01-01", read_until="2026-06-30")]
    assert load_rows(grid.node, rows)["added"] == 1
    with pytest.raises(ChannelRefused, match="is no bank"):
        load_rows(grid.node, [{"subject_id": "FIRM-NEW", "outcome": 1}], "/customers/outcomes")
    grid.close()
