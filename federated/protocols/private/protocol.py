"""Training under record-level differential privacy as a protocol: a plan is proposed, agreed to and paid for first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flwr.clientapp import ClientApp

from federated.nodes.identity import Identity
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import BanksTask, Needs
from federated.protocols.private.app import add_private
from federated.protocols.private.model import PrivateRun
from federated.protocols.private.node import PrivateNode
from federated.protocols.private.operator import additive_plan, circle_of, network_plan, train_additive, train_network


@dataclass(frozen=True, slots=True)
class PrivateProtocol:
    """A run costs a bank at most `epsilon` at `delta`. With `network`, `steps` of private gradient descent.

    `protected` reads columns too that a lender may not decide on, for benches; `seed` starts a network's weights and
    has no part in sampling or noise.
    """

    name: ClassVar[str] = "private"
    needs: ClassVar[Needs] = Needs(public_ranges=True, budget=True)

    epsilon: float = 4.0
    delta: float = 1e-5
    network: bool = False
    protected: bool = False
    steps: int = 150
    seed: int = 2024

    def add_to(self, app: ClientApp, node: PrivateNode, identity: Identity, /) -> None:
        """Agreement to plans, and noisy vectors inside secure sums."""
        add_private(app, node, identity)

    def train(self, board: Switchboard, task: BanksTask, /) -> PrivateRun:
        """Propose to all banks of the task; those that refuse are left out as long as enough agree."""
        circle, asked = circle_of(task.banks), (self.epsilon, self.delta)
        if self.network:
            plan = network_plan(task.table, circle, *asked, protected=self.protected, steps=self.steps)
            return train_network(board, plan, task.table, self.delta, seed=self.seed)
        plan_of_sums = additive_plan(task.table, circle, *asked, protected=self.protected)
        return train_additive(board, plan_of_sums, task.table, self.delta)
