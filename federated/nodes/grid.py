"""A grid company's node: electricity features of the customers in its territory. It never sees a label or a score."""

from __future__ import annotations

from federated.nodes.node import Node


class GridNode(Node):
    """Holds the electricity side. Consents reach it as copies of those given to a bank, and it checks them itself."""

    role = "grid"
