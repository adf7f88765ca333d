"""A bank's Flower app for private runs: agree to a plan, then take part in secure sums of what was agreed to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from flwr.app import Context
from flwr.clientapp import ClientApp

from federated.errors import PrivacyPlanRefused
from federated.models.encoding import FloatArray
from federated.privacy.secure_aggregation.ring import BITS
from federated.training.messages import Content, answering
from federated.training.private.node import PrivateNode
from federated.training.private.plan import plan_from
from federated.training.secure_sum import add_secure_sum


def private_app(node: PrivateNode, signing: Ed25519PrivateKey, known: Mapping[str, Ed25519PublicKey]) -> ClientApp:
    """The `ClientApp` of a bank. `known` are the banks' signing keys: the operator cannot make banks up."""
    app = ClientApp()

    @app.query("hello")
    @answering
    def hello(_: Content, __: Context) -> Content:
        return Content(config={"org_id": node.org_id})

    @app.query("private_agree")
    @answering
    def agree(content: Content, _: Context) -> Content:
        receipt = node.agree(plan_from(content.text("plan")))
        return Content(config={"number": receipt.number, "head": receipt.head, "epsilon": receipt.epsilon})

    def vector(content: Content) -> FloatArray:
        if content.integer("bits") != BITS:
            raise PrivacyPlanRefused(f"{node.org_id}: the ring has another unit than was agreed", bank=node.org_id)
        run, name = content.text("run"), content.text("stage")
        units = node.vector(run, name, content.arrays, content.integer("threshold"))
        # The ring counts in 2^−BITS; units are integers below 2^53, so both divisions are exact.
        return np.asarray(units / 2.0**BITS, dtype=np.float64)

    add_secure_sum(app, node.org_id, signing, known, vector)
    return app
