import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from federated.errors import ModelCorrupt, ModelExists, ModelNotFound
from federated.governance.manifest import Manifest
from federated.governance.model_registry import ModelRegistry
from federated.serving import Network


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "home")
    return tmp_path / "home"


def test_a_version_says_what_its_numbers_are_about(trained):
    home, result = trained
    manifest = ModelRegistry(home).manifest("credit", "v0001")
    assert manifest == result.manifests[0]
    assert manifest.data_origin == "generated"
    assert set(manifest.metrics) == {"federated", "bank_only", "label_holder_only", "xgboost"}
    measured = result.figures["open"][0]["federated_additive"]
    assert manifest.metrics["federated"]["auc"] == measured.metrics.auc
    assert (manifest.held_out_folds, manifest.refit) == ((0,), True)
    assert (manifest.learners, manifest.explanation) == (("additive", "pair_trees"), "exact")
    assert result.manifests[1].explanation == "sampled"
    assert len(manifest.data_sha256) == len(manifest.participants) == 5
    assert "No privacy budget was spent" in manifest.privacy
    assert set(manifest.privacy_spent.values()) == {None}
    assert sum(manifest.score_reference["joint"]) == manifest.metrics["federated"]["rows"]
    assert {s.segment for s in manifest.segments} == {"bank", "relationship", "self_generation"}
    for name in ("bank", "relationship", "self_generation"):
        parts = [s for s in manifest.segments if s.segment == name]
        assert sum(s.rows for s in parts) == manifest.metrics["federated"]["rows"]
        assert all(s.defaults <= s.rows and s.approved_good <= s.approved <= s.rows for s in parts)
    for role in ("bank", "grid"):
        assert set(manifest.feature_reference[role]) == set(manifest.columns[role])
        counts = {sum(r.counts) for r in manifest.feature_reference[role].values()}
        # Its weights were fitted on everybody, those of the fold that was measured among them.
        assert counts == {sum(manifest.aligned_rows.values())}
    assert set(manifest.calibration["ece"]) == {"none", "platt", "isotonic"}
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize(("version", "name"), [("v0001", "federated_additive"), ("v0002", "federated")])
def test_weights_come_back_as_they_were_trained(trained, version, name):
    home, result = trained
    loaded, made = ModelRegistry(home).load("credit", version), result.refits["open"].candidates[name].model
    values = result.tables.bank_values[:50]
    assert np.array_equal(loaded.joint_bank.logits(values), made.joint_bank.logits(values))
    assert loaded.joint_bank.exact is (version == "v0001")
    assert loaded.calibrated(-1.3, "bank-gusu", alone=False) == made.calibrated(-1.3, "bank-gusu", alone=False)


def test_versions_are_never_overwritten(copied):
    registry = ModelRegistry(copied)
    manifest, model = registry.manifest("credit", "v0001"), registry.load("credit", "v0001")
    with pytest.raises(ModelExists):
        registry.publish(manifest, model)
    registry.publish(replace(manifest, version=registry.next_version()), model)
    assert [m.version for m in registry.manifests()] == ["v0001", "v0002", "v0003"]
    assert not list((copied / "registry" / "credit").glob(".*"))


def test_tampered_weights_are_not_served(copied):
    path = copied / "registry" / "credit" / "v0001" / "weights.npz"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelCorrupt):
        ModelRegistry(copied).load("credit", "v0001")


def test_a_version_of_one_fold_is_still_read_and_says_whom_it_was_fitted_on(copied):
    path = copied / "registry" / "credit" / "v0001" / "manifest.json"
    raw = json.loads(path.read_text())
    folds, auc = raw.pop("held_out_folds"), raw["metrics"]["federated"]["auc"]
    assert raw.pop("refit")
    path.write_text(
        json.dumps(raw | {"format": 2, "held_out_fold": folds[0], "cross_fold": {"federated": {"auc": 0.5}}})
    )
    read = ModelRegistry(copied).manifest("credit", "v0001")
    assert (read.held_out_folds, read.refit, read.metrics["federated"]["auc"]) == ((0,), False, auc)
    assert Manifest.from_json(read.to_json()) == read


def test_a_manifest_of_an_older_program_says_so(copied):
    path = copied / "registry" / "credit" / "v0001" / "manifest.json"
    path.write_text(path.read_text().replace('"format": 3', '"format": 1'))
    with pytest.raises(ModelCorrupt, match="format 1, this program reads 3"):
        ModelRegistry(copied).manifests()


def test_a_manifest_that_cannot_be_read_is_named(copied):
    (copied / "registry" / "credit" / "v0001" / "manifest.json").write_text("{}")
    with pytest.raises(ModelCorrupt):
        Network.open(copied).models()


@pytest.mark.parametrize("version", ["v0009", "../../nodes", "v1/../v0001", ""])
def test_unknown_versions_are_not_found(trained, version):
    with pytest.raises(ModelNotFound):
        ModelRegistry(trained[0]).load("credit", version)
