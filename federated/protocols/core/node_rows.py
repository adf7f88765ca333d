"""A node's own file as rows of a session: who takes part, who is held out, and where the other side's rows sit."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.consent.instants import from_micros
from federated.consent.record import Purpose
from federated.consent.uses import Action
from federated.errors import CorruptData, TooFewRows
from federated.models.encoding.categories import RawTable
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.node import Node
from federated.nodes.row_sets import LEAST_APART, Digests, digests_of, require_wide
from federated.privacy.ledgers import dataset_of, ledger_of
from federated.protocols.core.messages import Content
from federated.protocols.core.rows import NOBODY, BankRows, GridRows

Positions = NDArray[np.int64]
# What a bank remembers of its customers: whose defaults were counted, whom runs fitted and held out.
GRIDS_MEMORIES = ("counted", "fitted")
MEMORIES = ("counted", "counted alone", "fitted", "fitted alone")


class NodeSource:
    """Rows of one node, read anew at every opening. Protected columns never leave the store."""

    def __init__(self, node: BankNode | GridNode) -> None:
        self.node = node
        self.org_id, self.role = node.org_id, node.role
        self._lending = list(node.party.lending)
        self.columns = tuple(node.party.columns[j] for j in self._lending)

    def card(self) -> dict[str, Any]:
        """What a node tells of itself besides its name: schema, origin and hash of its data."""
        store = self.node.store
        return {
            "schema_id": store.schema.schema_id,
            "schema": store.schema.text,
            "data_origin": store.data_origin,
            "data_sha256": store.data_sha256,
        }

    def open(self, content: Content) -> BankRows | GridRows:
        """Rows for `fold`, or with `NOBODY` held out, at the instant `at_us`; with `joint`, a bank trains on aligned
        customers only, and so it does where these are nearly all.

        A bank's own privacy ledger is asked. Raises `PrivacyBudgetExceeded`, `PrivacyLedgerCorrupt`, or `CorruptData`
        naming party and column, `TooFewRows`, `RowsTooAlike`, `TrainingFailed` if the message lacks a field.
        """
        at = from_micros(content.integer("at_us"))
        if isinstance(self.node, BankNode):
            self._begin(self.node)
        table = self.node.store.table()
        raw = RawTable(self.columns, table.values[:, self._lending], {})
        groups = _groups(self.node, table.values)
        row = {subject: i for i, subject in enumerate(table.subjects)}
        if isinstance(self.node, GridNode):
            return GridRows(
                self.org_id, raw, self._of_banks(row, at), groups, self._keep,
                _remembering(self.node, digests_of(table.subjects)),
            )  # fmt: skip
        allowed = self._allowed(self.org_id, at)
        # Who has no outcome yet is neither fitted nor judged, and takes no part at an aligned position.
        known = table.labels >= 0
        peers = {peer: np.where(known[rows], rows, -1) for peer, rows in self._peers(row, at).items()}
        consented = known & np.array([subject in allowed for subject in table.subjects], dtype=np.bool_)
        aligned = np.zeros(len(table.subjects), dtype=np.bool_)
        for rows in peers.values():
            aligned[rows[rows >= 0]] = True
        fold = content.integer("fold")
        out = (table.folds == fold) & (fold != NOBODY)
        training, others = consented & ~out & aligned, consented & ~aligned
        # A run over few customers more than those in common tells of the few, and so does one less a fold of few.
        of_fold = np.bincount(table.folds[others] + 1)
        least = min(LEAST_APART, self.node.training_limit.least_rows)
        if not content.integer("joint") and not np.any((of_fold > 0) & (of_fold < least)):
            training |= others & ~out
        digests = digests_of(table.subjects)
        self._remember(self.node, digests[training], "counted" if content.integer("joint") else "counted alone")
        if len(np.unique(table.labels[training])) < 2:
            detail = f"{self.org_id}: column y has one class only among training rows"
            raise CorruptData(detail, party=self.org_id, column="y")
        held_out = consented & out & aligned
        read = [table.subjects[i] for i in np.flatnonzero(training | held_out)]
        self._log(self.org_id, at, {subject: allowed[subject] for subject in read})
        limit = self.node.training_limit
        return BankRows(
            self.org_id, raw, table.labels, training, held_out, peers, groups, limit.least_rows, limit.least_apart,
            digests, self.node.row_sets("fitted"), self.node.row_sets("fitted alone"),
            self._keep,
        )  # fmt: skip

    def _keep(self, function_id: str, part: bytes, dealing: Mapping[str, bytes]) -> None:
        if isinstance(self.node, BankNode):
            self.node.keep_function(function_id, part)
        else:
            self.node.keep_function(function_id, np.frombuffer(part, dtype="<u8").astype(np.uint64))
        for grid, key in dealing.items():
            self.node.keep_dealing(function_id, grid, key)

    @staticmethod
    def _remember(bank: BankNode, training: Digests, counted: str) -> None:
        """The operator is told how many of a bank's training rows are defaults, or that none or all are: not of a few,
        and of nearly the same ones once. Raises `TooFewRows`, `RowsTooAlike`."""
        sets, number = bank.row_sets(counted), secrets.randbits(64)
        least = min(LEAST_APART, bank.training_limit.least_rows)
        if len(training) < least:
            raise TooFewRows(f"{bank.org_id} does not count defaults of {len(training)} customers", least=least)
        require_wide([training], [one for of in MEMORIES for one in bank.row_sets(of).sets], least)
        sets.begin(number, [training], [[len(training)]], [sets.known([training])], [least])

    @staticmethod
    def _begin(bank: BankNode) -> None:
        """Have the bank's own ledger count a run without noise on its labels, before a row is read."""
        now, limit = bank.now(), bank.training_limit
        ledger_of(bank.store).begin(dataset_of(bank), limit.runs, now - limit.window, now)

    def _of_banks(self, row: dict[str, int], at: datetime) -> dict[str, Positions]:
        """A grid company's own row behind each position of each bank, −1 where consent has since ended."""
        of_banks = {}
        for bank in self.node.store.peers():
            allowed = self._allowed(bank, at, self.org_id)
            of_banks[bank] = self._aligned(bank, row, set(allowed))
            read = set(self.node.store.alignment(bank)) & set(allowed)
            self._log(bank, at, {subject: allowed[subject] for subject in read})
        return of_banks

    def _allowed(self, bank_id: str, at: datetime, grid_id: str = "") -> dict[str, str]:
        consents = self.node.training_consents(bank_id, at, grid_id=grid_id)
        return {subject: record.consent_id for subject, record in consents.items()}

    def _log(self, bank_id: str, at: datetime, used: dict[str, str]) -> None:
        self.node.log_batch(Action.TRAINING, bank_id, Purpose.MODEL_TRAINING, at, used)

    def _aligned(self, peer: str, row: dict[str, int], allowed: set[str]) -> Positions:
        own = self.node.store.alignment(peer)
        return np.array([row[s] if s in allowed else -1 for s in own], dtype=np.int64)

    def _peers(self, row: dict[str, int], at: datetime) -> dict[str, Positions]:
        """Own row behind each aligned position, −1 where an earlier peer serves it or consent has since ended."""
        taken: set[str] = set()
        positions = {}
        for peer in self.node.store.peers():
            allowed = set(self._allowed(self.org_id, at, peer))
            positions[peer] = self._aligned(peer, row, allowed - taken)
            taken.update(self.node.store.alignment(peer))
        return positions


def _remembering(grid: GridNode, digests: Digests) -> Callable[[str, NDArray[np.bool_]], None]:
    """Whom a grid company opens sketches, counts and Gram matrices over is what banks and the operator say: of few it
    opens nothing, nor of nearly the same customers as before. Raises `TooFewRows`, `RowsTooAlike`."""

    def remember(of: str, taken: NDArray[np.bool_]) -> None:
        own, sets, least = digests[taken], grid.row_sets(of), grid.least_apart
        if len(own) < least:
            raise TooFewRows(f"{grid.org_id} opens nothing over {len(own)} customers", least=least)
        require_wide([own], [one for name in GRIDS_MEMORIES for one in grid.row_sets(name).sets], least)
        sets.begin(secrets.randbits(64), [own], [[len(own)]], [sets.known([own])], [least])

    return remember


def _groups(node: Node, values: NDArray[np.float64]) -> dict[str, Positions]:
    """Each segment's group number of every row, −1 where the column is missing."""
    groups = {}
    for segment in node.party.segments:
        column = values[:, node.party.columns.index(segment.column)]
        code = np.searchsorted(segment.cuts, column, side="left")
        groups[segment.name] = np.where(np.isnan(column), -1, code).astype(np.int64)
    return groups
