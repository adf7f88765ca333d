"""The report of a home: a protected version and a private run, nothing at all, and parts that nobody foresaw."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from command_line import CliRunner, app

from federated.errors import CorruptData
from federated.governance.manifest import PRIVACY_SHARES
from federated.governance.model_registry import ModelRegistry
from federated.nodes.store import NodeStore
from federated.privacy.budget import Budget
from federated.privacy.claims import Phase, load_claims
from federated.privacy.differential.accountant import Release
from federated.privacy.findings import kept
from federated.privacy.ledgers import ledger_of
from simulations.privacy_report.page import page, shown
from simulations.privacy_report.picture import margin
from simulations.privacy_report.report import report_of
from simulations.privacy_report.runs import runs_in

AT = datetime(2026, 11, 25, 8, tzinfo=UTC)
PRIVATE = {"run": "f" * 64, "data_origin": "generated", "epsilon": 1.0, "delta": 1e-5, "agreed": ["bank-gusu"]}
BENCH = {
    "vertical": {
        "data_origin": "generated",
        "rows": 2_100,
        "label_attack_protected_beyond": 0.63,
        "shares_cost": 0.006,
    },
    "withdrawal": {"races": 100, "leaks": 0, "refused_after_ms_worst": 8.5},
    "robustness": {"data_origin": "generated", "clean_auc": 0.78, "robust_auc": 0.775},
    "tides": {"height_m": 1.25, "note": "<b>unforeseen</b>", "missing": None},
}


def run(*words):
    return CliRunner().invoke(app, ["privacy", "report", *(str(word) for word in words)])


@pytest.fixture
def home(tmp_path, trained_network):
    found = tmp_path / "home"
    shutil.copytree(trained_network / "registry", found / "registry")
    registry = ModelRegistry(found)
    first = registry.manifests()[0]
    registry.publish(replace(first, version="v0009", privacy=PRIVACY_SHARES), registry.load(first.model, first.version))
    (found / "private").mkdir()
    (found / "nodes").mkdir()
    (found / "private" / "run.json").write_text(json.dumps({**PRIVATE, "refused": {"bank-jinji": "<i>no</i>"}}))
    for file in (trained_network / "nodes").glob("bank-gusu.*"):
        shutil.copy(file, found / "nodes" / file.name)
    shutil.copytree(trained_network / "node-keys", found / "node-keys")
    store = NodeStore(found / "nodes" / "bank-gusu.db")
    ledger = ledger_of(store)
    ledger.grant("firms", Budget(5.0, 1e-5), AT)
    ledger.reserve(PRIVATE["run"], "firms", [Release(10.0)], AT)
    store.close()
    return found


def test_page_picture_and_json_of_a_home(home, tmp_path):
    bench, out = tmp_path / "bench.json", tmp_path / "out"
    bench.write_text(json.dumps(BENCH))
    done = run("--home", home, "--bench", bench, "--out", out)
    assert done.exit_code == 0, done.stderr
    assert (out / "report.png").stat().st_size > 20_000
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert [(r["name"], r["mechanism"]) for r in report["runs"]] == [
        ("credit v0001", "zoo"),
        ("credit v0002", "zoo"),
        ("credit v0009", "protected"),
        ("f" * 64, "private"),
    ]
    assert kept(home)[1]["label_attack"].verdict == "missed"
    html = (out / "report.html").read_text("utf-8")
    page = ("谁看到什么", "Who sees what", "read by banks alone", "not measured", "未测量", "height_m", "generated")
    for said in page:
        assert said in html
    assert "&lt;b&gt;unforeseen" in html
    assert "<b>unforeseen" not in html
    assert "<script" not in html
    assert "http" not in html
    assert "robustness" in html


def test_banks_that_refused_and_what_they_have_left_are_told(home):
    (version, *_, private) = runs_in(home)
    assert version.phases[:2] == (Phase.ALIGNMENT, Phase.ZOO)
    assert private.refused == ("bank-jinji",)
    (account,) = private.accounts
    assert account.bank == "bank-gusu"
    assert account.left == pytest.approx(5.0 - account.epsilon)


def test_without_a_bench_nothing_is_measured_and_the_page_says_so(home):
    report = report_of(runs_in(home), {}, load_claims(), AT)
    assert {each["verdict"] for each in report["findings"]} == {"not_measured"}
    html = page(report, load_claims())
    assert "does not mean that nothing leaks" in html
    assert "<img" not in html


def test_an_empty_home_a_broken_run_and_a_broken_bench_are_refused(home, tmp_path):
    done = run("--home", tmp_path / "nothing", "--out", tmp_path / "out")
    assert (done.exit_code, "data_missing" in done.stderr) == (2, True)
    assert not (tmp_path / "out").exists()
    done = run("--home", home, "--bench", tmp_path / "none.json", "--out", tmp_path / "out")
    assert (done.exit_code, "corrupt_data" in done.stderr) == (2, True)
    assert run("--home", home, "--bench", tmp_path / "b", "--quick", "--out", tmp_path / "out").exit_code == 2
    (home / "private" / "run.json").write_text("{}")
    with pytest.raises(CorruptData):
        runs_in(home)


def test_quick_measures_first_and_shows_it(home, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("simulations.benchmarks.privacy.parts_of", lambda *_, quick: asked.append(quick) or {})
    monkeypatch.setattr("simulations.benchmarks.privacy.measured", lambda *_: BENCH)
    assert run("--home", home, "--quick", "--out", tmp_path / "out").exit_code == 0
    assert asked == [True]
    assert kept(home)[1]["label_attack"].value == 0.63


def test_figures_are_shown_as_they_are():
    assert [shown(v) for v in (None, 0, 12_345, 0.534988, "x", True)] == ["—", "0", "12,345", "0.535", "x", "True"]
    found = {each["figure"]: each for each in report_of([], BENCH, load_claims(), AT)["findings"]}
    assert found["withdrawal_leaks"]["verdict"] == "undecided"
    from federated.privacy.findings import Finding

    assert margin(Finding(**found["withdrawal_leaks"])) == 1.0
    assert margin(Finding(**found["withdrawal_delay"])) == pytest.approx(1_000 / 8.5)
