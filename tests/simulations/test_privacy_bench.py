"""The quick privacy bench runs end to end, and its races find no leak."""

import json
import shutil
from datetime import UTC, datetime
from functools import partial

import pytest
from command_line import CliRunner, app
from small_network import SMALL

from federated.protocols.protected.settings import ProtectedSettings
from federated.serving import Network
from simulations.benchmarks import extraction, privacy, scored_network, withdrawal
from simulations.benchmarks.alignment import measure_alignment
from simulations.benchmarks.secure_aggregation import measure_aggregation


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Fewer rows and races than `--quick` takes, which is for a person who waits a minute; the same code."""

    def smaller(name, *most):
        measure = getattr(privacy, name)
        monkeypatch.setattr(
            privacy, name, lambda *given: measure(*given[: -len(most)], *map(min, most, given[-len(most) :]))
        )

    monkeypatch.setattr("simulations.benchmarks.alignment._peer", lambda *_: None)
    monkeypatch.setattr(privacy, "measure_alignment", lambda ids, peer: measure_alignment(min(ids, 1_000), peer))
    monkeypatch.setattr(privacy, "measure_aggregation", lambda *_: measure_aggregation(10, 100, 7, 5))
    monkeypatch.setattr("simulations.benchmarks.secure_aggregation.ROUNDS", 12)
    smaller("measure_withdrawal", 3)
    smaller("measure_probing", 200)
    smaller("measure_differential", 1, 3)
    smaller("measure_membership", 10, 60)
    smaller("measure_extraction", 300, 8)
    monkeypatch.setattr(privacy, "QUICK", (400,))
    monkeypatch.setattr("simulations.benchmarks.few_rows.MOST_DRAWS", 1)
    monkeypatch.setattr("simulations.benchmarks.few_rows.ASKED_FOR", 1)
    # As many components train, and are attacked, as without this; they are found of a third of the columns.
    for part in ("vertical", "few_rows"):
        name = f"simulations.benchmarks.{part}.ProtectedSettings"
        monkeypatch.setattr(name, partial(ProtectedSettings, trees=60, cells=24))
    monkeypatch.setattr("federated.privacy.attacks.leakage.STEPS", 20)
    monkeypatch.setattr(scored_network, "ZooSettings", lambda **_: SMALL)
    tables, rows = privacy.load_tables, privacy.load_table
    monkeypatch.setattr(privacy, "load_tables", lambda data, firms, seed: tables(data, min(firms, 900), seed))
    monkeypatch.setattr(privacy, "load_table", lambda data, firms, seed: rows(data, min(firms, 900), seed))
    train, home, made = scored_network.scored_network, tmp_path / "scored", []
    monkeypatch.setattr(extraction, "AT", datetime.now(UTC))

    def trained_once(folder, firms, at, *clock):
        """The same network for both parts that score: the first of them trains it."""
        if not made:
            network, population = train(home, 300, extraction.AT)
            network.close()
            made.append(population)
        shutil.copytree(home, folder, dirs_exist_ok=True)
        return Network.open(folder, *clock), made[0]

    for part in (extraction, withdrawal):
        monkeypatch.setattr(part, "scored_network", trained_once)


def test_json_is_all_there_is_on_stdout(tmp_path):
    done = CliRunner().invoke(app, ["bench", "privacy", "--quick", "--json", "--peer", str(tmp_path)])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["alignment"]["bytes_an_id_each_way"] == 40
    assert report["alignment"]["peer_ids_per_core_s"] is None
    assert report["secure_aggregation"]["ours_error"] <= report["secure_aggregation"]["ours_error_bound"]
    sums = report["secure_aggregation"]
    assert (sums["two_lists_opened"], sums["two_lists_opened_unclaimed"]) == (0.0, 1.0)
    assert (sums["named_set_opened"], sums["named_set_opened_unguarded"]) == (0.0, 1.0)
    assert sums["ground_neighbours"] < 2
    assert sums["ground_neighbours_by_choice"] > 3
    assert report["vertical"]["data_origin"] == "generated"
    assert report["vertical"]["label_attack_in_clear_beyond"] == 1.0
    assert report["vertical"]["function_read"] < 0.1 < report["vertical"]["function_read_in_order"]
    assert 0 <= report["vertical"]["labels_certain"] <= report["vertical"]["labels_counted"] > 100
    few = report["few_rows"]
    assert (few["least_rows"], few["refused"]) == (400, 1)
    # The best of thirty guesses at some sixty defaults: masks are drawn anew each time, and a coin's spread is 0.04.
    assert max(few["worst_passed"], few["by_fold_worst"], report["vertical"]["label_attack_protected_beyond"]) < 0.7
    assert min(few["worst_opened"], few["by_fold_opened_mean"]) > 0.75
    assert len(few["by_fold"]) == 2
    assert (few["told_by_difference_unremembered"], few["told_by_difference"]) == (1.0, 0.0)
    assert (report["withdrawal"]["races"], report["withdrawal"]["leaks"]) == (3, 0)
    assert report["withdrawal"]["strangers"] == 0
    assert (report["withdrawal"]["other_bank_asked"], report["withdrawal"]["other_bank_read"]) == (12, 0)
    assert report["withdrawal"]["strangers_copied"] > 0.4
    probing, extraction = report["probing"], report["extraction"]
    assert (probing["bare_members_found"], probing["bare_auc"]) == (1.0, 1.0)
    assert (probing["signed_members_found"], probing["signed_auc"], probing["honest_found"]) == (0.0, 0.5, 1.0)
    assert probing["planted_refused"] == 200
    assert (probing["played_found_unsealed"], probing["played_found"]) == (1.0, 0.0)
    assert extraction["answered_about_one"] == 6 < extraction["asked_about_one"]
    assert extraction["open_points_unlimited"] < extraction["open_points_within_budget"] < extraction["open_points_one"]
    assert extraction["answered_over"] < extraction["asked_over"]
    assert extraction["reasons_gain_sealed"] < 0.05 < extraction["reasons_gain_in_clear"]
    assert (extraction["columns_asked"] > 10, extraction["columns_read"]) == (True, 0)
    assert (extraction["asked_in_one_sitting"], extraction["answered_in_one_sitting"]) == (72, 6)
    hidden = report["hidden_scores"]
    assert max(hidden["contributions_read"], hidden["column_read"]) < 0.2
    assert min(hidden["contributions_read_bare"], hidden["column_read_bare"]) > 0.99
    # What nobody can hold a bank to: its own columns. Few factors leave less to be read than all components.
    assert 0.2 < hidden["factors_read"] < hidden["factors_read_all"] < 1.0
    assert (hidden["orders_read"], hidden["orders_read_untagged"] > 0.5) == (0.0, True)


def test_one_part_is_printed_line_by_line():
    done = CliRunner().invoke(app, ["bench", "privacy", "--quick", "--only", "inversion", "--only", "alignment"])
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"inversion", "alignment"}
    assert any(line.split()[1:] == ["data_origin", "generated"] for line in lines)
    assert "2 of 2: inversion" in done.stderr
    refused = CliRunner().invoke(app, ["bench", "privacy", "--only", "nothing"])
    assert (refused.exit_code, "nothing: alignment" in refused.stderr) == (2, True)
