"""The quick privacy bench runs end to end, and its races find no leak."""

import json

from typer.testing import CliRunner

from simulations.benchmarks.withdrawal import measure_withdrawal
from simulations.cli import app


def test_json_is_all_there_is_on_stdout(tmp_path, monkeypatch):
    monkeypatch.setattr("simulations.benchmarks.alignment._peer", lambda *_: None)
    monkeypatch.setattr(
        "simulations.benchmarks.withdrawal.measure_withdrawal", lambda races: measure_withdrawal(min(races, 3))
    )
    done = CliRunner().invoke(app, ["bench", "privacy", "--quick", "--json", "--peer", str(tmp_path)])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["alignment"]["bytes_an_id_each_way"] == 40
    assert report["alignment"]["peer_ids_per_core_s"] is None
    assert report["secure_aggregation"]["ours_error"] <= report["secure_aggregation"]["ours_error_bound"]
    assert report["vertical"]["data_origin"] == "generated"
    assert report["vertical"]["attack_on_residuals_beyond"] == 1.0
    assert (report["withdrawal"]["races"], report["withdrawal"]["leaks"]) == (3, 0)
