"""Averaging network weights by one of Flower's strategies.

Only its aggregation is used; which node gets which message is the protocol's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Strategy

from federated.errors import TrainingFailed
from federated.models.learners.members import Weights

# A strategy logs every aggregation; a run has its own progress.
logging.getLogger("flwr").setLevel(logging.WARNING)


def averaged(parts: Sequence[Weights], rows: Sequence[int], strategy: Strategy) -> Weights:
    """What `strategy` makes of the nodes' weights, each node with its number of rows.

    A node without rows is left out. Raises `TrainingFailed` if no node has a row or the strategy gives nothing back.
    """
    taking_part = [(part, n) for part, n in zip(parts, rows, strict=True) if n > 0]
    if not taking_part:
        raise TrainingFailed("no node had a training row")
    replies = [
        Message(
            RecordDict(
                {
                    "weights": ArrayRecord({name: Array(np.ascontiguousarray(a)) for name, a in part.items()}),
                    "metrics": MetricRecord({"num-examples": n}),
                }
            ),
            number,
            "train",
        )
        for number, (part, n) in enumerate(taking_part, start=1)
    ]
    record, _ = strategy.aggregate_train(1, replies)
    if record is None:
        raise TrainingFailed("the strategy gave no weights back")
    return {name: np.asarray(a.numpy(), dtype=np.float32) for name, a in record.items()}
