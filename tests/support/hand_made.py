"""Model versions made by hand: manifests that nothing was trained for, on disk where the registry looks for them."""

import hashlib
from datetime import UTC, datetime, timedelta

from federated.consent.record import Purpose
from federated.errors import ModelCorrupt
from federated.governance.decisions import Act
from federated.governance.lifecycle import Role
from federated.governance.manifest import Explanation, FeatureReference, Manifest, SegmentFigures
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance

AT = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEIGHTS = b"weights"


def manifest(version="v0001", **changes):
    """A version of three banks and two grid companies, trained on a generated population."""
    given = {
        "model": "credit",
        "version": version,
        "created_at": AT,
        "registered_by": "operator",
        "data_origin": "generated",
        "schema_id": "smart-park-firms",
        "schema_version": "1",
        "purpose": Purpose.MODEL_TRAINING,
        "participants": ("bank-gusu", "bank-jinji", "bank-taihu", "grid-sip", "grid-gaoxin"),
        "data_sha256": {"bank-gusu": "a" * 64, "grid-sip": "b" * 64},
        "learners": ("additive", "pair_trees"),
        "explanation": Explanation.EXACT,
        "columns": {"bank": ("tenure_months", "overdue_days"), "grid": ("load_factor",)},
        "excluded_columns": {"bank": ("sex",), "grid": ()},
        "config": {"rounds": 6},
        "seed": 2024,
        "held_out_folds": (0,),
        "refit": True,
        "aligned_rows": {"bank-gusu|grid-sip": 200},
        "metrics": {"federated": {"auc": 0.7712, "ks": 0.41, "brier": 0.13, "ece": 0.012, "rows": 1200.0}},
        "calibration": {"method": "platt", "own": ["bank-gusu"], "ece": {"none": 0.034, "platt": 0.012}},
        "cut_off": 540,
        "segments": (
            SegmentFigures("size", "small", 600, 120, 330, 300, 0.21, 0.14, 0.02, 0.76),
            SegmentFigures("size", "medium", 600, 60, 480, 450, 0.11, 0.12, 0.01, 0.78),
            SegmentFigures("district", "sip", 1180, 178, 800, 741, 0.16, 0.13, 0.01, 0.77),
            SegmentFigures("district", "gusu", 20, 2, 10, 9, 0.12, 0.1, 0.05, None),
        ),
        "score_reference": {"joint": (2, 9, 40, 90, 150, 210, 240, 220, 140, 60, 29, 10)},
        "feature_reference": {"bank": {"tenure_months": FeatureReference((6.0, 24.0), (300, 500, 380, 20))}},
        "weights_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
    }
    return Manifest(**{**given, **changes})


class BareRegistry(ModelRegistry):
    """A registry whose weights are any bytes: only their hash matters here."""

    def load(self, model, version):
        found = (self._root / model / version / "weights.npz").read_bytes()
        if hashlib.sha256(found).hexdigest() != self.manifest(model, version).weights_sha256:
            raise ModelCorrupt("weights differ")


def publish(home, made):
    """Put a manifest and its weights where the registry reads them."""
    folder = home / "registry" / made.model / made.version
    folder.mkdir(parents=True)
    (folder / "weights.npz").write_bytes(WEIGHTS)
    (folder / "manifest.json").write_text(made.to_json(), "utf-8")
    return made


def registered_anew(home, at):
    """Forget every decision and register the published versions as of `at`, as if training had just ended."""
    (home / "registry" / "credit" / "events.jsonl").unlink()
    registry = ModelRegistry(home)
    for each in registry.manifests("credit"):
        Governance(home, registry).register(each, at)


def approved(governance, version, at, note="test"):
    """Have every bank of a version approve it."""
    for bank in sorted(governance.manifest(version).banks):
        event = governance.approve(version, Act(bank, at, note))
    return event


def appointed(governance, version, at):
    """Have two banks of an approved version make it champion."""
    for bank in sorted(governance.manifest(version).banks)[:2]:
        event = governance.appoint(version, Role.CHAMPION, Act(bank, at))
    return event


def in_use(home, at, version="v0001"):
    """Let the banks approve a version that training registered, and make it champion. Returns the governance."""
    governance = Governance(home, ModelRegistry(home))
    approved(governance, version, at)
    appointed(governance, version, at)
    return governance


def governed(home, *versions):
    """A governance with versions published and registered by the operator at AT."""
    governance = Governance(home, BareRegistry(home))
    for version in versions:
        governance.register(publish(home, manifest(version)), AT)
    return governance
