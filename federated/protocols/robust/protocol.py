"""Training against banks that lie as a protocol, in one of the modes that banks allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from flwr.clientapp import ClientApp

from federated.nodes.identity import Identity
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import BanksTask, Needs
from federated.protocols.robust.app import Bank, add_robust
from federated.protocols.robust.node import SECURE
from federated.protocols.robust.operator import MODES, RobustRun


@dataclass(frozen=True, slots=True)
class RobustProtocol:
    """`mode` is one of `MODES`: secure sums that banks judge, updates that are inspected, or one plain secure sum."""

    name: ClassVar[str] = "robust"
    needs: ClassVar[Needs] = Needs(public_ranges=True)

    mode: str = SECURE

    def add_to(self, app: ClientApp, node: Bank, identity: Identity, /) -> None:
        """The bank's update, in a sum or in clear as it allows, and its vote."""
        add_robust(app, node, identity)

    def train(self, board: Switchboard, task: BanksTask, /) -> RobustRun:
        """One model of all banks that are not left out."""
        return MODES[self.mode](board, task.table, task.banks)
