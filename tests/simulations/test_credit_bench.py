"""`tanxin bench credit` on small tables: what it prints, what it resumes, what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import CliRunner, app

import simulations.bench_commands as commands
from federated.models.learners.boosting import GrowSettings
from federated.models.served.metrics import ScoreHistogram
from federated.protocols.open.settings import ConvexSettings, NetworkSettings, TreeSettings, ZooSettings
from simulations.experiments.credit_zoo import horizontal
from simulations.experiments.credit_zoo.bench import BenchPlan
from simulations.experiments.credit_zoo.datasets import load_csv
from simulations.experiments.credit_zoo.shares import calibrated, judged_figures
from simulations.experiments.credit_zoo.tables import horizontal_table, overview, update_readme, vertical_table
from simulations.tables import TABLE_END, TABLE_START

TREES = TreeSettings(GrowSettings(3, 0.2, 1.0, 1.0, 9, 0.8), 0.8, 4, 3, 1)
SMALL = ZooSettings(
    folds=2,
    bins=16,
    ramps=6,
    few_rows=0,
    fine_below=0,
    repeats=((300, 2),),
    trees=TREES,
    pair_trees=TreeSettings(GrowSettings(3, 0.2, 1.0, 1.0, 2, 0.8), 0.8, 4, 3, 1),
    convex=ConvexSettings((4.0,), 2, 4, 2, 2),
    network=NetworkSettings(hidden=8, max_rounds=2),
)
KEYS = {"auc", "auc_sd", "ks", "brier", "ece", "seconds", "exchanges", "bytes"}
NAMES = {
    "protected",
    "protected_bank_only",
    "federated",
    "federated_additive",
    "label_holder_only",
    "xgboost",
    "lightgbm",
    "fate_settings",
}


def test_folds_are_calibrated_by_what_the_protocol_tells_of_the_others():
    """Logits twice as far out as they should be come right by the line of the other folds, a fold alone by none."""
    folds = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        logits = rng.normal(-1.0, 1.0, 4_000)
        labels = (rng.random(4_000) < 1 / (1 + np.exp(-logits))).astype(np.int64)
        counted = {name: array.tolist() for name, array in ScoreHistogram.of(2 * logits, labels).cells().items()}
        folds.append(judged_figures(2 * logits, labels) | {"scored": counted, "told": counted})
    found = calibrated(folds)
    for before, after in zip(folds, found, strict=True):
        assert after["auc"] == before["auc"]
        assert (before["ece"] > 0.08, after["ece"] < 0.03) == (True, True)
        assert after["brier"] < before["brier"]
        assert not {"scored", "told"} & set(after)
    assert calibrated(folds[:1])[0]["ece"] == pytest.approx(folds[0]["ece"], abs=1e-3)


def table(rows=400, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    town = rng.choice(["苏州", "无锡", "rare"], rows, p=[0.6, 0.39, 0.01])
    bad = rng.random(rows) < 1 / (1 + np.exp(-(x[:, 0] + x[:, 1] + (town == "苏州") - 1)))
    second = [f"{v:.3f}" if i % 7 else "" for i, v in enumerate(x[:, 1])]
    towns = [t if i % 11 else "" for i, t in enumerate(town)]
    return [
        [f"{x[i, 0]:.3f}", second[i], f"{x[i, 2] * 1e9:.1f}", towns[i], "1", "yes" if bad[i] else "no"]
        for i in range(rows)
    ]


def write(path: Path, rows=None, header="a,b,huge,town,constant,late"):
    text = "\n".join([header, *(",".join(row) for row in (table() if rows is None else rows))])
    path.write_text(text + "\n", "utf-8")
    return path


def invoke(path, tmp_path, *arguments):
    options = ["--target", "late", "--positive", "yes", "--cache", str(tmp_path / "cache"), "--threads", "1"]
    return CliRunner().invoke(app, ["bench", "credit", "--csv", str(path), *options, *arguments])


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr("federated.protocols.open.settings.ZooSettings", lambda: SMALL)


def test_any_table_runs_and_a_second_run_reuses_its_folds(small, tmp_path):
    path = write(tmp_path / "t.csv")
    done = invoke(path, tmp_path, "--quick", "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["dataset"], report["folds"], report["rows"]) == ("t", 1, 400)
    assert set(report["models"]) >= NAMES
    assert all(set(model) >= KEYS for model in report["models"].values())
    assert report["models"]["federated"]["auc"] > 0.6
    assert report["models"]["protected"]["auc"] > 0.6
    assert set(report["paired"]) == {"protected", "federated", "federated_additive"}
    assert report["models"]["federated"]["exchanges"] > 0
    again = invoke(path, tmp_path, "--quick", "--json")
    assert json.loads(again.stdout)["models"] == report["models"]
    assert "kept from an earlier run" in again.stderr
    assert "| federated | " in vertical_table(report)
    assert "above the best pooled" in overview([report])


def test_the_protected_model_is_measured_without_the_zoo(tmp_path):
    done = invoke(write(tmp_path / "t.csv"), tmp_path, "--quick", "--no-zoo", "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert "federated" not in report["models"]
    assert set(report["paired"]) == {"protected"}
    assert report["config"]["protected"]["ridges"]


def test_without_json_a_table_is_printed(small, tmp_path):
    done = invoke(write(tmp_path / "t.csv"), tmp_path, "--quick", "--parties", "a,town|b,huge")
    assert done.exit_code == 0, done.stderr
    assert "federated against" in done.stdout


def spoiled(change):
    rows = table()
    for row in rows:
        change(row)
    return rows


@pytest.mark.parametrize(
    ("rows", "options", "code", "detail"),
    [
        (lambda: spoiled(lambda r: r.__setitem__(5, "no")), (), "corrupt_data", "column late has one class only"),
        (lambda: spoiled(lambda r: r.__setitem__(0, "")), (), "corrupt_data", "column a is empty in every row"),
        (lambda: spoiled(lambda r: r.__setitem__(2, "inf")), (), "corrupt_data", "column huge holds an infinite value"),
        (lambda: table()[:12], (), "corrupt_data", "a class has fewer than 10 rows"),
        (table, ("--target", "nothing"), "schema_mismatch", "there is no column nothing"),
        (table, ("--target", ""), "schema_mismatch", "name the label column"),
        (table, ("--parties", "a|b|c"), "schema_mismatch", "--parties has to look like"),
        (table, ("--parties", "a,z|b"), "schema_mismatch", "there is no feature column z"),
        (table, ("--parties", "a,b|b"), "schema_mismatch", "column b is given to both parties"),
        (table, ("--drop", "a,b,huge,town"), "schema_mismatch", "at least two feature columns"),
        (lambda: [*table(), ["1", "2", "3", "x", "1", ""]], (), "corrupt_data", "column late line 402 has no label"),
    ],
)
def test_a_bad_table_is_refused_by_name(small, tmp_path, rows, options, code, detail):
    done = invoke(write(tmp_path / "t.csv", rows()), tmp_path, "--quick", *options)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"error {code}: " in done.stderr
    assert detail in done.stderr


def test_files_that_are_none_are_refused(small, tmp_path):
    assert "error data_missing" in invoke(tmp_path / "none.csv", tmp_path).stderr
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00broken")
    assert "error corrupt_data" in invoke(tmp_path / "b.csv", tmp_path).stderr
    twice = write(tmp_path / "t.csv", header="a,a,huge,town,constant,late")
    assert "column a twice" in invoke(twice, tmp_path).stderr
    unknown = CliRunner().invoke(app, ["bench", "credit", "--dataset", "iris"])
    assert (unknown.exit_code, "error data_missing: there is no data set iris" in unknown.stderr) == (2, True)
    assert commands.REFUSED == 2


def test_ten_banks_reach_what_pooling_reaches_however_customers_are_dealt(tmp_path):
    path = write(tmp_path / "t.csv", table(1_500))
    found = load_csv(path, "late", "yes", (), None)
    report = horizontal.run_horizontal(found, BenchPlan(1, 1, None, SMALL), lambda _: None)
    for setting in horizontal.SETTINGS:
        models = report["settings"][setting]["models"]
        assert models["federated"]["auc"] > models["pooled"]["auc"] - 0.02
        assert report["settings"][setting]["exchanges"] > 0
        banks = report["settings"][setting]["banks"]
        assert sum(bank["customers"] for bank in banks) == 1_500
        assert sum(bank["held_out"] for bank in banks) == 300
    assert "better by more than 2 s.e." in horizontal_table(report)


def test_the_readme_shows_the_committed_reports(tmp_path):
    folder = Path("simulations/experiments/credit_zoo")
    text = (folder / "README.md").read_text("utf-8")
    (tmp_path / "README.md").write_text(f"{TABLE_START}\n{TABLE_END}\n", "utf-8")
    (tmp_path / "reports").symlink_to((folder / "reports").resolve())
    assert update_readme(tmp_path).strip() in text
