import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from command_line import CliRunner, app
from small_network import AT, EXPLAINABLE, HASTY_EXPLAINABLE

from federated.consent.instants import to_micros
from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import (
    CorruptData,
    DataMissing,
    HomeOccupied,
    NoOverlap,
    RowsTooAlike,
    SchemaMismatch,
    StoreOutdated,
)
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import stored_identities
from federated.nodes.schema import schema_of
from federated.nodes.store import NodeStore, is_described
from federated.protocols.catalogue import VERTICAL
from federated.protocols.core.alignment import align, participants
from federated.protocols.core.messages import Switchboard
from federated.protocols.node_app import node_app
from federated.protocols.operator_run import Reporter
from federated.serving import Network
from simulations.experiments.vertical_credit.pipeline import run, with_folds
from simulations.worlds.columns import load_schema, load_schemas
from simulations.worlds.credit_nodes import build_nodes, standing_consents
from simulations.worlds.credit_population import generate_population
from simulations.worlds.wallet import Wallet

QUIET = Reporter(lambda _: None, lambda *_: None)


def quick(tables, home=None, least_rows=None, protocol=HASTY_EXPLAINABLE):
    protocols = [protocol]
    return run(tables, folds=1, protocols=protocols, at=AT, home=home, reporter=QUIET, threads=1, least_rows=least_rows)


def test_the_grid_side_improves_held_out_ranking(trained):
    result = trained[1]
    joint, alone = result.models["federated_additive"][0].metrics, result.models["bank_only"][0].metrics
    assert joint.rows == alone.rows > 200
    assert joint.auc > alone.auc + 0.01
    assert joint.auc > result.models["label_holder_only"][0].metrics.auc
    assert joint.brier < alone.brier


def test_alignment_finds_every_consented_customer_and_nobody_else(trained):
    home, result = trained
    tables = result.tables
    assert sum(result.alignment.rows.values()) == int(tables.joint.sum())
    for pair, rows in result.alignment.rows.items():
        bank, grid = pair.split("|")
        wanted = {
            s
            for s, b, g, joint in zip(tables.subjects, tables.bank_of, tables.grid_of, tables.joint, strict=True)
            if joint and (b, g) == (bank, grid)
        }
        sides = [NodeStore(home / "nodes" / f"{org}.db") for org in (bank, grid)]
        assert set(sides[0].alignment(grid)) == wanted
        assert sides[0].alignment(grid) == sides[1].alignment(bank)
        assert rows == len(wanted)


def test_grid_companies_hold_no_label(trained):
    for org in ("grid-sip", "grid-gaoxin"):
        assert set(NodeStore(trained[0] / "nodes" / f"{org}.db").table().labels.tolist()) == {-1}


def test_a_run_can_be_repeated_exactly(trained):
    result = trained[1]
    again = quick(generate_population(1_500, seed=2024), protocol=EXPLAINABLE)
    assert again.models["federated_additive"][0].metrics == result.models["federated_additive"][0].metrics
    assert result.manifests[0].seed == 2024


def test_a_node_that_fails_stops_the_run_and_nothing_is_registered(tmp_path):
    tables = with_folds(generate_population(600, seed=3), 2024)
    wallet = Wallet.at(tmp_path, "generated")
    build_nodes(tmp_path, tables, standing_consents(tables, wallet, AT, AT + timedelta(days=1)), wallet.authority)
    with sqlite3.connect(tmp_path / "nodes" / "grid-sip.db") as db:
        db.execute("UPDATE files SET features = ?", (np.full(8, np.inf).tobytes(),))
    with pytest.raises(CorruptData, match="grid-sip refused: grid-sip: column usage_trend_12m holds an infinite value"):
        quick(tables, tmp_path)
    assert not (tmp_path / "registry").exists()


def test_withdrawn_subjects_do_not_enter_the_next_training(trained, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(trained[0], home)
    tables = trained[1].tables
    network = Network.open(home)
    for subject, bank in zip(tables.subjects, tables.bank_of, strict=True):
        if bank == "bank-gusu" and subject < "FIRM-00700":
            network.withdraw_consent(f"CONS-{subject}", bank, AT, by=bank)
    network.close()
    # Of so few customers nodes would rather open nothing than let the difference tell of those who withdrew.
    with pytest.raises(RowsTooAlike, match="nearly the same customers"):
        quick(tables, home)
    result = quick(tables, home, least_rows=0)
    assert result.manifests[0].version == "v0003"
    aligned = {s for g in ("grid-sip", "grid-gaoxin") for s in NodeStore(home / "nodes" / "bank-gusu.db").alignment(g)}
    assert aligned
    assert min(aligned) >= "FIRM-00700"


def test_without_a_common_customer_there_is_nothing_to_train(tmp_path):
    tables = replace(generate_population(600, seed=3), opens_electricity=np.zeros(600, dtype=bool))
    with pytest.raises(NoOverlap):
        quick(tables, tmp_path)
    assert not (tmp_path / "registry").exists()


def test_a_party_with_other_ids_is_named(tmp_path):
    tables = generate_population(600, seed=3)
    home = tmp_path / "home"
    wallet = Wallet.at(home, "generated")
    consents = standing_consents(tables, wallet, AT, AT + timedelta(days=9))
    build_nodes(home, with_folds(tables, 2024), consents, wallet.authority)
    with sqlite3.connect(home / "nodes" / "grid-sip.db") as db:
        db.execute("UPDATE files SET subject_id = 'X' || subject_id")
    seats = apps_of(open_stores(home))
    grid = InProcessGrid({i: Seat(app, {}) for i, app in enumerate(seats, start=2)})
    board = Switchboard(grid)
    people = participants(board)
    with pytest.raises(NoOverlap, match="grid-sip: column id has no consented customer in common") as refusal:
        align(board, people, to_micros(AT), lambda _: None)
    assert refusal.value.context == {"party": "grid-sip", "column": "id"}


def apps_of(stores):
    known = stored_identities(stores)
    nodes = [BankNode(s) if s.role == "bank" else GridNode(s) for s in stores]
    return [node_app(node, known[node.org_id], VERTICAL) for node in nodes]


def open_stores(home):
    return [NodeStore(path) for path in sorted((home / "nodes").glob("*.db"))]


def test_a_home_with_other_data_is_left_alone(trained):
    with pytest.raises(HomeOccupied):
        build_nodes(trained[0], generate_population(600, seed=9), [], b"a" * 32)


def broken(**changes):
    return replace(generate_population(600, seed=3), **changes)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (lambda: broken(labels=np.zeros(600, dtype=np.int64)), "bank-gusu: column y has one class only"),
        (lambda: broken(labels=np.full(600, 2)), "bank-gusu: column y holds something else"),
        (lambda: broken(subjects=("FIRM-1",) * 600), "bank-gusu: id 'FIRM-1' is empty or occurs twice"),
        (
            lambda: broken(grid_values=np.full((600, 8), np.nan)),
            "grid-sip: column usage_trend_12m is empty in every row",
        ),
        (lambda: broken(bank_values=np.full((600, 8), np.inf)), "bank-gusu: column leverage holds an infinite value"),
    ],
)
def test_bad_tables_name_party_and_column_before_anything_is_written(tmp_path, tables, message):
    with pytest.raises(CorruptData, match=message):
        build_nodes(tmp_path, tables(), [], b"a" * 32)
    assert not (tmp_path / "nodes").exists()


def test_a_table_with_other_columns_is_refused(tmp_path):
    with pytest.raises(SchemaMismatch, match="bank-gusu: expected 8 columns"):
        build_nodes(tmp_path, broken(bank_values=np.zeros((600, 7))), [], b"a" * 32)


def test_a_file_that_is_no_store_is_named(tmp_path):
    (tmp_path / "x.db").write_text("not a database, but long enough to look at" * 40)
    with pytest.raises(CorruptData, match=r"x\.db is not a node store"):
        NodeStore(tmp_path / "x.db")
    with pytest.raises(DataMissing):
        NodeStore(tmp_path / "y.db")


def test_a_store_that_does_not_say_what_its_columns_are_is_described_once(trained, home):
    path = home / "nodes" / "bank-gusu.db"
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM meta WHERE key = 'schema'")
    assert not is_described(path)
    with pytest.raises(StoreOutdated, match="describe-stores"):
        NodeStore(path)
    done = CliRunner().invoke(app, ["describe-stores", "--home", str(home)])
    assert done.stdout == "described: bank-gusu\n"
    described, before = NodeStore(path), NodeStore(trained[0] / "nodes" / "bank-gusu.db")
    assert (described.schema, described.data_sha256) == (before.schema, before.data_sha256)
    again = CliRunner().invoke(app, ["describe-stores", "--home", str(home)])
    assert "all stores say what they hold" in again.stdout
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM meta WHERE key = 'schema'")
        db.execute("UPDATE meta SET value = 'elsewhere' WHERE key = 'schema_id'")
    refused = CliRunner().invoke(app, ["describe-stores", "--home", str(home)])
    assert (refused.exit_code, "error store_outdated" in refused.stderr) == (2, True)


def test_a_schema_says_what_is_wrong_with_it():
    text = load_schema("generated-firms").text
    assert schema_of(text) == load_schema("generated-firms")
    for wrong in ("", "schema_id = ", text.replace("[bank]", "[banks]"), text.replace('"leverage"', '"current_ratio"')):
        with pytest.raises(CorruptData):
            schema_of(wrong)


def test_schemas_are_worded_in_both_languages():
    for schema in load_schemas().values():
        for party in (schema.bank, schema.grid):
            assert all(f.zh and f.en and f.high_zh and f.high_en and f.low_zh and f.low_en for f in party.features)
    with pytest.raises(SchemaMismatch):
        load_schema("unknown")


def test_consents_widened_in_every_store_file_bring_nobody_into_alignment(trained, tmp_path):
    home, tables = tmp_path / "home", trained[1].tables
    shutil.copytree(trained[0], home)
    narrow = set(np.array(tables.subjects)[~(tables.trains & tables.opens_electricity)])
    assert len(narrow) > 50
    for path in (home / "nodes").glob("*.db"):
        with sqlite3.connect(path) as db:
            db.execute(
                "UPDATE consents SET purposes = 'credit_application loan_review model_training',"
                " scope = 'bank_file electricity'"
            )
        db.close()
    stores = open_stores(home)
    seats = apps_of(stores)
    board = Switchboard(InProcessGrid({i: Seat(app, {}) for i, app in enumerate(seats, start=2)}))
    steps = []
    found = align(board, participants(board), to_micros(AT), steps.append)
    assert sum(found.rows.values()) == int(tables.joint.sum())
    assert not any(narrow & set(store.alignment(peer)) for store in stores for peer in store.peers())
    # What a progress bar shows: every step of every pair, in order, up to all of them.
    assert [step.done for step in steps] == list(range(25))
    assert {step.total for step in steps} == {24}
