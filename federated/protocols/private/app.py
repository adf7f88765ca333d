"""What a bank answers in private runs: agree to a plan, then take part in secure sums of what was agreed to."""

from __future__ import annotations

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp

from federated.errors import PrivacyPlanRefused
from federated.models.encoding.ramps import FloatArray
from federated.nodes.identity import Identity
from federated.privacy.secure_aggregation.ring import BITS
from federated.protocols.core.messages import Content, answering
from federated.protocols.core.secure_sum import add_secure_sum
from federated.protocols.private.node import PrivateNode
from federated.protocols.private.plan import plan_from


def add_private(app: ClientApp, node: PrivateNode, identity: Identity) -> None:
    """Let a bank's app answer a private run's messages."""

    @app.query("private_agree")
    @answering
    def agree(content: Content, _: Context) -> Content:
        receipt = node.agree(plan_from(content.text("plan")))
        return Content(config={"number": receipt.number, "head": receipt.head, "epsilon": receipt.epsilon})

    def vector(content: Content) -> FloatArray:
        if content.integer("bits") != BITS:
            raise PrivacyPlanRefused(f"{node.org_id}: the ring has another unit than was agreed", bank=node.org_id)
        run, name = content.text("run"), content.text("stage")
        units = node.vector(run, name, content.arrays, content.integer("threshold"), content.integer("colluders"))
        # The ring counts in 2^−BITS; units are integers below 2^53, so both divisions are exact.
        return np.asarray(units / 2.0**BITS, dtype=np.float64)

    add_secure_sum(app, identity, vector)
