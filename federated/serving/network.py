"""The network as a bank's systems see it: record and withdraw consent, list customers, query a score, list models.

Inside, every bank and grid company is a node with its own store; this facade plays the network operator of one process.
It sums the parties' logits and ranks their reasons. A `Score` shows neither a party's logit nor a feature value, but a
bank can evaluate its own share and subtract it from the logit behind the probability: that difference is the grid
company's share, and nothing here hides it. A grid company learns that a bank asked about a subject who consented to it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from federated.consent.record import ConsentRecord, Purpose, require_same_terms, utc
from federated.consent.store import from_micros, to_micros
from federated.errors import ConsentMissing, DataMissing, NotPermitted, ScopeNotCovered
from federated.models.reasons import top_reasons
from federated.models.scaling import grade_of, probability_of, score_of
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.node import PartialRequest, PartialScore
from federated.nodes.store import NodeStore
from federated.registry.manifest import Manifest
from federated.registry.store import ModelRegistry, ScoringModel
from federated.serving.queries import SCORE_VALIDITY, Basis, NoFile, Score, ScoreQuery

PAGE = 100


class Network:
    """All nodes and the registry under one home directory. Safe to call from several threads."""

    def __init__(self, banks: Mapping[str, BankNode], grids: Mapping[str, GridNode], registry: ModelRegistry) -> None:
        self._banks = dict(sorted(banks.items()))
        self._grids = dict(sorted(grids.items()))
        self._registry = registry
        self._loaded: dict[str, ScoringModel] = {}
        self._lock = threading.Lock()

    @staticmethod
    def open(home: Path) -> Network:
        """Open every node store under `home`/nodes. Raises `DataMissing` if there is none, `CorruptData`."""
        paths = sorted((home / "nodes").glob("*.db"))
        if not paths:
            raise DataMissing(f"no node stores under {home / 'nodes'}")
        stores = [NodeStore(path) for path in paths]
        banks = {s.org_id: BankNode(s) for s in stores if s.role == "bank"}
        grids = {s.org_id: GridNode(s) for s in stores if s.role == "grid"}
        return Network(banks, grids, ModelRegistry(home))

    def close(self) -> None:
        """Close every node's store."""
        for node in (*self._banks.values(), *self._grids.values()):
            node.store.close()

    @property
    def bank_ids(self) -> tuple[str, ...]:
        """The banks of this network, in order."""
        return tuple(self._banks)

    @property
    def grid_ids(self) -> tuple[str, ...]:
        """The grid companies of this network, in order."""
        return tuple(self._grids)

    def bank_node(self, bank_id: str) -> BankNode:
        """A bank's node. Raises `NotPermitted` for an organisation that is no bank of this network."""
        try:
            return self._banks[bank_id]
        except KeyError:
            raise NotPermitted(f"{bank_id} is not a bank of this network", bank_id=bank_id) from None

    def grid_node(self, grid_id: str) -> GridNode:
        """A grid company's node. Raises `NotPermitted` for an organisation that is none of this network."""
        try:
            return self._grids[grid_id]
        except KeyError:
            raise NotPermitted(f"{grid_id} is not a grid company of this network", grid_id=grid_id) from None

    def record_consent(self, record: ConsentRecord) -> ConsentRecord:
        """Record a consent at the bank's node and at every grid company's node.

        Grid companies are written first: if that is interrupted the bank has no consent and a score is refused.
        Recording the same terms again changes nothing. Raises `NotPermitted`, `ConsentConflict`.
        """
        bank = self.bank_node(record.bank_id)
        # One consent id names one consent in the whole network, so a conflict anywhere is found before any write.
        for node in (bank, *self._grids.values()):
            known = node.consent(record.consent_id)
            if known is not None:
                require_same_terms(known, record)
        for grid in self._grids.values():
            grid.record_consent(record)
        return bank.record_consent(record)

    def withdraw_consent(self, consent_id: str, bank_id: str, at: datetime) -> ConsentRecord:
        """Withdraw a consent everywhere, the bank first: its refusal alone already stops every score.

        Raises `NotPermitted`, `ConsentMissing`, `InvalidTime`.
        """
        bank = self.bank_node(bank_id)
        bank.own_consent(consent_id)
        record = bank.withdraw_consent(consent_id, bank_id, at)
        for grid in self._grids.values():
            if grid.consent(consent_id) is not None:
                grid.withdraw_consent(consent_id, bank_id, at)
        return record

    def consent(self, consent_id: str, bank_id: str) -> ConsentRecord:
        """A consent towards this bank. Raises `NotPermitted`, `ConsentMissing`."""
        return self.bank_node(bank_id).own_consent(consent_id)

    def consents(self, bank_id: str, limit: int = PAGE, after: str = "") -> list[ConsentRecord]:
        """Consents towards a bank by id, those after `after`. Raises `NotPermitted`."""
        return self.bank_node(bank_id).consents(limit, after)

    def consents_of(self, subject_id: str, bank_id: str) -> list[ConsentRecord]:
        """A subject's consents towards a bank, in order of id. Raises `NotPermitted`."""
        return self.bank_node(bank_id).consents_of(subject_id)

    def consent_count(self, bank_id: str, at: datetime) -> int:
        """How many consents towards a bank cover `at` and are not withdrawn. Raises `NotPermitted`."""
        return self.bank_node(bank_id).consents_in_force(utc(at))

    def customer_count(self, bank_id: str) -> int:
        """How many customers a bank has a file of. Raises `NotPermitted`."""
        return self.bank_node(bank_id).store.count()

    def customers(self, bank_id: str, limit: int = PAGE, after: str = "") -> list[str]:
        """A bank's own customers by subject id, those after `after`. Raises `NotPermitted`."""
        return self.bank_node(bank_id).customers(limit, after)

    def models(self) -> list[Manifest]:
        """Manifests of every registered version. Raises `ModelCorrupt`."""
        return self._registry.manifests()

    def champion(self) -> Manifest:
        """Manifest of the version that scores. Raises `ModelNotFound`, `ModelCorrupt`."""
        return self._registry.champion()

    def score(self, query: ScoreQuery) -> Score | NoFile:
        """Score one customer of the asking bank.

        Consent is checked at the bank first, then the file is looked up, then each grid company checks consent itself.
        If the consent does not open electricity data, or no grid company has a file, the bank-only companion answers
        and `basis` says so. Raises consent errors, `NotPermitted`, `InvalidTime`, `ModelNotFound`, `ModelCorrupt`.
        """
        at = utc(query.at)
        bank = self.bank_node(query.bank_id)
        request = PartialRequest(query.bank_id, query.subject_id, query.consent_id, Purpose(query.purpose), at)
        bank.check_consent(request)
        if not bank.has_file(query.subject_id):
            return NoFile(query.subject_id, at)
        manifest = self._registry.champion()
        model = self._model(manifest)
        grid = self._grid_partial(request, model)
        own = bank.partial(request, model.bank_only if grid is None else model.joint_bank)
        if own is None:
            return NoFile(query.subject_id, at)
        parts = [own] if grid is None else [own, grid]
        logit = sum(part.logit for part in parts)
        score = score_of(logit)
        return Score(
            subject_id=query.subject_id,
            score=score,
            probability=probability_of(logit),
            grade=grade_of(score),
            reasons=top_reasons([item for part in parts for item in part.ranked]),
            model_version=manifest.version,
            basis=Basis.BANK_ONLY if grid is None else Basis.JOINT,
            data_origin=manifest.data_origin,
            scored_at=at,
            valid_until=from_micros(to_micros(at)) + SCORE_VALIDITY,
        )

    def _grid_partial(self, request: PartialRequest, model: ScoringModel) -> PartialScore | None:
        """The share of the first grid company that has a file and consent for it; None if there is none.

        Only a scope or a copy that never reached the grid company falls back to the bank. A withdrawn or expired
        consent there is an inconsistency between nodes and refuses the query.
        """
        for grid in self._grids.values():
            try:
                partial = grid.partial(request, model.joint_grid)
            except (ScopeNotCovered, ConsentMissing):
                continue
            if partial is not None:
                return partial
        return None

    def _model(self, manifest: Manifest) -> ScoringModel:
        with self._lock:
            if manifest.weights_sha256 not in self._loaded:
                self._loaded = {manifest.weights_sha256: self._registry.load(manifest.model, manifest.version)}
            return self._loaded[manifest.weights_sha256]
