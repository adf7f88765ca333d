"""Was this record in the training rows? Likelihood-ratio attack with shadow models on a released model.

Source: Carlini et al., "Membership inference attacks from first principles" (IEEE S&P 2022), on-line variant. The
attacker knows every record but not who was drawn, can train as many models of the same kind on draws of its own as it
likes, noise included, and sees the released model: more than anybody outside a bank has. Each model serves once as the
target while all others are shadows, so no target's own draw helps to attack it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.ramps import FloatArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Membership:
    """AUC of telling members from others, and the share of members found at 1 % and 0.1 % false alarms.

    `auc_error` is the standard error of the AUC over target models.
    """

    models: int
    records: int
    auc: float
    auc_error: float
    tpr_at_1_percent: float
    tpr_at_01_percent: float


def confidence(logits: FloatArray, labels: NDArray[np.int64]) -> FloatArray:
    """Log-odds (…, rows) that a model gives to each record's true label: what the attack looks at."""
    return np.asarray(logits * (2.0 * labels - 1.0), dtype=np.float64)


def likelihood_ratios(seen: FloatArray, member: BoolArray) -> FloatArray:
    """Log-likelihood ratios in : out (models, rows), each model against normals fitted to all the others.

    `seen` (models, rows) confidences, `member` (models, rows) who was in whose training rows. Every record needs three
    models or more on either side besides the target. One variance a record serves both sides: with few shadows two
    would be noise.
    """
    inside = _left_out(seen, member)
    outside = _left_out(seen, ~member)
    spread = (inside.squares + outside.squares) / np.maximum(inside.count + outside.count - 2.0, 1.0)
    spread = np.maximum(spread, 1e-12)
    return np.asarray(((seen - outside.mean) ** 2 - (seen - inside.mean) ** 2) / (2.0 * spread))


@dataclass(frozen=True, slots=True)
class _Side:
    count: FloatArray
    mean: FloatArray
    squares: FloatArray


def _left_out(seen: FloatArray, chosen: BoolArray) -> _Side:
    """Count, mean and sum of squares about the mean of chosen models, (models, rows), without the model itself."""
    # About the record's overall mean first: sums of squares of large numbers would cancel.
    about = seen.mean(axis=0)
    moved = seen - about
    own = chosen.astype(np.float64)
    count = own.sum(axis=0) - own
    total = (moved * own).sum(axis=0) - moved * own
    square = (moved**2 * own).sum(axis=0) - moved**2 * own
    mean = total / np.maximum(count, 1.0)
    return _Side(count, mean + about, np.maximum(square - count * mean**2, 0.0))


def attacked(ratios: FloatArray, member: BoolArray, rows: NDArray[np.int64] | None = None) -> Membership:
    """How well `ratios` (models, all rows) tell `member`, over all records or the given `rows`."""
    if rows is not None:
        ratios, member = ratios[:, rows], member[:, rows]
    aucs = np.array([auc_of(r, m) for r, m in zip(ratios, member, strict=True)])
    inside, outside = ratios[member], ratios[~member]
    error = float(aucs.std(ddof=1) / np.sqrt(len(aucs))) if len(aucs) > 1 else 0.0
    return Membership(
        models=len(ratios),
        records=ratios.shape[1],
        auc=float(aucs.mean()),
        auc_error=error,
        tpr_at_1_percent=float((inside > np.quantile(outside, 0.99)).mean()),
        tpr_at_01_percent=float((inside > np.quantile(outside, 0.999)).mean()),
    )


def auc_of(ratios: FloatArray, member: BoolArray) -> float:
    """The share of pairs of a member and another that are in order; ties count half."""
    _, places, counts = np.unique(ratios, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2.0)[places]
    n = float(member.sum())
    return float((ranks[member].sum() - n * (n + 1) / 2.0) / (n * (len(ratios) - n)))
