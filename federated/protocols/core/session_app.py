"""What a node answers while a session is opened: who it is, its folds, counts of words, and sketches of its columns.

What is learnt in the session is answered by the handlers that protocols add to the same app.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Context
from flwr.clientapp import ClientApp

from federated.errors import CorruptData, TrainingFailed
from federated.models.encoding.categories import CategoryMap
from federated.models.encoding.sketch import sketch
from federated.protocols.core.encoders import binning_of, encoder_of
from federated.protocols.core.messages import Answer, Content, answering, prefixed
from federated.protocols.core.node import SessionNode
from federated.protocols.core.rows import BankRows, GivenRows, GridRows, RowSource, gathered, inner_folds, spread

# Gives the node of the session that is open. Raises `TrainingFailed` before one was opened.
Opened = Callable[[], SessionNode]


class _Place:
    """One node's source of rows, and its side of the session that is open."""

    def __init__(self, source: RowSource) -> None:
        self.source = source
        self.node: SessionNode | None = None

    def opened(self) -> SessionNode:
        if self.node is None:
            raise TrainingFailed(f"{self.source.org_id}: no session was opened")
        return self.node


def session_app(rows: RowSource | BankRows | GridRows) -> tuple[ClientApp, Opened]:
    """The app of one node, over given rows or over a source that is read at every opening.

    With it comes what gives the node of the session that is open, for the protocols that add their handlers.
    """
    app = ClientApp()
    place = _Place(GivenRows(rows) if isinstance(rows, BankRows | GridRows) else rows)

    @app.query("hello")
    @answering
    def hello(_: Content, __: Context) -> Content:
        source = place.source
        told = {"org_id": source.org_id, "role": source.role, "columns": list(source.columns)}
        return Content(config=told | source.card())

    @app.query("open")
    @answering
    def opened(content: Content, _: Context) -> Content:
        place.node = SessionNode(place.source.open(content))
        return _open(place.node, content)

    for name, handler in {"levels": _levels, "sketch": _sketch, "prepare": _prepare, "reference": _reference}.items():
        app.query(name)(answering(_bound(place.opened, handler)))
    return app, place.opened


def _bound(opened: Opened, handler: Callable[[SessionNode, Content], Content]) -> Answer:
    return lambda content, _: handler(opened(), content)


def _open(node: SessionNode, content: Content) -> Content:
    """A bank draws its stratified inner folds and says how many rows and defaults it trains on.

    A learner uses the inner folds that its members name: those of the first repeats.
    """
    rows = node.rows
    if not isinstance(rows, BankRows):
        node.training = spread(content.under("training"), rows.peers, node.count)[0] > 0
        if not node.training.any():
            raise CorruptData(f"{rows.org_id}: no training row is aligned with a bank", party=rows.org_id)
        if rows.remember is not None:
            rows.remember("counted", node.training)
        return Content()
    folds, repeats, seed = (content.integer(name) for name in ("folds", "repeats", "seed"))
    node.inner = inner_folds(rows.labels, rows.training, folds, repeats, seed)
    defaults = int(rows.labels[rows.training].sum())
    marks = gathered(rows.training[None, :].astype(np.float64), rows.peers)
    return Content(prefixed("training", marks), {"rows": int(rows.training.sum()), "defaults": defaults})


def _levels(node: SessionNode, _: Content) -> Content:
    config: dict[str, Any] = {}
    for j, counts in node.rows.table.level_counts(node.training).items():
        config[f"levels/{j}"], config[f"counts/{j}"] = list(counts), list(counts.values())
    return Content(config=config)


def levels_in(content: Content) -> dict[int, dict[str, int]]:
    """The level counts of a message that `_levels` wrote."""
    counted: dict[int, dict[str, int]] = {}
    for name, levels in content.config.items():
        if name.startswith("levels/") and isinstance(levels, list):
            j, counts = int(name[7:]), content.config[f"counts/{name[7:]}"]
            numbers = [int(str(n)) for n in counts] if isinstance(counts, list) else []
            counted[j] = {str(level): n for level, n in zip(levels, numbers, strict=True)}
    return counted


def _sketch(node: SessionNode, content: Content) -> Content:
    node.expand(CategoryMap(node.rows.table.columns, levels_in(content)))
    summary = sketch(node.values[node.training])
    return Content({"sketch_counts": summary.counts, "sketch_points": summary.points})


def _prepare(node: SessionNode, content: Content) -> Content:
    node.prepare(binning_of(content), encoder_of(content.under("encoder")))
    return Content()


def _reference(node: SessionNode, content: Content) -> Content:
    """How many training rows fall into each bin of every column, missing last: (columns, bins)."""
    binning = binning_of(content)
    codes = binning.codes(node.values[node.training])
    counts = [np.bincount(codes[:, j], minlength=binning.size) for j in range(codes.shape[1])]
    return Content({"counts": np.array(counts)})
