"""A node's rows as the learners see them: values, who takes part, and where the other side's rows sit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from federated.errors import TrainingFailed
from federated.models.encoding.categories import RawTable
from federated.models.encoding.ramps import FloatArray
from federated.nodes.row_sets import Digests, RowSets
from federated.protocols.core.messages import Arrays, Content

Positions = NDArray[np.int64]
# Keeps a node's part of a hidden function by its id, and keys of masks that it deals by, by grid company.
Keep = Callable[[str, bytes, Mapping[str, bytes]], None]
# A group of fewer held-out rows at one bank is not reported by it.
LEAST_AUDITED = 10
# The fold of an opening in which nobody is held out.
NOBODY = -1


@dataclass(frozen=True, slots=True)
class BankRows:
    """A bank's rows: `labels` (rows,) in {0, 1}, `training` and `held_out` masks.

    `peers` gives, for each grid company, the own row behind each aligned position (−1 = not taking part). `groups`
    gives, for each segment that is audited, the row's group (−1 = unknown). `least_rows` is over how many customers of
    all banks together this bank lets gradients be opened; `digests` (rows,) say to `row_sets`, its memory of runs, and
    to `alone_sets`, that of runs of banks alone, who is who (without them it has none), and `least_apart` how many of
    those that are fitted two runs have to differ by. What a run leaves with this node is given to `keep` (None: nothing
    is kept).
    """

    org_id: str
    table: RawTable
    labels: NDArray[np.int64]
    training: NDArray[np.bool_]
    held_out: NDArray[np.bool_]
    peers: Mapping[str, Positions] = field(default_factory=dict)
    groups: Mapping[str, Positions] = field(default_factory=dict)
    least_rows: int = 0
    least_apart: int = 0
    digests: Digests = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    row_sets: RowSets | None = None
    alone_sets: RowSets | None = None
    keep: Keep | None = None


@dataclass(frozen=True, slots=True)
class GridRows:
    """A grid company's rows. `peers`: for each bank, the own row behind each aligned position; `groups` and `keep` as
    above. `remember` refuses to open something (its name) over few rows (rows,), or nearly those of an earlier run."""

    org_id: str
    table: RawTable
    peers: Mapping[str, Positions]
    groups: Mapping[str, Positions] = field(default_factory=dict)
    keep: Keep | None = None
    remember: Callable[[str, NDArray[np.bool_]], None] | None = None


class RowSource(Protocol):
    """Where a node's rows come from: its own store, or a table that is given."""

    org_id: str
    role: str
    columns: tuple[str, ...]

    def card(self) -> dict[str, Any]:
        """What else a node tells of itself, for the message that introduces it."""
        ...

    def open(self, content: Content) -> BankRows | GridRows:
        """The rows of one joint model. Raises `CorruptData` naming party and column."""
        ...


class GivenRows:
    """Rows that are there already, the same at every opening."""

    def __init__(self, rows: BankRows | GridRows) -> None:
        self._rows = rows
        self.org_id, self.columns = rows.org_id, rows.table.columns
        self.role = "bank" if isinstance(rows, BankRows) else "grid"

    def card(self) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def open(self, _: Content) -> BankRows | GridRows:
        """The given rows."""
        return self._rows


def inner_folds(
    labels: NDArray[np.int64], training: NDArray[np.bool_], folds: int, repeats: int, seed: int
) -> NDArray[np.int64]:
    """A bank's stratified inner folds (repeats, rows), numbered through all repeats; −1 = no training row."""
    rng = np.random.default_rng([seed, len(labels)])
    inner = np.full((repeats, len(labels)), -1)
    for repeat in range(repeats):
        for label in (0, 1):
            own = rng.permutation(np.flatnonzero(training & (labels == label)))
            inner[repeat, own] = repeat * folds + np.arange(len(own)) % folds
    return inner


def left_out(inner: NDArray[np.int64], folds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows of each inner fold of `folds`, (folds, rows)."""
    return np.asarray((inner[None, :, :] == folds[:, None, None]).any(axis=1))


def out_of_fold(logits: FloatArray, inner: NDArray[np.int64]) -> FloatArray:
    """Logits (rows,) by members that did not fit the row, the mean of the repeats that `logits` (members, rows) has."""
    own = left_out(inner, np.arange(len(logits)))
    return np.asarray(np.where(own, logits, 0.0).sum(axis=0) / np.maximum(own.sum(axis=0), 1))


def gathered(values: FloatArray, peers: Mapping[str, Positions]) -> Arrays:
    """`values` (members, rows) at every peer's aligned positions, 0 where a position takes no part; float32."""
    return {peer: np.where(rows >= 0, values[:, rows], 0.0).astype(np.float32) for peer, rows in peers.items()}


def spread(vectors: Mapping[str, NDArray[np.generic]], peers: Mapping[str, Positions], rows: int) -> FloatArray:
    """Peers' vectors (members, positions) over own rows: (members, rows), 0 where no peer has the customer.

    Raises `TrainingFailed` if a vector does not have the agreed length.
    """
    members = len(next(iter(vectors.values())))
    out = np.zeros((members, rows))
    for peer, vector in vectors.items():
        own = peers.get(peer)
        if own is None or vector.shape != (members, len(own)):
            raise TrainingFailed(f"{peer} sent an array of {vector.shape} for {0 if own is None else len(own)} rows")
        out[:, own[own >= 0]] += np.asarray(vector, dtype=np.float64)[:, own >= 0]
    return out
