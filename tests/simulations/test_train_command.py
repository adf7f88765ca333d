import gzip
import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from command_line import CliRunner, app
from protected_world import FEW
from small_network import HASTY_BLENDS

from credit_api.cli.main import main
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.nodes.bank import BankNode
from federated.nodes.store import NodeStore
from federated.protocols import catalogue
from federated.protocols.core.messages import Content
from federated.protocols.core.node_rows import NodeSource
from federated.protocols.protected.protocol import ProtectedProtocol
from simulations.experiments.vertical_credit.baselines import fold_rows
from simulations.experiments.vertical_credit.pipeline import with_folds
from simulations.report import table_of, update_readme
from simulations.tables import TABLE_END, TABLE_START
from simulations.worlds.credit_nodes import build_nodes, standing_consents
from simulations.worlds.credit_population import generate_population
from simulations.worlds.taiwan import read_taiwan
from simulations.worlds.wallet import Wallet

AT = datetime(2026, 11, 22, tzinfo=UTC)
GUEST = "id,y," + ",".join(f"x{i}" for i in range(13))
HOST = "id," + ",".join(f"x{i}" for i in range(10))


def write_files(folder: Path, rows=600, guest=GUEST, host=HOST, spoil=lambda guest, host: None):
    rng = np.random.default_rng(1)
    values, labels = rng.normal(size=(rows, 23)), rng.integers(0, 2, rows)
    of_guest = [[str(i + 1), str(labels[i]), *(f"{v:.4f}" for v in values[i, :13])] for i in range(rows)]
    of_host = [[str(i + 1), *(f"{v:.4f}" for v in values[i, 13:])] for i in range(rows)]
    spoil(of_guest, of_host)
    folder.mkdir()
    for name, header, table in (("guest", guest, of_guest), ("host", host, of_host)):
        text = "\n".join([header, *(",".join(row) for row in table)]) + "\n"
        (folder / f"taiwan_fate_hetero_{name}.csv.gz").write_bytes(gzip.compress(text.encode()))


def invoke(*arguments):
    return CliRunner().invoke(app, ["train", *arguments])


@pytest.fixture
def small(monkeypatch):
    """What is asked for is what is trained: with how many trees is another matter, and costs a minute."""
    few = {"open": HASTY_BLENDS, "protected": ProtectedProtocol(replace(FEW, ridge=20.0, ridges=1))}
    monkeypatch.setattr(catalogue, "VERTICAL", tuple(few[each.name] for each in catalogue.VERTICAL))


@pytest.fixture
def program(monkeypatch, capsys):
    """The program itself, on words of a command line, as a user starts it whose files are open to everybody."""

    def run(*words, code=0):
        monkeypatch.setattr("sys.argv", ["tanxin", *words])
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        assert done.value.code == code, said.err
        return said

    before = os.umask(0o022)
    yield run
    os.umask(before)


def test_json_is_all_there_is_on_stdout_and_what_is_written_is_nobody_elses(small, program, tmp_path):
    """Books, node stores and grid nodes lay open to everybody on the machine, private keys among them."""
    home = tmp_path / "network"
    words = ("train", "--firms", "400", "--folds", "1", "--home", str(home), "--json")
    refused = program(*words, code=2)
    assert "too_few_rows" in refused.err
    assert "trains on 400 customers in common at least" in refused.err
    # Of the smallest bank's customers a fold holds out 18: what all say less what all but these say is theirs.
    nearly = program(*words, "--least-rows", "100", code=2)
    assert "rows_too_alike: " in nearly.err
    assert "(in a simulation, --least-rows sets another limit)" in nearly.err
    shutil.rmtree(home)
    done = program(*words, "--least-rows", "10")
    program("migrate", "--home", str(tmp_path))
    assert list((home / "nodes").glob("*.db"))
    others = [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077]
    assert others == []
    report = json.loads(done.out)
    assert (report["data_origin"], report["folds"], report["seed"]) == ("generated", 1, 2024)
    protected = {"protected", "protected_bank_only"}
    assert protected | {"label_holder_only", "xgboost"} == set(report["models"])
    for name in protected:
        assert {"auc", "ks", "brier", "ece", "seconds", "exchanges", "bytes"} <= set(report["models"][name])
    assert report["alignment"]["ids"] > 300
    assert report["registered"] == ["v0001"]
    standing = Governance(home, ModelRegistry(home)).lifecycle()
    assert {each.registered_by for each in standing.versions.values()} == {"operator"}
    assert standing.champion is None
    assert "aligned" in done.err


def test_the_zoo_is_trained_without_protection_where_that_is_asked_for(small):
    done = invoke("--firms", "400", "--folds", "1", "--protocol", "open", "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert {"federated", "federated_additive", "bank_only", "label_holder_only", "xgboost"} == set(report["models"])
    assert set(report["protocols"]) == {"open"}
    refused = invoke("--protocol", "some")
    assert (refused.exit_code, "no protocol is called some" in refused.stderr) == (2, True)


def test_files_become_tables_with_the_ids_of_both_parties(tmp_path):
    write_files(tmp_path / "credit", spoil=lambda _, host: host.pop(0))
    tables = read_taiwan(tmp_path / "credit", 2024)
    assert tables.subjects[0] == "TW-00001"
    assert tables.grid_of[0] == ""
    assert tables.joint.sum() == 599
    assert tables.schema.data_origin == "taiwan-default-credit-2005"


def set_cell(table, row, column, value):
    table[row][column] = value


@pytest.mark.parametrize(
    ("options", "code", "detail"),
    [
        (
            {"guest": GUEST.replace("x12", "z")},
            "schema_mismatch",
            "bank: taiwan_fate_hetero_guest.csv.gz lacks columns",
        ),
        (
            {"host": HOST.replace("x0,x1", "x1,x0")},
            "schema_mismatch",
            "grid: taiwan_fate_hetero_host.csv.gz has its columns",
        ),
        (
            {"spoil": lambda g, _: set_cell(g, 4, 5, "oops")},
            "corrupt_data",
            "bank: column x3 line 6 is not a finite number",
        ),
        (
            {"spoil": lambda _, h: set_cell(h, 0, 1, "inf")},
            "corrupt_data",
            "grid: column x0 line 2 is not a finite number",
        ),
        (
            {"spoil": lambda g, _: set_cell(g, 1, 0, "1")},
            "corrupt_data",
            "bank: id 'TW-00001' is empty or occurs twice",
        ),
        (
            {"spoil": lambda g, _: set_cell(g, 1, 1, "3")},
            "corrupt_data",
            "bank: column y holds something else than 0 and 1",
        ),
        ({"spoil": lambda g, _: [set_cell(g, i, 1, "0") for i in range(600)]}, "corrupt_data", "one class only"),
        (
            {"spoil": lambda _, h: [set_cell(h, i, 3, "") for i in range(600)]},
            "corrupt_data",
            "grid: column x2 is empty",
        ),
        (
            {"spoil": lambda g, _: g[7].append("1")},
            "corrupt_data",
            "bank: taiwan_fate_hetero_guest.csv.gz line 9 has 16",
        ),
    ],
)
def test_a_bad_file_is_refused_and_nothing_is_registered(tmp_path, options, code, detail):
    write_files(tmp_path / "credit", **options)
    done = invoke("--data", str(tmp_path / "credit"), "--home", str(tmp_path / "home"), "--json")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"error {code}: " in done.stderr
    assert detail in done.stderr
    assert not (tmp_path / "home").exists()


def test_missing_and_unreadable_files_are_refused(tmp_path):
    done = invoke("--data", str(tmp_path))
    assert (done.exit_code, "error data_missing: bank" in done.stderr) == (2, True)
    write_files(tmp_path / "credit")
    file = tmp_path / "credit" / "taiwan_fate_hetero_host.csv.gz"
    file.write_bytes(file.read_bytes()[:200])
    done = invoke("--data", str(tmp_path / "credit"))
    assert (done.exit_code, "error corrupt_data: grid" in done.stderr) == (2, True)


def test_a_wallet_that_signs_for_everyone_is_not_kept_beside_real_data(tmp_path):
    write_files(tmp_path / "credit")
    done = invoke("--data", str(tmp_path / "credit"), "--home", str(tmp_path / "home"))
    assert done.exit_code == 2
    assert "error not_permitted: a wallet that signs for everyone is not kept beside taiwan" in done.stderr
    assert not (tmp_path / "home").exists()


def test_rivals_train_and_are_measured_on_the_rows_of_the_joint_model(tmp_path):
    tables = with_folds(generate_population(900, 4), 2024)
    wallet = Wallet.at(tmp_path, "generated")
    build_nodes(tmp_path, tables, standing_consents(tables, wallet, AT, AT.replace(year=2027)), wallet.authority)
    rows = fold_rows(tables, 1, 2024)
    assert not np.any(rows.fitting & rows.validation)
    assert rows.validation.sum() == pytest.approx(0.15 * (rows.fitting.sum() + rows.validation.sum()), abs=2)
    subjects, found = np.array(tables.subjects), {"training": set(), "held_out": set()}
    for path in sorted((tmp_path / "nodes").glob("bank-*.db")):
        store = NodeStore(path)
        own = np.array([b == store.org_id for b in tables.bank_of])
        for grid in ("grid-gaoxin", "grid-sip"):
            served = np.array([g == grid for g in tables.grid_of])
            store.put_alignment(grid, subjects[tables.joint & own & served].tolist())
        config = {"fold": 1, "joint": 1, "at_us": int(AT.timestamp()) * 1_000_000}
        opened = NodeSource(BankNode(store)).open(Content(config=config))
        names = np.array(store.table().subjects)
        found["training"] |= set(names[opened.training])
        found["held_out"] |= set(names[opened.held_out])
        store.close()
    assert found["training"] == set(subjects[rows.fitting | rows.validation])
    assert found["held_out"] == set(subjects[rows.held_out])


def test_the_readme_shows_the_committed_reports(tmp_path):
    folder = Path("simulations/experiments/vertical_credit")
    text = (folder / "README.md").read_text("utf-8")
    (tmp_path / "README.md").write_text(f"{TABLE_START}\n{TABLE_END}\n", "utf-8")
    (tmp_path / "reports").symlink_to((folder / "reports").resolve())
    generated = update_readme(tmp_path)
    assert generated.strip() in text
    for file in (folder / "reports").glob("*.json"):
        assert table_of(json.loads(file.read_text("utf-8"))) in text
