"""`tanxin train --csv`: any labelled table becomes a version in use, and a bad one is refused and leaves nothing."""

import hashlib
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from command_line import CliRunner, app
from hand_made import in_use

from federated.consent.record import Purpose
from federated.governance.model_registry import ModelRegistry
from federated.nodes.store import NodeStore
from federated.protocols import catalogue
from federated.protocols.protected.protocol import ProtectedProtocol
from federated.protocols.protected.settings import ProtectedSettings
from federated.serving import Basis, Network, Score, ScoreQuery
from simulations.csv_options import LabelledCsv
from simulations.experiments.credit_zoo.datasets import load_csv
from simulations.experiments.vertical_credit.labelled_csv import read_labelled

HEADER = "name,income,town,branch,usage,kind,late"
AT = datetime(2026, 11, 22, tzinfo=UTC)
# What is asked for is what is trained: with how many trees is another matter, and costs half a minute.
FEW = ProtectedSettings(ramps=4, trees=6, cells=2, ridge=6.0, ridges=1, most=12)


def table(rows=400):
    """Names of rows, a number with gaps, few words with gaps, many words, a number, words of two kinds, a label."""
    rng = np.random.default_rng(5)
    income, usage = rng.normal(size=(2, rows))
    town = rng.choice(["苏州", "无锡", "a, b"], rows, p=[0.5, 0.3, 0.2])
    branch = rng.choice([f"b{i:02d}" for i in range(16)], rows)
    kind = rng.choice(["shop", "works"], rows)
    late = rng.random(rows) < 1 / (1 + np.exp(-(income + usage + (town == "苏州") - (kind == "shop"))))
    return [
        [f"firm {i}", f"{income[i]:.3f}" if i % 7 else "", f'"{town[i]}"' if i % 9 else "", branch[i],
         f"{usage[i]:.3f}", kind[i], "yes" if late[i] else "no"]
        for i in range(rows)
    ]  # fmt: skip


def write(folder, rows=None, header=HEADER):
    path = folder / "firms of 2025.csv"
    path.write_text(
        "\n".join([header, *(",".join(row) for row in (table() if rows is None else rows))]) + "\n", "utf-8"
    )
    return path


def train(path, *words):
    options = ("--target", "late", "--positive", "yes", "--drop", "name", "--folds", "1", "--least-rows", "100")
    return CliRunner().invoke(app, ["train", "--csv", str(path), *options, *words])


@pytest.fixture
def quick(monkeypatch):
    small = [ProtectedProtocol(FEW) if each.name == "protected" else each for each in catalogue.VERTICAL]
    monkeypatch.setattr(catalogue, "VERTICAL", tuple(small))


def test_a_table_of_words_and_gaps_becomes_a_version_that_scores(quick, tmp_path):
    path, home = write(tmp_path), tmp_path / "home"
    done = train(path, "--grid-columns", "usage,kind", "--home", str(home), "--sandbox", "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    origin = f"firms-of-2025-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    assert (report["dataset"], report["data_origin"], report["subjects"]) == ("csv-firms-of-2025", origin, 400)
    assert report["registered"] == ["v0001"]
    assert report["models"]["protected"]["auc"] > 0.65
    now = datetime.now(UTC)
    in_use(home, now)
    manifest = ModelRegistry(home).manifest("credit", "v0001")
    assert manifest.data_origin == origin
    # Of two words one indicator says it all.
    assert manifest.columns["grid"] in (("usage", "kind=shop"), ("usage", "kind=works"))
    assert {"income", "town=苏州", "town=a, b", "branch#"} < set(manifest.columns["bank"])
    store = NodeStore(home / "nodes" / "bank-gusu.db")
    assert (store.data_origin, store.schema.bank.segments) == (origin, ())
    store.close()

    network = Network.open(home, lambda: now)
    asked = (
        ScoreQuery("bank-gusu", subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, now)
        for subject in network.customers("bank-gusu", limit=10)
    )
    scores = [network.score(query) for query in asked]
    assert all(isinstance(score, Score) and score.basis is Basis.JOINT for score in scores)
    assert len({score.score for score in scores}) > 5
    told = {reason.en.split(" (")[0] for score in scores for reason in score.reasons}
    assert any(text.startswith("income: above the typical") or text.startswith("whether town is") for text in told)
    network.close()
    # A home is of one table: the same rows under another header are other data.
    path.write_text(path.read_text("utf-8").replace("income", "profit", 1), "utf-8")
    other = train(path, "--grid-columns", "usage,kind", "--home", str(home), "--sandbox")
    assert (other.exit_code, "error home_occupied: " in other.stderr) == (2, True)


def test_words_become_numbers_by_how_often_they_occur_and_never_by_labels(tmp_path):
    path = write(tmp_path)
    csv = LabelledCsv(path, "late", "yes", "name", None, "usage,kind")
    tables, again = (read_labelled(each, 7, AT.date()) for each in (csv, csv))
    column = list(tables.schema.bank.columns).index("town=苏州")
    cells = [row[2] for row in table()]
    expected = [np.nan if not cell else float(cell == '"苏州"') for cell in cells]
    np.testing.assert_array_equal(tables.bank_values[:, column], expected)
    np.testing.assert_array_equal(tables.bank_values, again.bank_values)
    turned = write(tmp_path, [[*row[:-1], "no" if row[-1] == "yes" else "yes"] for row in table()])
    other = read_labelled(LabelledCsv(turned, "late", "yes", "name", None, "usage,kind"), 7, AT.date())
    np.testing.assert_array_equal(other.bank_values, tables.bank_values)
    assert other.labels.sum() == 400 - tables.labels.sum()
    assert set(tables.bank_of) == {"bank-gusu", "bank-jinji", "bank-taihu"}
    assert len(set(tables.grid_of)) == 2
    feature = tables.schema.bank.features[column]
    assert (feature.zh, feature.high_en == feature.low_en) == ("town 是否为 苏州", True)


def test_columns_are_cut_as_in_the_bench(tmp_path):
    path = write(tmp_path)
    halves = load_csv(path, "late", "yes", ["name"], None)
    tables = read_labelled(LabelledCsv(path, "late", "yes", "name"), 7, AT.date())
    for party, side in ((tables.schema.bank, halves.holder), (tables.schema.grid, halves.other)):
        assert {column.split("=")[0].rstrip("#") for column in party.columns} == set(side.columns)
    named = load_csv(path, "late", "yes", ["name"], None, ["kind", "usage"])
    assert (named.holder.columns, named.other.columns) == (("income", "town", "branch"), ("kind", "usage"))


def changed(row, column, cell):
    rows = table()
    for each in rows if row is None else [rows[row]]:
        each[column] = cell
    return rows


BAD = [
    ({}, ("--target", "later"), "schema_mismatch", "there is no column later"),
    ({}, ("--target", ""), "schema_mismatch", "name the label column (--target)"),
    ({}, ("--drop", "nobody"), "schema_mismatch", "there is no column nobody"),
    ({}, ("--grid-columns", "usage,watts"), "schema_mismatch", "there is no feature column watts"),
    ({}, ("--grid-columns", "income,town,branch,usage,kind"), "schema_mismatch", "leaves the bank no column"),
    ({}, ("--grid-columns", "usage", "--parties", "income|usage"), "schema_mismatch", "not both"),
    ({}, ("--drop", "name,income,town,branch,usage"), "schema_mismatch", "at least two feature columns"),
    ({}, ("--drop", ""), "corrupt_data", "column name has no value that 10 rows share"),
    ({}, ("--positive", "perhaps"), "corrupt_data", "column late has one class only, nothing can be learnt: no row"),
    ({"rows": changed(None, 6, "yes")}, (), "corrupt_data", "column late has one class only"),
    ({"rows": changed(11, 6, "")}, (), "corrupt_data", "column late line 13 has no label"),
    ({"rows": changed(11, 1, "many")}, (), "corrupt_data", "column income line 13 is not a number: 'many'"),
    ({"rows": changed(11, 4, "inf")}, (), "corrupt_data", "column usage holds an infinite value in line 13"),
    ({"rows": changed(None, 4, "")}, (), "corrupt_data", "column usage is empty in every row"),
    ({"rows": [[*row[:4], "0.5" if i == 3 else "", *row[5:]] for i, row in enumerate(table())]}, (), "corrupt_data",
     "column usage is filled in too few rows"),
    ({"rows": changed(11, 5, "shop,works")}, (), "corrupt_data", "line 13 has 8 fields, the header has 7"),
    ({"rows": []}, (), "corrupt_data", "there are no rows below the header"),
    ({"rows": table()[:14]}, (), "corrupt_data", "a class has fewer than 10 rows"),
    ({"header": HEADER.replace("branch", "town")}, (), "schema_mismatch", "has column town twice"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "words", "code", "detail"), BAD)
def test_a_bad_table_is_refused_in_one_line_and_nothing_is_written(tmp_path, written, words, code, detail):
    path = write(tmp_path, **written)
    done = train(path, "--home", str(tmp_path / "home"), "--sandbox", "--json", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error {code}: firms of 2025.csv")
    assert detail in line
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_label_of_many_values_wants_to_be_told_which_is_bad(tmp_path):
    done = CliRunner().invoke(app, ["train", "--csv", str(write(tmp_path)), "--target", "late", "--drop", "name"])
    assert done.exit_code == 2
    assert "error corrupt_data: firms of 2025.csv: column late holds something else than 0 and 1, 'no'" in done.stderr
    assert "name the bad outcome (--positive)" in done.stderr


def test_a_home_of_a_table_is_a_sandbox_and_few_rows_are_refused_in_words_that_help(quick, tmp_path):
    path, home = write(tmp_path), tmp_path / "home"
    done = train(path, "--home", str(home))
    assert (done.exit_code, "error not_permitted: a wallet that signs for everyone" in done.stderr) == (2, True)
    assert not home.exists()
    few = train(path, "--least-rows", "500")
    assert (few.exit_code, "error too_few_rows: " in few.stderr, "--least-rows" in few.stderr) == (2, True, True)


@pytest.mark.parametrize("words", [("--data", "."), ("--firms", "400")])
def test_one_source_of_data_is_named(tmp_path, words):
    done = train(write(tmp_path), *words)
    assert (done.exit_code, "is read instead of --data" in done.stderr) == (2, True)
    alone = CliRunner().invoke(app, ["train", "--target", "late"])
    assert (alone.exit_code, "say how to read one" in alone.stderr) == (2, True)
