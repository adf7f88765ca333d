"""What a strategy is: how networks of several nodes become one, and what a node minimises besides its own loss."""

from __future__ import annotations

from typing import ClassVar, Protocol

from flwr.serverapp import strategy as flower

from federated.models.learners.members import Weights
from federated.models.learners.networks import Penalty


class Strategy(Protocol):
    """A value that messages name by its text (`name`, or `name:settings`), so operator and nodes mean the same one."""

    name: ClassVar[str]

    @property
    def text(self) -> str:
        """The name with its settings, as `strategy_named` reads it."""
        ...

    def averaging(self) -> flower.Strategy:
        """The operator's half: Flower's strategy whose aggregation is used, one round."""
        ...

    def penalty(self, start: Weights) -> Penalty | None:
        """A node's half: what is added to its loss while it trains from the averaged weights `start`; None: nothing."""
        ...
