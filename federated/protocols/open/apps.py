"""What a node answers while the zoo learns. Bank and grid company answer the same; what they tell differs.

Any message may carry what the other side told (`logits/…` or `residuals/…`, `curvature/…`), and any answer may carry
what this node tells (`tell` = 1), so a block of many steps is one exchange when one node holds all rows of its kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from flwr.clientapp import ClientApp

from federated.errors import CorruptData
from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.learners.boosting import GrowSettings, Histogram, Trees, grow
from federated.models.learners.convex import gradient_of, grams_of, pair_cells
from federated.models.learners.members import Weights, forward
from federated.models.learners.networks import FitSettings, Loss, fit, logistic_loss, quadratic_loss
from federated.models.served.functions import ConvexFunction, function_of
from federated.protocols.core.messages import Answer, Arrays, Content, answering, prefixed
from federated.protocols.core.node import SessionNode
from federated.protocols.core.rows import BankRows, GridRows, RowSource
from federated.protocols.core.session_app import Opened, session_app
from federated.protocols.open.finished import audit, blend, calibrate, groups, held_out, keep, out_of_fold, own
from federated.protocols.open.node import LearnerNode
from federated.protocols.strategies.named import strategy_named

Handler = Callable[[LearnerNode, Content], Content]


def zoo_app(rows: RowSource | BankRows | GridRows) -> ClientApp:
    """The app of a node that takes part in the zoo and in nothing else."""
    app, opened = session_app(rows)
    add_learners(app, opened)
    return app


def add_learners(app: ClientApp, opened: Opened) -> None:
    """Let a node's app answer the zoo's messages in the session that is open."""
    learners = _Learners(opened)
    queries: dict[str, Handler] = {
        "begin": _begin, "keep": keep, "pairs": _pairs, "tell": _tell, "evidence": _evidence, "blend": blend,
        "level": _level, "held_out": held_out, "calibrate": calibrate, "leaf": _leaf, "adopt": _adopt,
        "out_of_fold": out_of_fold, "own": own, "groups": groups, "audit": audit,
    }  # fmt: skip
    for name, handler in queries.items():
        app.query(name)(answering(learners.bound(handler)))
    for name, handler in {"trees": _trees, "sums": _sums, "network": _network}.items():
        app.train(name)(answering(learners.bound(handler)))


class _Learners:
    """The learners' state at one node; a session that is opened anew begins with a new one."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._session: SessionNode | None = None
        self._node: LearnerNode | None = None

    def node(self) -> LearnerNode:
        session = self._opened()
        if self._node is None or self._session is not session:
            self._session, self._node = session, LearnerNode(session)
        return self._node

    def bound(self, handler: Handler) -> Answer:
        return lambda content, _: handler(self.node(), content)


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


def _begin(node: LearnerNode, content: Content) -> Content:
    node.begin(np.asarray(content.arrays["member_fold"], dtype=np.int64), content.number("base"))
    return Content()


def _answer(node: LearnerNode, content: Content, arrays: Arrays, losses: FloatArray) -> Content:
    told = node.tell() if content.config.get("tell") else {}
    return Content(arrays | told | ({"losses": losses} if len(losses) else {}))


def _heard(node: LearnerNode, content: Content) -> FloatArray:
    """Take what the other side told, and measure what that makes of the model."""
    node.hear(content)
    return node.losses()


def _tell(node: LearnerNode, content: Content) -> Content:
    losses = _heard(node, content)
    return _answer(node, content, {}, losses)


def grow_settings(content: Content) -> GrowSettings:
    """Tree settings of a message."""
    return GrowSettings(
        depth=content.integer("depth"),
        rate=content.number("rate"),
        ridge=content.number("ridge"),
        min_curvature=content.number("min_curvature"),
        path_features=content.integer("path_features"),
        column_share=content.number("column_share"),
    )


def _sample(node: LearnerNode, content: Content, step: int) -> None:
    """Start a tree a member on a seeded share of the rows that it fits."""
    drawn = np.random.default_rng([content.integer("seed"), step, node.count]).random(node.own.shape)
    chosen = drawn < content.number("row_share")
    node.trees.start(np.where(chosen, node.residual, 0.0), np.where(chosen, node.curvature, 0.0))


def _trees(node: LearnerNode, content: Content) -> Content:
    """A whole block of trees on this node's rows alone, and how many rows those are."""
    losses = _heard(node, content)
    node.block_start = node.own
    rows = {"rows": np.array([int((node.curvature.max(axis=0) > 0).sum())])}
    settings, pairs = grow_settings(content), np.asarray(content.arrays["pairs"], dtype=np.bool_)
    grown = []
    for step in range(content.integer("first"), content.integer("first") + content.integer("count")):
        _sample(node, content, step)

        def ask(level: int, trees: Trees) -> Histogram:
            if level:
                node.trees.descend(level - 1, trees)
            return node.trees.histogram(level)

        rng = np.random.default_rng([content.integer("seed"), step])
        tree = grow(ask, len(node.own), node.binning.starts, settings, pairs, rng)
        _finish(node, tree)
        grown.append(tree)
    return _answer(node, content, rows | prefixed("trees", Trees.joined(grown).to_arrays()), losses)


def _adopt(node: LearnerNode, content: Content) -> Content:
    """Take on the mean of what all nodes of this side grew in place of the block that this node grew itself."""
    trees = Trees.from_arrays(content.under("trees"))
    members = len(node.own)
    grown = [trees.every(m, members).predict(node.trees.codes, node.binning.size - 1) for m in range(members)]
    node.own = node.block_start + np.array(grown)
    node.refresh()
    return _answer(node, content, {}, np.zeros(0))


def _finish(node: LearnerNode, tree: Trees) -> None:
    node.trees.descend(tree.depth - 1, tree)
    node.own = node.own + node.trees.leaf(tree.value)
    node.refresh()


def _level(node: LearnerNode, content: Content) -> Content:
    """One level of one tree a member, for trees that are grown from several nodes' sums."""
    level = content.integer("level")
    losses = np.zeros(0)
    if level == 0:
        losses = _heard(node, content)
        _sample(node, content, content.integer("step"))
    else:
        node.trees.descend(level - 1, Trees.from_arrays(content.under("trees")))
    return _answer(node, content, {"histogram": node.trees.histogram(level)}, losses)


def _leaf(node: LearnerNode, content: Content) -> Content:
    _finish(node, Trees.from_arrays(content.under("trees")))
    return _answer(node, content, {}, np.zeros(0))


def _sums(node: LearnerNode, content: Content) -> Content:
    """Gradient and Gram sums at the sent coefficients."""
    function = function_of(content.under("function"))
    if not isinstance(function, ConvexFunction):
        raise CorruptData(f"{node.rows.org_id}: sums were asked of a function that is not linear")
    columns = node.columns(function.basis, content.text("basis"))
    node.own = function.beta @ columns.T.astype(np.float64)
    losses = _heard(node, content)
    arrays: Arrays = {}
    if content.config.get("gradient"):
        arrays["gradient"] = gradient_of(columns, node.residual)
    if content.config.get("gram"):
        fits = node.curvature > 0
        shared = node.curvature.sum(axis=0) / np.maximum(fits.sum(axis=0), 1)
        arrays["gram"] = grams_of(columns, shared, node.inner_masks(content.integer("folds"))).astype(np.float32)
    return _answer(node, content, arrays, losses)


def _pairs(node: LearnerNode, content: Content) -> Content:
    """Cell sums of every pair of features, over the mean residual of the members."""
    coarse = node.binning.coarse(content.integer("bins"))
    codes = coarse.codes(node.values).astype(np.float64)
    return Content({"cells": pair_cells(codes, coarse.size, node.residual.mean(axis=0), node.curvature.mean(axis=0))})


def _evidence(node: LearnerNode, content: Content) -> Content:
    """Residual and curvature sums by bin at the current logits."""
    node.hear(content)
    node.trees.start(node.residual[:1], node.curvature[:1])
    return Content({"histogram": node.trees.histogram(0)[0, 0]} | (node.tell() if content.config.get("tell") else {}))


def _network(node: LearnerNode, content: Content) -> Content:
    """Local epochs from the averaged weights: a bank on its labels, a grid company on what banks told."""
    weights = weights_in(content)
    node.own = forward(weights, node.encoded).T.astype(np.float64)
    losses = _heard(node, content)
    rows = np.flatnonzero(node.curvature.max(axis=0) > 0)
    if content.config.get("epochs") and len(rows):
        penalty = strategy_named(content.text("strategy")).penalty(weights)
        encoded, loss = torch.from_numpy(node.encoded[rows]), _network_loss(node, rows)
        weights = fit(weights, encoded, loss, fit_settings(content), penalty)
        node.own = forward(weights, node.encoded).T.astype(np.float64)
        node.refresh()
    return _answer(node, content, prefixed("weights", weights) | {"rows": np.array([len(rows)])}, losses)


def _network_loss(node: LearnerNode, rows: IntArray) -> Loss:
    def tensor(values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values[:, rows].T, dtype=np.float32))

    if isinstance(node.rows, BankRows):
        labels = torch.from_numpy(node.rows.labels[rows].astype(np.float32))
        return logistic_loss(tensor(node.offset), labels, tensor(node.fits.astype(np.float64)))
    return quadratic_loss(tensor(node.own), tensor(node.residual), tensor(node.curvature))
