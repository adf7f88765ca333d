"""A bank's rows during one fold: which are trained, validated or held out on, and where its peers' rows sit."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from federated.consent.store import from_micros
from federated.errors import CorruptData, TrainingFailed
from federated.models.encoding import Float32Array
from federated.models.splits import BoolArray, validation_rows
from federated.nodes.bank import BankNode
from federated.training.messages import Arrays, Content
from federated.training.node_app import EncodedFile


class Roles:
    """Which of the bank's rows are trained, validated or held out on in one fold, and where its peers' rows sit."""

    def __init__(self, node: BankNode, file: EncodedFile, content: Content) -> None:
        table = file.table
        allowed = node.training_subjects(node.org_id, from_micros(content.integer("at_us")))
        consented = np.array([subject in allowed for subject in table.subjects])
        fold = content.integer("fold")
        self.training: BoolArray = consented & (table.folds != fold)
        share, seed = content.number("validation_share"), content.integer("seed")
        self.validation = validation_rows(table.labels, self.training, share, seed, fold)
        self.fitting: BoolArray = self.training & ~self.validation
        self.peers = self._peer_rows(node, table.subjects, allowed)
        self.aligned = np.zeros(len(table.subjects), dtype=np.bool_)
        for rows in self.peers.values():
            self.aligned[rows[rows >= 0]] = True
        self.held_out: BoolArray = consented & (table.folds == fold) & self.aligned
        if len(np.unique(table.labels[self.fitting])) < 2:
            detail = f"{node.org_id}: column y has one class only among training rows"
            raise CorruptData(detail, party=node.org_id, column="y")

    @staticmethod
    def _peer_rows(node: BankNode, subjects: tuple[str, ...], allowed: set[str]) -> dict[str, NDArray[np.int64]]:
        """Own row behind each aligned position, −1 where an earlier peer serves it or consent has since ended."""
        row = {subject: i for i, subject in enumerate(subjects)}
        taken: set[str] = set()
        found = {}
        for peer in node.store.peers():
            own = node.store.alignment(peer)
            found[peer] = np.array([row[s] if s in allowed and s not in taken else -1 for s in own], dtype=np.int64)
            taken.update(own)
        return found


class BankSide:
    """The bank's rows, roles and running sums of logits during one fold."""

    def __init__(self, node: BankNode, content: Content) -> None:
        self.file = EncodedFile(node)
        self.roles = Roles(node, self.file, content)
        self.labels = torch.from_numpy(self.file.table.labels.astype(np.float32))

    def spread(self, logits: Arrays, members: int) -> Float32Array:
        """Grid companies' partial logits over own rows: (rows, members), 0 where no grid company has a file."""
        out = np.zeros((len(self.labels), members), dtype=np.float32)
        for peer, values in logits.items():
            rows = self.roles.peers[peer]
            if len(rows) != len(values):
                raise TrainingFailed(f"{peer} sent {len(values)} logits for {len(rows)} aligned rows")
            out[rows[rows >= 0]] = values[rows >= 0]
        return out

    def vectors(self, values: Float32Array, mask: BoolArray) -> Arrays:
        """`values` (rows, …) at each peer's aligned positions, 0 where `mask` is off."""
        return {
            peer: np.where((mask[rows] & (rows >= 0)).reshape(-1, *[1] * (values.ndim - 1)), values[rows], 0.0).astype(
                np.float32
            )
            for peer, rows in self.roles.peers.items()
        }
