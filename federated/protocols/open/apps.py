"""The zoo's `ClientApp` of a node. Bank and grid company answer the same messages; only what they tell differs.

Any message may carry what the other side told (`logits/…` or `residuals/…`, `curvature/…`), and any answer may carry
what this node tells (`tell` = 1), so a block of many steps is one exchange when one node holds all rows of its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from flwr.app import Context
from flwr.clientapp import ClientApp

from federated.errors import CorruptData, TrainingFailed
from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.categories import CategoryMap
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.sketch import sketch
from federated.models.learners.boosting import (
    GrowSettings,
    Histogram,
    Trees,
    grow,
)
from federated.models.learners.convex import gradient_of, grams_of, pair_cells
from federated.models.learners.members import Weights, forward
from federated.models.learners.networks import (
    FitSettings,
    Loss,
    fit,
    logistic_loss,
    quadratic_loss,
)
from federated.models.served.functions import ConvexFunction, function_of
from federated.protocols.core.encoders import encoder_of
from federated.protocols.core.finished import (
    audit,
    blend,
    calibrate,
    groups,
    held_out,
    keep,
    out_of_fold,
    own,
    reference,
)
from federated.protocols.core.messages import (
    Answer,
    Arrays,
    Content,
    answering,
    prefixed,
)
from federated.protocols.core.node import ZooNode
from federated.protocols.core.rows import (
    BankRows,
    GivenRows,
    GridRows,
    RowSource,
    gathered,
    inner_folds,
    spread,
)

Opened = Callable[[], ZooNode]


class _Place:
    """One node's source of rows, and its state in the joint model that is being trained."""

    def __init__(self, source: RowSource) -> None:
        self.source = source
        self.node: ZooNode | None = None


def zoo_app(rows: RowSource | BankRows | GridRows, add: Callable[[ClientApp, Opened], None] | None = None) -> ClientApp:
    """The app of one node, over given rows or over a source that is read at every opening.

    `add` adds what else the app answers about the node of the joint model that is open.
    """
    app = ClientApp()
    place = _Place(GivenRows(rows) if isinstance(rows, BankRows | GridRows) else rows)
    handlers: dict[str, Any] = {
        "levels": _levels, "sketch": _sketch, "prepare": _prepare, "begin": _begin,
        "keep": keep, "pairs": _pairs, "tell": _tell, "evidence": _evidence,
        "blend": blend, "level": _level, "held_out": held_out, "calibrate": calibrate, "leaf": _leaf, "adopt": _adopt,
        "out_of_fold": out_of_fold, "own": own, "groups": groups, "audit": audit, "reference": reference,
    }  # fmt: skip

    @app.query("hello")
    @answering
    def hello(_: Content, __: Context) -> Content:
        source = place.source
        told = {"org_id": source.org_id, "role": source.role, "columns": list(source.columns)}
        return Content(config=told | source.card())

    @app.query("open")
    @answering
    def opened(content: Content, _: Context) -> Content:
        place.node = ZooNode(place.source.open(content))
        return _open(place.node, content)

    for name, handler in handlers.items():
        app.query(name)(answering(_bound(place, handler)))
    for name, handler in {"trees": _trees, "sums": _sums, "network": _network}.items():
        app.train(name)(answering(_bound(place, handler)))
    if add is not None:
        add(app, lambda: _node_of(place))
    return app


def _node_of(place: _Place) -> ZooNode:
    if place.node is None:
        raise TrainingFailed(f"{place.source.org_id}: no joint model was opened")
    return place.node


def _bound(place: _Place, handler: Any) -> Answer:
    def answer(content: Content, _: Context) -> Content:
        result: Content = handler(_node_of(place), content)
        return result

    return answer


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


def _open(node: ZooNode, content: Content) -> Content:
    """A bank draws its stratified inner folds and says how many rows and defaults it trains on.

    A learner uses the inner folds that its members name: those of the first repeats.
    """
    rows = node.rows
    if not isinstance(rows, BankRows):
        node.training = spread(content.under("training"), rows.peers, node.count)[0] > 0
        if not node.training.any():
            raise CorruptData(f"{rows.org_id}: no training row is aligned with a bank", party=rows.org_id)
        return Content()
    folds, repeats, seed = (content.integer(name) for name in ("folds", "repeats", "seed"))
    node.inner = inner_folds(rows.labels, rows.training, folds, repeats, seed)
    defaults = int(rows.labels[rows.training].sum())
    marks = gathered(rows.training[None, :].astype(np.float64), rows.peers)
    return Content(prefixed("training", marks), {"rows": int(rows.training.sum()), "defaults": defaults})


def _levels(node: ZooNode, _: Content) -> Content:
    config: dict[str, Any] = {}
    for j, counts in node.rows.table.level_counts(node.training).items():
        config[f"levels/{j}"], config[f"counts/{j}"] = list(counts), list(counts.values())
    return Content(config=config)


def levels_in(content: Content) -> dict[int, dict[str, int]]:
    """The level counts of a message that `_levels` wrote."""
    found: dict[int, dict[str, int]] = {}
    for name, levels in content.config.items():
        if name.startswith("levels/") and isinstance(levels, list):
            j, counts = int(name[7:]), content.config[f"counts/{name[7:]}"]
            numbers = [int(str(n)) for n in counts] if isinstance(counts, list) else []
            found[j] = {str(level): n for level, n in zip(levels, numbers, strict=True)}
    return found


def _sketch(node: ZooNode, content: Content) -> Content:
    node.expand(CategoryMap(node.rows.table.columns, levels_in(content)))
    summary = sketch(node.values[node.training])
    return Content({"sketch_counts": summary.counts, "sketch_points": summary.points})


def _prepare(node: ZooNode, content: Content) -> Content:
    cuts = content.under("cuts")
    node.prepare(Binning(tuple(np.asarray(cuts[n], float) for n in sorted(cuts))), encoder_of(content.under("encoder")))
    return Content()


def _begin(node: ZooNode, content: Content) -> Content:
    node.begin(np.asarray(content.arrays["member_fold"], dtype=np.int64), content.number("base"))
    return Content()


def _answer(node: ZooNode, content: Content, arrays: Arrays, losses: FloatArray) -> Content:
    told = node.tell() if content.config.get("tell") else {}
    return Content(arrays | told | ({"losses": losses} if len(losses) else {}))


def _heard(node: ZooNode, content: Content) -> FloatArray:
    """Take what the other side told, and measure what that makes of the model."""
    node.hear(content)
    return node.losses()


def _tell(node: ZooNode, content: Content) -> Content:
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


def _sample(node: ZooNode, content: Content, step: int) -> None:
    """Start a tree a member on a seeded share of the rows that it fits."""
    drawn = np.random.default_rng([content.integer("seed"), step, node.count]).random(node.own.shape)
    chosen = drawn < content.number("row_share")
    node.trees.start(np.where(chosen, node.residual, 0.0), np.where(chosen, node.curvature, 0.0))


def _trees(node: ZooNode, content: Content) -> Content:
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


def _adopt(node: ZooNode, content: Content) -> Content:
    """Take on the mean of what all nodes of this side grew in place of the block that this node grew itself."""
    trees = Trees.from_arrays(content.under("trees"))
    members = len(node.own)
    grown = [trees.every(m, members).predict(node.trees.codes, node.binning.size - 1) for m in range(members)]
    node.own = node.block_start + np.array(grown)
    node.refresh()
    return _answer(node, content, {}, np.zeros(0))


def _finish(node: ZooNode, tree: Trees) -> None:
    node.trees.descend(tree.depth - 1, tree)
    node.own = node.own + node.trees.leaf(tree.value)
    node.refresh()


def _level(node: ZooNode, content: Content) -> Content:
    """One level of one tree a member, for trees that are grown from several nodes' sums."""
    level = content.integer("level")
    losses = np.zeros(0)
    if level == 0:
        losses = _heard(node, content)
        _sample(node, content, content.integer("step"))
    else:
        node.trees.descend(level - 1, Trees.from_arrays(content.under("trees")))
    return _answer(node, content, {"histogram": node.trees.histogram(level)}, losses)


def _leaf(node: ZooNode, content: Content) -> Content:
    _finish(node, Trees.from_arrays(content.under("trees")))
    return _answer(node, content, {}, np.zeros(0))


def _sums(node: ZooNode, content: Content) -> Content:
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


def _pairs(node: ZooNode, content: Content) -> Content:
    """Cell sums of every pair of features, over the mean residual of the members."""
    coarse = node.binning.coarse(content.integer("bins"))
    codes = coarse.codes(node.values).astype(np.float64)
    return Content({"cells": pair_cells(codes, coarse.size, node.residual.mean(axis=0), node.curvature.mean(axis=0))})


def _evidence(node: ZooNode, content: Content) -> Content:
    """Residual and curvature sums by bin at the current logits."""
    node.hear(content)
    node.trees.start(node.residual[:1], node.curvature[:1])
    return Content({"histogram": node.trees.histogram(0)[0, 0]} | (node.tell() if content.config.get("tell") else {}))


def _network(node: ZooNode, content: Content) -> Content:
    """Local epochs from the averaged weights: a bank on its labels, a grid company on what banks told."""
    weights = weights_in(content)
    node.own = forward(weights, node.encoded).T.astype(np.float64)
    losses = _heard(node, content)
    rows = np.flatnonzero(node.curvature.max(axis=0) > 0)
    if content.config.get("epochs") and len(rows):
        weights = fit(weights, torch.from_numpy(node.encoded[rows]), _network_loss(node, rows), fit_settings(content))
        node.own = forward(weights, node.encoded).T.astype(np.float64)
        node.refresh()
    return _answer(node, content, prefixed("weights", weights) | {"rows": np.array([len(rows)])}, losses)


def _network_loss(node: ZooNode, rows: IntArray) -> Loss:
    def tensor(values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values[:, rows].T, dtype=np.float32))

    if isinstance(node.rows, BankRows):
        labels = torch.from_numpy(node.rows.labels[rows].astype(np.float32))
        return logistic_loss(tensor(node.offset), labels, tensor(node.fits.astype(np.float64)))
    return quadratic_loss(tensor(node.own), tensor(node.residual), tensor(node.curvature))
