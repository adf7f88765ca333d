"""Federated averaging (McMahan et al., AISTATS 2017): the mean of nodes' weights, each with its number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flwr.serverapp import strategy as flower

from federated.models.learners.members import Weights


@dataclass(frozen=True, slots=True)
class FedAvg:
    """Nothing is added to a node's own loss."""

    name: ClassVar[str] = "fedavg"

    @property
    def text(self) -> str:
        """The name."""
        return self.name

    def averaging(self) -> flower.Strategy:
        """Flower's own."""
        return flower.FedAvg()

    def penalty(self, _: Weights) -> None:
        """Nothing."""
