"""The network as a bank's systems see it: record and withdraw consent, list customers, query a score, list models.

Inside, every bank and grid company is a node with its own store; this facade plays the network operator of one
process. It adds two shares of a logit that are masked towards it (`nodes.masks`), so it sees their sum only, and hands
the grid company's reasons to the bank's node as they came, sealed (`nodes.seals`); that node ranks them among its own.
The bank is told the score in whole points, the probability of that point, and reasons: no share, no value of the other
party. A bank that evaluates its own share can subtract it from the score and knows the grid company's to half a point;
the score itself says that. A grid company learns that a bank asked about a subject who consented to it.

Where a version hides its function of electricity data, the parties make the score between them (`serving.hidden`):
what passes the operator is sealed, and the bank's node calibrates; that node has the function's value for the customer
to 2⁻¹² of a point (`privacy.vertical.hidden_function`), where otherwise it had half a point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from federated.consent.instants import Clock, from_micros, system_clock, to_micros
from federated.consent.record import ConsentRecord, Purpose, utc
from federated.consent.uses import Use
from federated.errors import (
    ConsentMissing,
    CorruptData,
    DataMissing,
    FederatedError,
    ModelCorrupt,
    NodeUnavailable,
    NotPermitted,
    QueryLost,
    SchemaMismatch,
    ScopeNotCovered,
    SealBroken,
    StoreOutdated,
    UseLogTampered,
)
from federated.governance.cards.card import Card
from federated.governance.manifest import Manifest
from federated.governance.model_registry import ModelRegistry
from federated.governance.monitoring.feature_drift import FeatureDrift, feature_drift
from federated.governance.monitoring.score_log import Answered
from federated.governance.oversight import Monitoring, Oversight
from federated.governance.served import ApprovedModels
from federated.governance.weights import ScoringModel
from federated.models.encoding.binning import IntArray
from federated.models.served.hidden import HiddenFunction
from federated.models.served.reasons import Reason
from federated.models.served.scaling import score_of
from federated.nodes.bank import BankNode, ToldScore
from federated.nodes.grid import GridNode
from federated.nodes.masks import unmasked_sum
from federated.nodes.node import PartialRequest, PartialScore
from federated.nodes.store import NodeStore
from federated.serving import consents
from federated.serving.hidden.bank import Answer
from federated.serving.hidden.conversation import AskedGrid, Conversations
from federated.serving.parties import GridParty
from federated.serving.queries import SCORE_VALIDITY, Basis, Electricity, NoFile, Score, ScoreQuery
from federated.serving.recording import Recorder
from federated.words import Language

Told = TypeVar("Told")
PAGE = 100
# How long a grid company may take for its share before the bank is answered without it.
GRID_DEADLINE_S = 2.0
# How long a node may take to count its customers before it is named as not counted.
COUNT_DEADLINE_S = 20.0
# How many queries one grid company is asked at once.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """What one version makes of a query. `grid_id` is whose share is in the score, None for the bank's alone."""

    score: int
    reasons: tuple[Reason, ...]
    electricity: Electricity
    grid_id: str | None


def _introduce(nodes: Iterable[BankNode | GridNode]) -> dict[str, FederatedError]:
    """Let the nodes of one machine, who meet here for the first time, pin each other's keys: each may deal to others.

    Between organisations a register or certificates do that. Returns the nodes that cannot say their key, or say
    another than the one that somebody knows them by: their masks would not cancel.
    """
    keys: dict[BankNode | GridNode, bytes] = {}
    strange: dict[str, FederatedError] = {}
    for node in nodes:
        try:
            keys[node] = node.public_key()
        except NodeUnavailable as error:
            strange[node.org_id] = error
    for node in keys:
        for peer, key in keys.items():
            if node is not peer:
                try:
                    node.pin_peer(peer.org_id, key)
                except NotPermitted as error:
                    strange[peer.org_id] = error
    return strange


def _turns() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="grid-share")


class Network:
    """All nodes and the model registry under one home directory. Safe to call from several threads."""

    def __init__(
        self,
        banks: Mapping[str, BankNode],
        grids: Mapping[str, GridParty],
        oversight: Oversight,
        models: ApprovedModels,
        broken: Mapping[str, FederatedError] | None = None,
        conversations: Conversations | None = None,
    ) -> None:
        """`conversations` are those of all nodes if none are given, which must be here then."""
        self._banks = dict(sorted(banks.items()))
        self._grids = dict(sorted(grids.items()))
        self._broken = dict(broken or {})
        self.oversight = oversight
        self._recorder = Recorder(oversight)
        self._models = models
        self._fitting: ScoringModel | None = None
        here: list[BankNode | GridNode] = [*self._banks.values()]
        here += [grid for grid in self._grids.values() if isinstance(grid, GridNode)]
        self._conversations = conversations or Conversations.of(here, models)
        # One for each grid company: where one of them is slow, no other waits for its turn.
        self._pools = {org_id: _turns() for org_id in self._grids}
        # Counting takes a node much longer than a share, and must not take a score's turn.
        self._counters = ThreadPoolExecutor(max_workers=4, thread_name_prefix="column-counts")

    def join(self, grid: GridParty, asked: AskedGrid) -> None:
        """Know a grid company elsewhere, that was met later than this network was made."""
        self._conversations.grids[grid.org_id] = asked
        self._pools.setdefault(grid.org_id, _turns())
        self._grids = dict(sorted({**self._grids, grid.org_id: grid}.items()))

    @staticmethod
    def open(home: Path, clock: Clock = system_clock) -> Network:
        """Open every node store under `home`/nodes. Raises `DataMissing` if there is none, `CorruptData` if none opens.

        A node whose store or keys cannot be read, or whose log of uses was tampered with, counts as down: its own
        customers get `NodeUnavailable`, others go on. `clock` is each node's own: all of them run on this machine.
        Raises `StoreOutdated` for stores of an earlier version, `NodeUnavailable` if no bank can open its keys.
        """
        paths = sorted((home / "nodes").glob("*.db"))
        if not paths:
            raise DataMissing(f"no node stores under {home / 'nodes'}")
        stores: list[NodeStore] = []
        broken: dict[str, FederatedError] = {}
        for path in paths:
            try:
                stores.append(NodeStore(path))
            except (CorruptData, UseLogTampered) as error:
                broken[path.stem] = error
            except StoreOutdated:
                for store in stores:
                    store.close()
                raise
        if not any(store.role == "bank" for store in stores):
            raise CorruptData(f"no bank's store under {home / 'nodes'} can be read: {', '.join(broken)}")
        oversight = Oversight(home, ModelRegistry(home))
        models = ApprovedModels(ModelRegistry(home), oversight.governance)
        banks = {s.org_id: BankNode(s, clock, models) for s in stores if s.role == "bank"}
        grids = {s.org_id: GridNode(s, clock, models) for s in stores if s.role == "grid"}
        strange = _introduce([*banks.values(), *grids.values()])
        broken |= strange
        for org_id in strange:
            (banks.pop(org_id, None) or grids.pop(org_id)).store.close()
        if not banks:
            for grid in grids.values():
                grid.store.close()
            oversight.close()
            raise NodeUnavailable(f"no bank's node can be opened: {strange[min(strange)].detail}", node=min(strange))
        network = Network(banks, grids, oversight, models, broken)
        for bank in banks.values():
            with suppress(NodeUnavailable):
                consents.deliver(bank, grids)
        for node in (*banks.values(), *grids.values()):
            # What cannot be forgotten now is once the network is opened again.
            with suppress(NodeUnavailable, ModelCorrupt):
                node.forget_functions()
        return network

    def close(self) -> None:
        """Close every node's store and the score log."""
        self._recorder.close()
        self._conversations.close()
        for pool in (*self._pools.values(), self._counters):
            pool.shutdown(wait=False, cancel_futures=True)
        for node in self._nodes:
            node.close()
        self.oversight.close()

    @property
    def _nodes(self) -> list[BankNode | GridParty]:
        return [*self._banks.values(), *self._grids.values()]

    @property
    def authority(self) -> bytes:
        """The public key (32 bytes) of the identity authority that every node pins. Raises `CorruptData` if they pin
        different ones: then nobody can say who attests a subject's key."""
        pinned = {node.authority for node in self._nodes}
        if len(pinned) != 1:
            raise CorruptData("the nodes pin different identity authorities")
        return pinned.pop()

    @property
    def broken_ids(self) -> tuple[str, ...]:
        """Nodes whose store could not be opened, in order."""
        return tuple(sorted(self._broken))

    @property
    def bank_ids(self) -> tuple[str, ...]:
        """The banks of this network, in order."""
        return tuple(self._banks)

    @property
    def grid_ids(self) -> tuple[str, ...]:
        """The grid companies of this network, in order."""
        return tuple(self._grids)

    def bank_node(self, bank_id: str) -> BankNode:
        """A bank's node. Raises `NotPermitted` for no bank of this network, `NodeUnavailable` for a broken store."""
        if bank_id in self._broken:
            raise NodeUnavailable(f"{bank_id} cannot read its store", node=bank_id) from self._broken[bank_id]
        try:
            return self._banks[bank_id]
        except KeyError:
            raise NotPermitted(f"{bank_id} is not a bank of this network", bank_id=bank_id) from None

    def grid_node(self, grid_id: str) -> GridNode:
        """A grid company's node. Raises `NotPermitted` for an organisation that is none of this network, or whose node
        is not here."""
        node = self._grids.get(grid_id)
        if node is None:
            raise NotPermitted(f"{grid_id} is not a grid company of this network", grid_id=grid_id)
        if not isinstance(node, GridNode):
            raise NotPermitted(f"{grid_id} runs in a process of its own", grid_id=grid_id)
        return node

    def record_consent(self, record: ConsentRecord) -> ConsentRecord:
        """Record a consent that its subject signed, at its bank and at the grid company that it names.

        See `consents.record`.
        """
        if record.grid_id in self._broken:
            raise NodeUnavailable(f"{record.grid_id} cannot read its store", node=record.grid_id)
        return consents.record(self.bank_node(record.bank_id), self._grids, record)

    def withdraw_consent(
        self, consent_id: str, bank_id: str, at: datetime, by: str, signature: bytes = b""
    ) -> ConsentRecord:
        """Withdraw a consent everywhere, on the word of `by`, with the subject's `signature` if it signed.

        See `consents.withdraw`. Raises `NotPermitted`, `ConsentMissing`, `InvalidTime`, `ConsentSignatureInvalid`.
        """
        bank = self.bank_node(bank_id)
        # A node that could not be opened may be a grid company: it is told once it is back.
        absent = tuple(self._broken)
        return consents.withdraw(bank, self._grids, absent, consent_id, at, by, signature)

    def uses_of(self, subject_id: str) -> tuple[dict[str, list[Use]], tuple[str, ...]]:
        """What each node did with a subject's data, newest first, and the nodes that cannot tell.

        A node whose log of uses was tampered with is among those that cannot.
        """
        uses, silent = consents.uses_of(self._nodes, subject_id)
        return uses, tuple(sorted((*silent, *self._broken)))

    def usable_consent(
        self, consent_id: str, bank_id: str, subject_id: str, purpose: Purpose, at: datetime
    ) -> ConsentRecord:
        """A consent that opens the bank's file for this purpose at `at`. Raises consent errors, `NotPermitted`."""
        return self.bank_node(bank_id).usable_consent(consent_id, subject_id, purpose, at)

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
        """Manifests of every registered version, oldest first. Raises `ModelCorrupt`."""
        return self.oversight.manifests()

    def champion(self, at: datetime) -> Manifest:
        """Manifest of the version that scores at `at`. Raises `ModelNotFound`, `ModelExpired`, `ModelCorrupt`."""
        return self.oversight.governance.champion(at)

    def monitoring(self, at: datetime) -> Monitoring:
        """What the scores answered so far show. Raises `ModelNotFound`, `ModelCorrupt`."""
        self._recorder.settle()
        return self.oversight.monitoring(at)

    def feature_drift(self, at: datetime) -> FeatureDrift:
        """How the customers whom nodes may review at `at` differ from the champion's training rows, column by column.

        Also of a champion whose approval has lapsed. Nodes that took part in its training count, all at once; one that
        is down, broken, slower than `COUNT_DEADLINE_S` or without one of the columns is named as unavailable. Raises
        `ModelNotFound`, `ModelCorrupt`.
        """
        manifest = self.oversight.appointed()
        nodes: dict[str, BankNode | GridParty] = {**self._banks, **self._grids}
        moment = utc(at)
        asked = {
            org_id: self._counters.submit(nodes[org_id].column_counts, self._cuts(manifest, nodes[org_id].role), moment)
            for org_id in manifest.participants
            if org_id in nodes
        }
        counted: dict[str, dict[str, dict[str, IntArray]]] = {role: {} for role in manifest.feature_reference}
        deadline = time.monotonic() + COUNT_DEADLINE_S
        for org_id, answer in asked.items():
            try:
                counts = answer.result(timeout=max(0.0, deadline - time.monotonic()))
            except (NodeUnavailable, CorruptData, SchemaMismatch, TimeoutError):
                continue
            counted.setdefault(nodes[org_id].role, {})[org_id] = counts
        answered = sorted(org_id for by_node in counted.values() for org_id in by_node)
        missing = sorted(set(manifest.participants) - set(answered))
        columns = feature_drift(manifest.feature_reference, counted)
        # All nodes of a network hold the same kinds of columns, and at least one bank's store is open.
        schema = next(iter(self._banks.values())).store.schema
        return FeatureDrift(manifest.version, schema, moment, columns, tuple(answered), tuple(missing))

    @staticmethod
    def _cuts(manifest: Manifest, role: str) -> dict[str, tuple[float, ...]]:
        return {column: each.cuts for column, each in manifest.feature_reference.get(role, {}).items()}

    def card(self, version: str, language: Language, at: datetime) -> Card:
        """A version's model card as of `at`. Raises `VersionNotFound`, `ModelCorrupt`."""
        self._recorder.settle()
        return self.oversight.card(version, language, at)

    def score(self, query: ScoreQuery) -> Score | NoFile:
        """Score one customer of the asking bank.

        Consent is checked at the bank first, then the file is looked up, then the grid company that the consent names
        is asked, and no other, and checks consent itself. If the consent does not open electricity data, the grid
        company has no file or does not answer in time, the bank-only companion answers, and `basis` and `electricity`
        say so. The champion scores; a challenger does so in its shadow, which no answer shows. Raises consent errors,
        `NotPermitted`, `InvalidTime`, `ModelNotFound`, `ModelExpired`, `ModelCorrupt`, `SchemaMismatch`,
        `NodeUnavailable` (of the bank's own node), `SealBroken`, and `QueryBudgetSpent` of a grid company: no bank-only
        answer stands in for it, so that nobody plays one answer off against the other.
        """
        at = utc(query.at)
        bank = self.bank_node(query.bank_id)
        request = PartialRequest(query.bank_id, query.subject_id, query.consent_id, Purpose(query.purpose), at, "")
        if not bank.admits(request):
            return NoFile(query.subject_id, at)
        manifest = self.champion(at)
        absent = set(manifest.participants) - {*self._banks, *self._grids}
        holders = consents.holders(bank.own_consent(query.consent_id), (*self._grids, *sorted(absent)))
        evaluated = self._evaluate(request, manifest, holders)
        if evaluated is None:
            return NoFile(query.subject_id, at)
        basis = Basis.BANK_ONLY if evaluated.grid_id is None else Basis.JOINT
        told = ToldScore(
            evaluated.score, evaluated.reasons, basis.value,
            self.oversight.governance.manifest_sha256(manifest.version), manifest.weights_sha256,
            from_micros(to_micros(at)) + SCORE_VALIDITY,
        )  # fmt: skip
        signed = bank.state(replace(request, model=manifest.version), told)
        # The challenger asks only the grid company that answered: same basis, and nobody is waited for twice.
        grids = () if evaluated.grid_id is None else (evaluated.grid_id,)
        electricity = evaluated.electricity if manifest.joint else Electricity.NOT_USED
        self._recorder.record(
            Answered(at, query.bank_id, basis.value, manifest.version, evaluated.score),
            lambda challenger: self._shadow_score(request, challenger, grids),
        )
        return Score(
            subject_id=query.subject_id,
            score=evaluated.score,
            probability=signed.statement.probability,
            grade=signed.statement.grade,
            reasons=evaluated.reasons,
            model_version=manifest.version,
            basis=basis,
            electricity=electricity,
            data_origin=manifest.data_origin,
            scored_at=at,
            statement=signed,
        )

    def _shadow_score(self, request: PartialRequest, manifest: Manifest, grids: Sequence[str]) -> int | None:
        """The challenger's score of the same query, without reasons; None if it rests on another basis."""
        evaluated = self._evaluate(request, manifest, grids, explained=False)
        same = evaluated is not None and (evaluated.grid_id is not None) == bool(grids)
        return evaluated.score if evaluated is not None and same else None

    def _evaluate(
        self, request: PartialRequest, manifest: Manifest, grids: Sequence[str], *, explained: bool = True
    ) -> _Evaluated | None:
        """What a version makes of a query, asking these grid companies in turn; None if the bank has no file."""
        request = replace(request, model=manifest.version)
        bank, model = self._banks[request.bank_id], self._model(manifest)
        if not manifest.joint:
            grids = ()
        if isinstance(model.joint_grid, HiddenFunction):

            def hidden(grid_id: str) -> tuple[str, Answer] | None:
                answer = self._conversations.score(request, model, grid_id, explained=explained)
                return None if answer is None else (grid_id, answer)

            told, electricity = self._first_of(grids, hidden)
            if told is not None:
                return _Evaluated(told[1].score, told[1].reasons, electricity, told[0])
            grid = None
        else:

            def partial(grid_id: str) -> PartialScore | None:
                return self._grids[grid_id].partial(request, explained=explained)

            grid, electricity = self._first_of(grids, partial)
        alone = grid is None
        own = bank.partial(request, grid, explained=explained)
        if own is None:
            return None
        logit = unmasked_sum(own.passed_on.share, 0 if grid is None else grid.share)
        score = score_of(model.calibrated(logit, request.bank_id, alone=alone))
        return _Evaluated(score, own.reasons, electricity, None if grid is None else grid.org_id)

    def _first_of(self, grids: Sequence[str], ask: Callable[[str], Told | None]) -> tuple[Told | None, Electricity]:
        """What the first grid company answers that has a file and consent for it, else why there is none.

        Only a scope, a copy that never reached the grid company, or silence falls back to the bank: a node that began
        anew meanwhile, or a query that somebody spoilt, is as good as silent. A withdrawn or expired consent there is
        an inconsistency between nodes and refuses the query.
        """
        silent = not set(grids) <= set(self._grids)
        denied = not grids
        for org_id in grids:
            if org_id not in self._grids:
                continue
            asked = self._pools[org_id].submit(ask, org_id)
            try:
                found = asked.result(timeout=GRID_DEADLINE_S)
            except (ScopeNotCovered, ConsentMissing):
                denied = True
            except (NodeUnavailable, CorruptData, QueryLost, SealBroken, TimeoutError):
                asked.cancel()
                silent = True
            else:
                if found is not None:
                    return found, Electricity.INCLUDED
        if denied:
            return None, Electricity.NOT_CONSENTED
        return None, Electricity.UNAVAILABLE if silent else Electricity.NO_FILE

    def _model(self, manifest: Manifest) -> ScoringModel:
        """A version's functions and calibrations. Raises `SchemaMismatch` if it reads other columns than nodes hold."""
        model = self._models.load(manifest)
        if self._fitting is not model:
            self._require_columns(manifest, model)
            self._fitting = model
        return model

    def _require_columns(self, manifest: Manifest, model: ScoringModel) -> None:
        scorers = {"bank": (model.joint_bank, model.bank_only), "grid": (model.joint_grid,)}
        for node in self._nodes:
            party = node.party
            held = tuple(party.columns[j] for j in party.lending)
            read = manifest.columns.get(node.role, ())
            sizes = {scorer.n_features for scorer in scorers[node.role]}
            if read != held or sizes != {len(held)}:
                odd = sorted(set(read) ^ set(held)) or ["in another order or number"]
                detail = f"{node.org_id}: columns differ from those of {manifest.model} {manifest.version}: {odd}"
                raise SchemaMismatch(detail, party=node.org_id, column=odd[0])
