"""A node's `ClientApp`: what it answers in each of the protocols that it takes part in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from flwr.clientapp import ClientApp

from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import Identity
from federated.protocols.core.alignment import add_alignment
from federated.protocols.core.messages import named_app
from federated.protocols.core.node_rows import NodeSource
from federated.protocols.core.protocol import TrainingProtocol, VerticalProtocol
from federated.protocols.core.session_app import session_app

NodeT = TypeVar("NodeT")


def node_app(node: BankNode | GridNode, identity: Identity, protocols: Sequence[VerticalProtocol]) -> ClientApp:
    """The app of a bank or grid company over its own store: alignment, sessions, and what vertical protocols ask."""
    app, opened = session_app(NodeSource(node))
    add_alignment(app, node, identity)
    for protocol in protocols:
        protocol.add_to(app, opened, identity)
    return app


def bank_app(protocol: TrainingProtocol[NodeT, Any, Any], node: NodeT, identity: Identity) -> ClientApp:
    """The app of a bank that takes part in one horizontal protocol, of which `node` is its side."""
    app = named_app(identity.name)
    protocol.add_to(app, node, identity)
    return app
