"""A bank's Flower app for robust runs: its update inside a secure sum or in clear, and its vote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from flwr.app import Context
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federated.errors import PrivacyPlanRefused
from federated.models.encoding import FloatArray
from federated.privacy.robust.groups import LEAST_GROUP
from federated.training.messages import Content, answering
from federated.training.robust.node import INSPECTED, SECURE
from federated.training.secure_sum import add_secure_sum


class Bank(Protocol):
    """What a node does in a robust run."""

    org_id: str

    def update(self, table: str, mode: str, group: tuple[str, ...]) -> FloatArray:
        """The node's moments."""
        ...

    def losses(self, table: str, candidates: Mapping[str, NDArray[np.generic]]) -> FloatArray:
        """The node's verdict on candidates."""
        ...


def robust_app(node: Bank, signing: Ed25519PrivateKey, known: Mapping[str, Ed25519PublicKey]) -> ClientApp:
    """The `ClientApp` of a bank. `known` are the banks' signing keys."""
    app = ClientApp()

    @app.query("hello")
    @answering
    def hello(_: Content, __: Context) -> Content:
        return Content(config={"org_id": node.org_id})

    @app.query("robust_inspected")
    @answering
    def inspected(content: Content, _: Context) -> Content:
        return Content({"update": node.update(content.text("table"), INSPECTED, ())})

    @app.query("robust_vote")
    @answering
    def vote(content: Content, _: Context) -> Content:
        return Content({"losses": node.losses(content.text("table"), content.under("candidates"))})

    def vector(content: Content) -> FloatArray:
        listed = content.config.get("group")
        group = tuple(str(name) for name in listed) if isinstance(listed, list) else ()
        # Secure sums take a threshold of one; that would be the bank's own vector.
        if content.integer("threshold") < LEAST_GROUP:
            raise PrivacyPlanRefused(f"{node.org_id}: a sum of fewer than two banks", bank=node.org_id)
        return node.update(content.text("table"), SECURE, group)

    add_secure_sum(app, node.org_id, signing, known, vector)
    return app
