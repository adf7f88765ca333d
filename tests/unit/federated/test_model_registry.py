import shutil
from dataclasses import replace

import numpy as np
import pytest

from federated.errors import ModelCorrupt, ModelExists, ModelNotFound
from federated.registry.manifest import Manifest
from federated.registry.store import ModelRegistry
from federated.serving import Network


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "home")
    return tmp_path / "home"


def test_a_version_says_what_its_numbers_are_about(trained):
    home, result = trained
    manifest = ModelRegistry(home).champion()
    assert manifest == result.manifest
    assert manifest.data_origin == "generated"
    assert set(manifest.metrics) == {"federated", "label_holder_only_network", "label_holder_only", "xgboost"}
    assert manifest.metrics["federated"]["auc"] == result.first.model.joint_metrics.auc
    assert len(manifest.data_sha256) == len(manifest.participants) == 5
    assert "No privacy budget was spent" in manifest.privacy
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_weights_come_back_as_they_were_trained(trained):
    home, result = trained
    loaded = ModelRegistry(home).load("credit", "v0001")
    values = result.tables.bank_values[:50]
    assert np.array_equal(loaded.joint_bank.logits(values), result.first.model.joint_bank.logits(values))


def test_versions_are_never_overwritten(copied):
    registry = ModelRegistry(copied)
    manifest, model = registry.champion(), registry.load("credit", "v0001")
    with pytest.raises(ModelExists):
        registry.publish(manifest, model)
    second = registry.publish(replace(manifest, version=registry.next_version()), model)
    assert [m.version for m in registry.manifests()] == ["v0001", "v0002"]
    assert registry.champion().version == "v0001"
    registry.appoint_champion("credit", second.version)
    assert registry.champion().version == "v0002"
    assert not list((copied / "registry" / "credit").glob(".*"))


def test_tampered_weights_are_not_served(copied):
    path = copied / "registry" / "credit" / "v0001" / "weights.npz"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelCorrupt):
        ModelRegistry(copied).load("credit", "v0001")
    with pytest.raises(ModelCorrupt):
        ModelRegistry(copied).appoint_champion("credit", "v0001")


def test_a_manifest_that_cannot_be_read_is_named(copied):
    (copied / "registry" / "credit" / "v0001" / "manifest.json").write_text("{}")
    with pytest.raises(ModelCorrupt):
        Network.open(copied).models()


@pytest.mark.parametrize("version", ["v0009", "../../nodes", "v1/../v0001", ""])
def test_unknown_versions_are_not_found(trained, version):
    with pytest.raises(ModelNotFound):
        ModelRegistry(trained[0]).load("credit", version)


def test_no_champion_is_not_found(tmp_path):
    with pytest.raises(ModelNotFound):
        ModelRegistry(tmp_path).champion()
