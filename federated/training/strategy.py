"""Flower strategies of this network: averaging one block across its nodes, and the alternation between two blocks.

Horizontal: FedAvg (McMahan et al., AISTATS 2017), weighted by training rows. Vertical: block-coordinate descent on the
logistic loss of the summed logits; the grid companies' block is a proximal Newton step on residuals and curvatures
(gradient-assisted learning, Diao et al., NeurIPS 2022). What the residuals disclose is stated in `grid_app`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from federated.errors import TrainingFailed
from federated.models.party import Weights
from federated.training.messages import Arrays, Content, Switchboard, pack, prefixed


def weighted_mean(parts: Sequence[Weights], rows: Sequence[int]) -> Weights:
    """Mean of weights, each node weighted by its rows. Raises `TrainingFailed` if no node has a row."""
    total = float(sum(rows))
    if total <= 0:
        raise TrainingFailed("no node had a training row")
    return {
        name: np.sum(
            [part[name] * np.float32(n / total) for part, n in zip(parts, rows, strict=True)], axis=0, dtype=np.float32
        )
        for name in parts[0]
    }


class BlockAverage(Strategy):
    """One block of the model (`bank` or `grid`) across all nodes of that role.

    A round sends the block's weights with `extras` per node, lets each node take several local epochs, and averages
    what comes back by rows. Every node has to answer: a failed node ends the run with its name.
    """

    def __init__(self, switchboard: Switchboard, orgs: Sequence[str]) -> None:
        self._switchboard = switchboard
        self.orgs = tuple(orgs)
        self.extras: Mapping[str, Arrays] = {}
        self.last_loss = float("inf")

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One message per node of the block: weights, settings, and the node's own vectors."""
        del grid
        return self._messages("train.block", server_round, arrays, config)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Mean of the nodes' weights by rows."""
        del server_round
        answers = self._read(replies)
        rows = [content.integer("rows") for content in answers.values()]
        parts = [{n: np.asarray(a, np.float32) for n, a in c.arrays.items()} for c in answers.values()]
        mean = weighted_mean(parts, rows)
        record = pack(Content(mean)).array_records["arrays"]
        return record, MetricRecord({"rows": sum(rows)})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One message per node: weights to validate, and the offsets from the other block."""
        del grid
        return self._messages("evaluate.validation", server_round, arrays, config)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Mean logistic loss over all validation rows."""
        del server_round
        answers = self._read(replies).values()
        rows = sum(content.integer("rows") for content in answers)
        self.last_loss = sum(content.number("loss_sum") for content in answers) / max(rows, 1)
        if not rows or not np.isfinite(self.last_loss):
            raise TrainingFailed("validation loss is not finite")
        return MetricRecord({"loss": self.last_loss, "rows": rows})

    def summary(self) -> None:
        """Nothing to log: settings are in the manifest."""

    def train_round(self, number: int, weights: Weights, config: Mapping[str, int | float | str]) -> Weights:
        """One averaged step from `weights`."""
        grid = self._switchboard.grid
        messages = self.configure_train(number, self._record(weights), ConfigRecord(dict(config)), grid)
        record, _ = self.aggregate_train(number, self._exchange(messages))
        if record is None:
            raise TrainingFailed("no weights came back")
        return {name: np.asarray(a.numpy(), np.float32) for name, a in record.items()}

    def validation_loss(self, number: int, weights: Weights, config: Mapping[str, int | float | str]) -> float:
        """Mean validation loss of `weights` with the current extras as offsets."""
        grid = self._switchboard.grid
        messages = self.configure_evaluate(number, self._record(weights), ConfigRecord(dict(config)), grid)
        self.aggregate_evaluate(number, self._exchange(messages))
        return self.last_loss

    def _messages(self, action: str, number: int, arrays: ArrayRecord, config: ConfigRecord) -> list[Message]:
        weights = prefixed("weights", {name: a.numpy() for name, a in arrays.items()})
        return [
            Message(
                pack(Content(weights | dict(self.extras.get(org, {})), dict(config))),
                self._switchboard.node_ids[org],
                action,
                group_id=str(number),
            )
            for org in self.orgs
        ]

    def _exchange(self, messages: Iterable[Message]) -> list[Message]:
        return self._switchboard.exchange(list(messages))

    def _read(self, replies: Iterable[Message]) -> dict[str, Content]:
        return self._switchboard.read_all(replies)

    @staticmethod
    def _record(weights: Weights) -> ArrayRecord:
        record: RecordDict = pack(Content(weights))
        return record.array_records["arrays"]
