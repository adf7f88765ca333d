"""A grid company's `ClientApp`: fits its own function to residuals it is sent, and returns partial logits.

The residual y − p and curvature p(1 − p) of a training row arrive unprotected in this version: their sign is the label,
so grid company and operator can read the training labels of aligned customers. Issue 4 protects these vectors.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import torch
from flwr.app import ConfigRecord, Context
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from federated.alignment.session import AlignmentSession
from federated.consent.store import from_micros
from federated.errors import CorruptData, TrainingFailed
from federated.models.encoding import RampEncoder
from federated.models.networks import FitSettings, fit, quadratic_loss
from federated.models.party import Weights, forward
from federated.models.sketch import sketch
from federated.nodes.grid import GridNode
from federated.training.messages import Arrays, Content, answering
from federated.training.node_app import EncodedFile, base_app
from federated.training.plan import encoder_arrays, encoder_of, recall, remember


class _GridSide:
    """The grid company's rows as the banks know them: one block of aligned positions a bank."""

    def __init__(self, node: GridNode, at: datetime) -> None:
        self.node = node
        self.file = EncodedFile(node)
        self._at = at
        self._row = {subject: i for i, subject in enumerate(self.file.table.subjects)}
        self._rows: dict[str, NDArray[np.int64]] = {}

    def rows(self, bank_id: str) -> NDArray[np.int64]:
        """Own row behind each position aligned with a bank, −1 where consent no longer covers training."""
        if bank_id not in self._rows:
            allowed = self.node.training_subjects(bank_id, self._at)
            own = self.node.store.alignment(bank_id)
            self._rows[bank_id] = np.array([self._row[s] if s in allowed else -1 for s in own], dtype=np.int64)
        return self._rows[bank_id]

    def blocks(self, vectors: dict[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        """Banks' vectors spread over own rows: (rows, …), 0 where no bank sent anything."""
        first = next(iter(vectors.values()))
        out = np.zeros((len(self._row), *first.shape[1:]), dtype=np.float32)
        for bank_id, vector in vectors.items():
            rows = self.rows(bank_id)
            if len(rows) != len(vector):
                raise TrainingFailed(f"{bank_id} sent {len(vector)} values for {len(rows)} aligned rows")
            out[rows[rows >= 0]] += np.asarray(vector, dtype=np.float32)[rows >= 0]
        return out

    def logits(self, weights: Weights, encoder: RampEncoder) -> Arrays:
        """Partial logits (positions, members) for every aligned bank, 0 where consent ended."""
        own = forward(weights, self.file.encoded(encoder))
        blocks: Arrays = {}
        for bank_id in self.node.store.peers():
            rows = self.rows(bank_id)
            blocks[bank_id] = np.where((rows >= 0)[:, None], own[rows], np.float32(0.0))
        return blocks


def weights_in(content: Content) -> Weights:
    """The float32 network weights of a message."""
    return {name: np.asarray(a, dtype=np.float32) for name, a in content.under("weights").items()}


def fit_settings(content: Content) -> FitSettings:
    """Local optimisation settings of a message."""
    return FitSettings(
        epochs=content.integer("epochs"),
        learning_rate=content.number("learning_rate"),
        weight_decay=content.number("weight_decay"),
        dropout=content.number("dropout"),
        batch=content.integer("batch"),
        seed=content.integer("fit_seed"),
    )


def grid_app(node: GridNode) -> ClientApp:
    """The app of one grid company."""
    app = base_app(node)
    sides: dict[int, _GridSide] = {}

    def side(context: Context) -> _GridSide:
        run = context.state.config_records.get("run")
        if run is None:
            raise TrainingFailed(f"{node.org_id}: no fold was opened")
        at_us = Content(config=dict(run)).integer("at_us")
        if at_us not in sides:
            sides.clear()
            sides[at_us] = _GridSide(node, from_micros(at_us))
        return sides[at_us]

    @app.query("align_accept")
    @answering
    def align_accept(content: Content, _: Context) -> Content:
        session = AlignmentSession(node.store, content.text("peer"))
        return Content(config={"rows": session.accept(content.points("points"), content.points("common"))})

    @app.query("sketch")
    @answering
    def quantiles(content: Content, context: Context) -> Content:
        sides.clear()
        context.state["run"] = ConfigRecord({"at_us": content.integer("at_us")})
        training = side(context).blocks(content.under("training")) > 0
        values = side(context).file.table.values[training]
        if not len(values):
            raise CorruptData(f"{node.org_id}: no training row is aligned with a bank", party=node.org_id)
        summary = sketch(values)
        return Content({"sketch_counts": summary.counts, "sketch_points": summary.points})

    @app.query("prepare")
    @answering
    def prepare(content: Content, context: Context) -> Content:
        remember(context, "encoder", encoder_arrays(encoder_of(content.under("encoder"))))
        return Content()

    @app.train("block")
    @answering
    def block(content: Content, context: Context) -> Content:
        here = side(context)
        encoded = here.file.encoded(encoder_of(recall(context, "encoder")))
        residuals = here.blocks(content.under("residuals"))
        curvature = here.blocks(content.under("curvature"))
        rows = np.flatnonzero(curvature[:, 0] > 0)
        weights = weights_in(content)
        x = encoded[rows]
        start = torch.from_numpy(forward(weights, x))
        loss = quadratic_loss(start, torch.from_numpy(residuals[rows]), torch.from_numpy(curvature[rows]))
        fitted = fit(weights, torch.from_numpy(x), loss, fit_settings(content)) if len(rows) else weights
        return Content(fitted, {"rows": len(rows)})

    @app.query("partial")
    @answering
    def partial(content: Content, context: Context) -> Content:
        return Content(side(context).logits(weights_in(content), encoder_of(recall(context, "encoder"))))

    return app
