"""Torch side of a party's function: training. `models.learners.members` evaluates the same numbers without torch.

A party holds a few small two-hidden-layer networks ("members") of the same shape and different initialisation, trained
side by side in one batched matrix product; their mean is the party's logit (deep ensembles, Lakshminarayanan et al.,
NeurIPS 2017; the batching follows TabM, Gorishniy et al., ICLR 2025).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from federated.models.learners.adam import Adam
from federated.models.learners.members import N_LAYERS, Weights

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Local optimisation: AdamW with these settings for `epochs` passes in batches of `batch` rows."""

    epochs: int
    learning_rate: float
    weight_decay: float
    dropout: float
    batch: int
    seed: int


def initial_weights(width: int, hidden: int, members: int, bias: float, seed: int) -> Weights:
    """Seeded start: uniform ±1/√fan-in in hidden layers, output weights 0, output bias `bias` (a prior logit)."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for layer, (fan_in, fan_out) in enumerate(((width, hidden), (hidden, hidden), (hidden, 1))):
        bound = 1.0 / np.sqrt(fan_in) if layer < N_LAYERS - 1 else 0.0
        weights[f"w{layer}"] = rng.uniform(-bound, bound, (members, fan_in, fan_out)).astype(np.float32)
        weights[f"b{layer}"] = rng.uniform(-bound, bound, (members, 1, fan_out)).astype(np.float32)
    weights["b2"] += np.float32(bias)
    return weights


class PartyNetwork(nn.Module):
    """`members` networks on one encoded batch. Names and shapes of weights are those of `learners.members.forward`."""

    def __init__(self, weights: Weights, dropout: float = 0.0) -> None:
        super().__init__()
        for name, value in weights.items():
            self.register_parameter(name, nn.Parameter(torch.from_numpy(np.array(value, dtype=np.float32))))
        self.dropout = dropout

    def forward(self, encoded: Tensor) -> Tensor:
        """Logits (rows, members) of encoded rows (rows, width)."""
        state = torch.matmul(encoded, self.get_parameter("w0")) + self.get_parameter("b0")
        for layer in range(1, N_LAYERS):
            hidden = nn.functional.dropout(torch.relu(state), self.dropout, self.training)
            state = torch.bmm(hidden, self.get_parameter(f"w{layer}")) + self.get_parameter(f"b{layer}")
        return state.squeeze(-1).T

    def export(self) -> Weights:
        """The weights as float32 numpy arrays."""
        return {name: p.detach().numpy().copy() for name, p in self.named_parameters()}


# What is added to each step's objective for the network as it stands, summed over its members.
Penalty = Callable[[PartyNetwork], Tensor]


def fit(
    weights: Weights, encoded: Tensor, loss: Loss, settings: FitSettings, penalty: Penalty | None = None
) -> Weights:
    """Train from `weights` on all rows of `encoded`; `loss(logits, rows)` is a mean over the batch's rows and members.

    Deterministic for a given seed and thread count. Returns new weights; the input is left alone.
    """
    network = PartyNetwork(weights, settings.dropout)
    network.train()
    optimiser = Adam(
        network.parameters(), rate=settings.learning_rate, weight_decay=settings.weight_decay, foreach=True
    )
    generator = torch.Generator().manual_seed(settings.seed)
    members = weights["w0"].shape[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        for _ in range(settings.epochs):
            for rows in torch.split(torch.randperm(len(encoded), generator=generator), settings.batch):
                optimiser.zero_grad()
                # The members share no weights, so scaling by their number gives each the step it would take alone.
                objective = loss(network(encoded[rows]), rows) * members
                (objective if penalty is None else objective + penalty(network)).backward()
                optimiser.step()
    return network.export()


def logistic_loss(offsets: Tensor, labels: Tensor, weights: Tensor | None = None) -> Loss:
    """Mean logistic loss of logits plus `offsets` (rows, members) against `labels` (rows,).

    `weights` (rows, members), if given, multiply each term: 0 where a member does not fit a row.
    """

    def loss(logits: Tensor, rows: Tensor) -> Tensor:
        target = labels[rows, None].expand_as(logits)
        weight = None if weights is None else weights[rows]
        return nn.functional.binary_cross_entropy_with_logits(logits + offsets[rows], target, weight)

    return loss


def quadratic_loss(start: Tensor, residuals: Tensor, curvature: Tensor) -> Loss:
    """Second-order model of the logistic loss around the logits `start`, all (rows, members), up to a constant.

    ℓ(f) ≈ −r·(f − f₀) + ½·h·(f − f₀)² with r = y − p and h = p(1 − p) at f₀: the step of iteratively reweighted least
    squares, which a grid company can take knowing r and h but no other party's features.
    """

    def loss(logits: Tensor, rows: Tensor) -> Tensor:
        step = logits - start[rows]
        return (0.5 * curvature[rows] * step * step - residuals[rows] * step).mean()

    return loss
