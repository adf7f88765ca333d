"""What a node computes while the zoo learns: sums, its own blocks, and what it tells the other side.

A bank's residual y − p and curvature p(1 − p) go to grid companies in the clear: the sign of a residual is the label
(`protocols.protected` trains without that).
"""

from __future__ import annotations

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import Float32Array, FloatArray
from federated.models.learners.boosting import TreeRows
from federated.models.learners.convex import Basis
from federated.models.learners.scorecard import EvidenceBasis
from federated.protocols.core.messages import Arrays, Content, prefixed
from federated.protocols.core.node import Mask, SessionNode
from federated.protocols.core.rows import BankRows, gathered, left_out, spread

# Rows whose outcome is all but certain still bend the grid company's quadratic model, so its step is bounded.
MIN_CURVATURE = 0.02


class LearnerNode:
    """One node's state while learners are fitted in an open session. Vectors are (members, rows) over own rows."""

    def __init__(self, node: SessionNode) -> None:
        self.rows, self.count, self.training, self.inner = node.rows, node.count, node.training, node.inner
        self.values, self.binning = node.values, node.binning
        self.trees = TreeRows(node.binning.codes(node.values), node.binning)
        self.encoded = node.encoder.encode(node.values)
        self.own = self.residual = self.curvature = self.offset = self._before = np.zeros((0, self.count))
        self._told: tuple[FloatArray, FloatArray] | None = None
        self.member_fold: IntArray = np.zeros(0, dtype=np.int64)
        self.final: dict[str, FloatArray] = {}
        self.platt: FloatArray = np.array([1.0, 0.0])
        self._left_out: Mask = np.zeros((0, self.count), dtype=np.bool_)
        self._columns: tuple[object, Float32Array] | None = None
        self.block_start = self.own

    def begin(self, member_fold: IntArray, base: float) -> None:
        """Start a learner: one member an entry of `member_fold`, every logit at `base`."""
        self.member_fold = member_fold
        self._left_out = left_out(self.inner, member_fold)
        self.own = np.full((len(member_fold), self.count), base)
        self.offset = np.zeros_like(self.own)
        self._told = None
        self._columns = None

    @property
    def fits(self) -> Mask:
        """Which rows each member fits, (members, rows): training rows outside its inner fold."""
        if len(self.member_fold) and self.member_fold.max() < 0:
            return np.tile(self.training, (len(self.member_fold), 1))
        return np.asarray(self.training & ~self._left_out)

    def hear(self, content: Content) -> None:
        """Take what the other side told: grid companies' partial logits, or banks' residuals and curvatures."""
        logits, residuals = content.under("logits"), content.under("residuals")
        if logits:
            self.offset = spread(logits, self.rows.peers, self.count)
        if residuals:
            told = [spread(content.under(name), self.rows.peers, self.count) for name in ("residuals", "curvature")]
            self._told, self._before = (told[0], told[1]), self.own.copy()
        self.refresh()

    def refresh(self) -> None:
        """Residuals and curvatures at the current logits; 0 on rows that a member does not fit."""
        if isinstance(self.rows, BankRows):
            p = 1.0 / (1.0 + np.exp(-(self.own + self.offset)))
            fits = self.fits
            self.residual = np.where(fits, self.rows.labels - p, 0.0)
            self.curvature = np.where(fits, np.maximum(p * (1.0 - p), 1e-6), 0.0)
        elif self._told is None:
            raise TrainingFailed(f"{self.rows.org_id}: no residuals were received")
        else:
            start, self.curvature = self._told
            self.residual = start - self.curvature * (self.own - self._before)

    def tell(self) -> Arrays:
        """What the other side needs next: residuals and curvatures of a bank, partial logits of a grid company."""
        if not isinstance(self.rows, BankRows):
            return prefixed("logits", gathered(self.own, self.rows.peers))
        bounded = np.where(self.curvature > 0, np.maximum(self.curvature, MIN_CURVATURE), 0.0)
        told = prefixed("residuals", gathered(self.residual, self.rows.peers))
        return told | prefixed("curvature", gathered(bounded, self.rows.peers))

    def losses(self) -> FloatArray:
        """Of a bank: each member's logistic loss summed over its inner fold, (members,)."""
        if not isinstance(self.rows, BankRows):
            return np.zeros(0)
        total = self.own + self.offset
        loss = np.logaddexp(0.0, total) - self.rows.labels * total
        return np.asarray(np.where(self._left_out, loss, 0.0).sum(axis=1))

    def columns(self, basis: Basis | EvidenceBasis, key: object) -> Float32Array:
        """Design matrix of a convex learner, computed once per basis."""
        if self._columns is None or self._columns[0] != key:
            self._columns = (key, basis.columns(self.values))
        return self._columns[1]

    def inner_masks(self, folds: int) -> FloatArray:
        """Rows of each inner fold that take part: (folds, rows). A grid company sees them by curvatures of 0."""
        if isinstance(self.rows, BankRows):
            if self.member_fold.max() < 0:
                return np.asarray(self.training[None, :], dtype=np.float64)
            return left_out(self.inner, np.arange(folds)).astype(np.float64)
        takes_part = self.curvature.max(axis=0) > 0
        per_fold = len(self.member_fold) // folds
        if self.member_fold.max() < 0:
            return np.asarray(takes_part[None, :], dtype=np.float64)
        unbent = self.curvature[::per_fold] == 0
        return np.asarray(unbent & takes_part, dtype=np.float64)
