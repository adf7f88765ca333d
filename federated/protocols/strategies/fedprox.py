"""FedProx (Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020): nodes stay near each other.

Each node minimises its own loss plus ½·μ·‖w − w_t‖², where w_t are the averaged weights that it starts from, so that
nodes whose customers differ drift apart less between two rounds. Averaging is that of FedAvg, which is μ = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from flwr.serverapp import strategy as flower

from federated.models.learners.members import Weights
from federated.models.learners.networks import PartyNetwork, Penalty


@dataclass(frozen=True, slots=True)
class FedProx:
    """`mu` weighs the distance from the averaged weights. Raises `ValueError` if it is negative or not finite."""

    name: ClassVar[str] = "fedprox"

    mu: float = 0.01

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mu) and self.mu >= 0.0):
            raise ValueError(f"a distance is weighed by 0 or more, not by {self.mu}")

    @property
    def text(self) -> str:
        """The name and `mu`."""
        return f"{self.name}:{self.mu!r}"

    def averaging(self) -> flower.Strategy:
        """The mean by number of rows, as FedAvg takes it."""
        return flower.FedAvg()

    def penalty(self, start: Weights) -> Penalty:
        """½·μ·‖w − `start`‖², summed over members: they share no weights, so each is held by its own distance."""
        held = {name: torch.from_numpy(weight.copy()) for name, weight in start.items()}

        def distance(network: PartyNetwork) -> torch.Tensor:
            parts = [((weight - held[name]) ** 2).sum() for name, weight in network.named_parameters()]
            return 0.5 * self.mu * torch.stack(parts).sum()

        return distance
