"""A bank's `ClientApp`: local training on its own labels, residuals for grid companies, validation, held-out counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from flwr.app import ConfigRecord, Context
from flwr.clientapp import ClientApp

from federated.alignment.session import AlignmentSession
from federated.errors import TrainingFailed
from federated.models.encoding import Float32Array
from federated.models.metrics import ScoreHistogram
from federated.models.networks import fit, logistic_loss
from federated.models.party import Weights, forward
from federated.models.sketch import sketch
from federated.nodes.bank import BankNode
from federated.training.bank_side import BankSide
from federated.training.grid_app import fit_settings, weights_in
from federated.training.messages import Arrays, Content, answering, prefixed
from federated.training.node_app import base_app
from federated.training.plan import encoder_arrays, encoder_of, recall, remember

# Rows whose outcome is all but certain still bend the grid company's quadratic model a little, so its step is bounded.
MIN_CURVATURE = 0.02
SideOf = Callable[[Context], BankSide]


def bank_app(node: BankNode) -> ClientApp:
    """The app of one bank."""
    app = base_app(node)
    sides: dict[str, BankSide] = {}

    def side(context: Context) -> BankSide:
        fold = context.state.config_records.get("fold")
        if fold is None:
            raise TrainingFailed(f"{node.org_id}: no fold was opened")
        key = repr(sorted(fold.items()))
        if key not in sides:
            sides.clear()
            sides[key] = BankSide(node, Content(config=dict(fold)))
        return sides[key]

    @app.query("align_match")
    @answering
    def align_match(content: Content, _: Context) -> Content:
        session = AlignmentSession(node.store, content.text("peer"))
        return Content(config={"common": session.match(content.points("points"))})

    @app.query("open")
    @answering
    def open_fold(content: Content, context: Context) -> Content:
        sides.clear()
        context.state["fold"] = ConfigRecord(dict(content.config))
        remember(context, "grid_logits", {})
        here = side(context)
        training = here.vectors(here.roles.training.astype(np.float32), here.roles.training)
        fitting = here.roles.fitting
        defaults = int(here.file.table.labels[fitting].sum())
        return Content(prefixed("training", training), {"rows": int(fitting.sum()), "defaults": defaults})

    _register_preparation(app, side)
    _register_steps(app, side)
    _register_evaluation(app, side)
    return app


def _encoded(side: BankSide, context: Context) -> Float32Array:
    return side.file.encoded(encoder_of(recall(context, "encoder")))


def _register_preparation(app: ClientApp, side: SideOf) -> None:
    @app.query("sketch")
    @answering
    def quantiles(_: Content, context: Context) -> Content:
        here = side(context)
        summary = sketch(here.file.table.values[here.roles.training])
        return Content({"sketch_counts": summary.counts, "sketch_points": summary.points})

    @app.query("prepare")
    @answering
    def prepare(content: Content, context: Context) -> Content:
        remember(context, "encoder", encoder_arrays(encoder_of(content.under("encoder"))))
        return Content()


def _register_steps(app: ClientApp, side: SideOf) -> None:
    @app.train("block")
    @answering
    def block(content: Content, context: Context) -> Content:
        here, weights = side(context), weights_in(content)
        joint = content.text("basis") == "joint"
        rows = np.flatnonzero(here.roles.fitting & here.roles.aligned if joint else here.roles.fitting)
        offsets = here.spread(recall(context, "grid_logits") if joint else {}, weights["w0"].shape[0])[rows]
        loss = logistic_loss(torch.from_numpy(offsets), here.labels[torch.from_numpy(rows)])
        encoded = torch.from_numpy(_encoded(here, context)[rows])
        return Content(fit(weights, encoded, loss, fit_settings(content)), {"rows": len(rows)})

    @app.query("residuals")
    @answering
    def residuals(content: Content, context: Context) -> Content:
        here, weights = side(context), weights_in(content)
        own = forward(weights, _encoded(here, context))
        total = own + here.spread(recall(context, "grid_logits"), own.shape[1])
        p = 1.0 / (1.0 + np.exp(-total))
        curvature = np.maximum(p * (1.0 - p), MIN_CURVATURE).astype(np.float32)
        residual = (here.labels.numpy()[:, None] - p).astype(np.float32)
        fitting = here.roles.fitting
        vectors = prefixed("residuals", here.vectors(residual, fitting))
        return Content(vectors | prefixed("curvature", here.vectors(curvature, fitting)))


def _register_evaluation(app: ClientApp, side: SideOf) -> None:
    @app.evaluate("validation")
    @answering
    def validation(content: Content, context: Context) -> Content:
        here, weights = side(context), weights_in(content)
        joint = content.text("basis") == "joint"
        if joint:
            remember(context, "grid_logits", content.under("logits"))
        rows = here.roles.validation & here.roles.aligned if joint else here.roles.validation
        logits = _total(here, context, weights, recall(context, "grid_logits") if joint else {})[rows]
        labels = here.file.table.labels[rows]
        # log(1 + e^z) − y·z is the logistic loss without overflow.
        loss = np.logaddexp(0.0, logits) - labels * logits
        return Content(config={"loss_sum": float(loss.sum()), "rows": int(rows.sum())})

    @app.evaluate("held_out")
    @answering
    def held_out(content: Content, context: Context) -> Content:
        here = side(context)
        rows, labels = here.roles.held_out, here.file.table.labels
        counted: Arrays = {}
        for basis, logits in (("joint", content.under("logits")), ("bank_only", {})):
            weights: Weights = {n: np.asarray(a, np.float32) for n, a in content.under(basis).items()}
            total = _total(here, context, weights, logits)
            counted |= prefixed(basis, ScoreHistogram.of(total[rows], labels[rows]).cells())
        return Content(counted)


def _total(
    side: BankSide, context: Context, weights: Weights, grid_logits: Arrays
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    own = forward(weights, _encoded(side, context))
    total: np.ndarray[tuple[int], np.dtype[np.float64]] = (own + side.spread(grid_logits, own.shape[1])).mean(axis=1)
    return total.astype(np.float64)
