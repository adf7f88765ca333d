"""What a node computes with when it is asked: the function of an approved version, checked at every query.

Guarantee: a node that takes its functions from here answers with no other function than that of a version whose
approval holds at the node's own time, read from weights whose hash stands in the manifest whose hash was recorded when
the version was registered; a caller names a version and hands over no function. Threat model: whoever asks, the
operator included. Not covered: who writes to the register's own files, where decisions are not signed by who took them.
"""

from __future__ import annotations

import threading
from datetime import datetime

from federated.errors import NotPermitted, VersionNotApproved
from federated.governance.lifecycle import Status
from federated.governance.manifest import Manifest
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.governance.weights import ScoringModel
from federated.models.served.hidden import HiddenFunction
from federated.models.served.kept import KeptFunction
from federated.models.served.scorer import PartyScorer

LOADED_MAX = 4


class ApprovedModels:
    """Versions of one register, loaded once each. Safe to call from several threads."""

    def __init__(self, registry: ModelRegistry, governance: Governance) -> None:
        self._registry, self._governance = registry, governance
        self._loaded: dict[str, ScoringModel] = {}
        self._lock = threading.Lock()

    def scorer(self, version: str, role: str, at: datetime, *, joint: bool) -> PartyScorer | KeptFunction:
        """The function of a `bank` or a `grid` in a version that is approved at `at`; a bank's alone unless `joint`.

        Of a `KeptFunction` a bank has the weights.

        Raises `VersionNotFound`, `VersionNotApproved`, `ModelCorrupt`, and `NotPermitted` for a joint score by a hidden
        function: that one comes about between nodes (`serving.hidden`), and no party has a share of it to hand over.
        """
        model = self.approved(version, at)
        if role == "bank" and not joint:
            return model.bank_only
        if isinstance(model.joint_grid, HiddenFunction):
            raise NotPermitted(f"no node computes the hidden function of {version} by itself", version=version)
        return model.joint_grid if role == "grid" else model.joint_bank

    def approved(self, version: str, at: datetime) -> ScoringModel:
        """All functions of a version that is approved at `at`.

        Raises `VersionNotFound`, `VersionNotApproved`, `ModelCorrupt`.
        """
        status = self._governance.lifecycle().status(version, at)
        if status is not Status.APPROVED:
            raise VersionNotApproved(f"{version} is {status}: nothing is computed with it", version=version)
        return self.load(self._governance.manifest(version))

    def is_challenger(self, version: str, at: datetime) -> bool:
        """Whether this version is scored in the shadow of the champion at `at`."""
        manifest = self._governance.challenger(at)
        return manifest is not None and manifest.version == version

    def hidden_in_use(self) -> frozenset[str]:
        """Ids of functions that nodes keep parts of, of versions that score, or may come to. Raises `ModelCorrupt`."""
        records = self._governance.lifecycle().versions.values()
        open_ones = [r.version for r in records if r.rejected_at is None and r.retired_at is None]
        models = [self.load(self._governance.manifest(version)) for version in open_ones]
        functions = [each for m in models for each in (m.joint_grid, m.joint_bank, m.bank_only)]
        return frozenset(each.function_id for each in functions if isinstance(each, HiddenFunction | KeptFunction))

    def load(self, manifest: Manifest) -> ScoringModel:
        """A version's functions. Raises `ModelNotFound` or `ModelCorrupt`."""
        with self._lock:
            if manifest.weights_sha256 not in self._loaded:
                model = self._registry.load(manifest.model, manifest.version)
                # A champion and its challenger stay loaded; older ones make room.
                self._loaded = dict([*self._loaded.items()][1 - LOADED_MAX :]) | {manifest.weights_sha256: model}
            return self._loaded[manifest.weights_sha256]
