"""What a bank answers in robust runs: its update inside a secure sum or in clear, and its vote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federated.errors import AggregationFailed
from federated.models.encoding.ramps import FloatArray
from federated.nodes.identity import Identity
from federated.protocols.core.messages import Content, answering
from federated.protocols.core.secure_sum import add_secure_sum, among_kin
from federated.protocols.robust.node import INSPECTED, SECURE


class Bank(Protocol):
    """What a node does in a robust run."""

    org_id: str

    def update(self, table: str, mode: str, group: tuple[str, ...]) -> FloatArray:
        """The node's moments."""
        ...

    def losses(self, table: str, candidates: Mapping[str, NDArray[np.generic]]) -> FloatArray:
        """The node's verdict on candidates."""
        ...


def add_robust(app: ClientApp, node: Bank, identity: Identity) -> None:
    """Let a bank's app answer a robust run's messages."""

    @app.query("robust_inspected")
    @answering
    def inspected(content: Content, _: Context) -> Content:
        return Content({"update": node.update(content.text("table"), INSPECTED, ())})

    @app.query("robust_vote")
    @answering
    def vote(content: Content, _: Context) -> Content:
        return Content({"losses": node.losses(content.text("table"), content.under("candidates"))})

    def vector(content: Content) -> FloatArray:
        return node.update(content.text("table"), SECURE, tuple(content.texts("group")))

    def consent(content: Content, names: frozenset[str]) -> None:
        among_kin(identity, names)
        if not names <= set(content.texts("group")):
            raise AggregationFailed(f"{identity.name}: others than the group's banks are in the sum")

    add_secure_sum(app, identity, vector, consent)
