"""One private run on held-out rows: additive or network, at an ε, over Flower messages and secure sums."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federated.models.served.metrics import metrics_of
from federated.privacy.budget import Budget
from federated.privacy.differential.noise import DiscreteGaussian
from federated.protocols.core.protocol import BanksTask
from federated.protocols.private.model import PrivateAdditive, PrivateNetwork, PrivateRun
from federated.protocols.private.operator import public_for
from federated.protocols.private.protocol import PrivateProtocol
from simulations.experiments.private_credit.pooled import transcript
from simulations.experiments.private_credit.world import PrivateTable, dealt_nodes, switchboard

DELTA = 1e-5


@dataclass(frozen=True, slots=True)
class PrivateFold:
    """Held-out figures of one run. `epsilon` is claimed, `realised` with the noise that was there; ∞ without noise."""

    auc: float
    ks: float
    brier: float
    ece: float
    epsilon: float
    realised: float
    seconds: float
    exchanges: int
    bytes: int


def trained(
    table: PrivateTable,
    held_out: NDArray[np.bool_],
    epsilon: float,
    *,
    kind: str = "additive",
    protected: bool = True,
    seed: int = 2024,
    steps: int = 150,
    home: Path | None = None,
) -> PrivateRun:
    """A run over five banks whose ledgers grant exactly `epsilon`, in a scratch folder unless `home` is given."""
    if home is None:
        with tempfile.TemporaryDirectory(prefix="tanxin-private-") as scratch:
            where = Path(scratch)
            return trained(table, held_out, epsilon, kind=kind, protected=protected, seed=seed, steps=steps, home=where)
    nodes = dealt_nodes(table, held_out, home, seed, grant=Budget(epsilon, DELTA))
    protocol = PrivateProtocol(epsilon, DELTA, kind == "network", protected, steps, seed)
    return protocol.train(switchboard(nodes), BanksTask(table.public, tuple(nodes)))


def measured(
    table: PrivateTable,
    held_out: NDArray[np.bool_],
    epsilon: float,
    *,
    kind: str = "additive",
    protected: bool = True,
    seed: int = 2024,
    steps: int = 150,
) -> PrivateFold:
    """Train and score held-out rows; ε = ∞ is the additive model from sums without noise, which no node gives."""
    started = time.perf_counter()
    if math.isinf(epsilon):
        public, training = public_for(table.public, protected), ~held_out
        plain = transcript(public, table.columns(public)[training], table.labels[training], None, DiscreteGaussian())
        return _fold(table, held_out, plain.model, started, math.inf, math.inf, 0, 0)
    run = trained(table, held_out, epsilon, kind=kind, protected=protected, seed=seed, steps=steps)
    return _fold(table, held_out, run.model, started, run.epsilon, run.realised, run.exchanges, run.bytes)


def _fold(
    table: PrivateTable,
    held_out: NDArray[np.bool_],
    model: PrivateAdditive | PrivateNetwork,
    started: float,
    epsilon: float,
    realised: float,
    exchanges: int,
    payload: int,
) -> PrivateFold:
    seconds = time.perf_counter() - started
    public = model.basis.public if isinstance(model, PrivateAdditive) else model.public
    metrics = metrics_of(model.logits(table.columns(public)[held_out]), table.labels[held_out])
    return PrivateFold(
        metrics.auc, metrics.ks, metrics.brier, metrics.ece, epsilon, realised, seconds, exchanges, payload
    )
