"""`tanxin models`: governance of a home at the command line."""

import json

import pytest
from hand_made import AT, DAY, BareRegistry, governed, manifest
from typer.testing import CliRunner

from credit_api.cli import models as models_cli
from credit_api.cli.main import app
from federated.governance.monitoring.score_log import Answered, ScoreLog


@pytest.fixture
def tanxin(tmp_path, monkeypatch):
    """Runs `tanxin models …` on a home with two registered versions."""
    governed(tmp_path / "network", "v0001", "v0002")
    monkeypatch.setattr(models_cli, "ModelRegistry", BareRegistry)
    monkeypatch.setattr(models_cli, "system_clock", lambda: AT + DAY)

    def run(*arguments, refused=""):
        found = CliRunner().invoke(app, ["models", *arguments, "--home", str(tmp_path)], env={"COLUMNS": "200"})
        assert found.exit_code == (2 if refused else 0), found.output
        assert refused in found.stderr
        return found.stdout

    return run


def test_from_registration_to_rollback(tanxin):
    tanxin("approve", "v0001", "--by", "operator", "--note", "mine", refused="second_person_required")
    tanxin("appoint", "v0001", "--by", "bank-gusu", refused="version_not_approved")
    for version in ("v0001", "v0002"):
        assert "approved by bank-gusu" in tanxin("approve", version, "--by", "bank-gusu", "--note", "looked at")
    tanxin("appoint", "v0001", "--by", "bank-gusu")
    assert "challenger by bank-taihu" in tanxin("appoint", "v0002", "--role", "challenger", "--by", "bank-taihu")
    tanxin("appoint", "v0002", "--role", "none", "--by", "bank-taihu")
    tanxin("appoint", "v0002", "--by", "bank-taihu")
    assert "v0001 rolled_back by bank-gusu" in tanxin("rollback", "--by", "bank-gusu", "--note", "worse")
    tanxin("rollback", "--by", "bank-gusu", "--note", "again", refused="nothing_to_roll_back")
    tanxin("retire", "v0001", "--by", "bank-gusu", "--note", "old", refused="model_in_use")
    tanxin("retire", "v0002", "--by", "bank-gusu", "--note", "worse")
    shown = tanxin("list")
    assert "champion" in shown
    assert "retired" in shown


def test_a_decision_names_who_decides(tanxin, tmp_path):
    for command in (["approve", "v0001"], ["appoint", "v0001"], ["retire", "v0001"], ["reject", "v0001"], ["rollback"]):
        found = CliRunner().invoke(app, ["models", *command, "--note", "x", "--home", str(tmp_path)])
        assert found.exit_code == 2
        assert "--by" in found.stderr
    tanxin("reject", "v0001", "--by", "bank-gusu", "--note", "worse")
    tanxin("approve", "v0001", "--by", "bank-gusu", "--note", "better", refused="version_final")


def test_manifest_and_card_go_into_a_pipe(tanxin):
    assert json.loads(tanxin("show", "v0001"))["weights_sha256"] == manifest().weights_sha256
    assert tanxin("card", "v0001").startswith("# Model card: credit v0001\n")
    assert tanxin("card", "v0001", "--language", "zh").startswith("# 模型卡: credit v0001\n")
    tanxin("card", "v0009", refused="version_not_found")


def test_monitoring_tells_rows_from_nothing(tanxin, tmp_path):
    tanxin("monitor", refused="model_not_found")
    tanxin("approve", "v0001", "--by", "bank-gusu", "--note", "x")
    tanxin("approve", "v0002", "--by", "bank-gusu", "--note", "x")
    tanxin("appoint", "v0001", "--by", "bank-gusu")
    assert "not measured" in tanxin("monitor")
    tanxin("appoint", "v0002", "--role", "challenger", "--by", "bank-gusu")
    log = ScoreLog(tmp_path / "network" / "registry" / "credit" / "scores.db")
    log.record(Answered(AT + DAY, "bank-gusu", "joint", "v0001", 600, "v0002", 620))
    log.record(Answered(AT.replace(year=2020), "bank-gusu", "joint", "v0001", 600, "v0002", 620))
    log.close()
    assert "challenger v0002: 1 rows, 0 failed, +20.0 points, 0 swapped in, 0 swapped out" in tanxin("monitor")


def test_a_mistyped_home_is_refused_and_not_made(tmp_path):
    found = CliRunner().invoke(app, ["models", "list", "--home", str(tmp_path / "elsewhere")])
    assert found.exit_code == 2
    assert "no models under" in found.stderr
    assert not (tmp_path / "elsewhere").exists()


def test_drift_of_columns_needs_the_nodes_and_names_what_moved(tanxin, trained_network):
    tanxin("drift", refused="data_missing")
    found = CliRunner().invoke(app, ["models", "drift", "--home", str(trained_network)], env={"COLUMNS": "200"})
    assert found.exit_code == 0, found.output
    assert "load_factor" in found.stdout
    assert "counted at: bank-gusu, bank-jinji, bank-taihu, grid-gaoxin, grid-sip" in found.stdout
