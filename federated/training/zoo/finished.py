"""What a node answers about finished learners: their logits on its rows, sums for the blend, held-out counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from federated.errors import CorruptData
from federated.models.blend import BlendSums, best_weights
from federated.models.encoding import FloatArray
from federated.models.functions import function_of
from federated.models.metrics import ScoreHistogram
from federated.training.messages import Arrays, Content, prefixed
from federated.training.zoo.node import ZooNode
from federated.training.zoo.rows import BankRows, gathered, out_of_fold, spread


def keep(node: ZooNode, content: Content) -> Content:
    """Evaluate a finished function; a bank adds what grid companies' functions gave, and keeps the sum."""
    function = function_of(content.under("function"))
    logits = function.member_logits(node.values)
    if not isinstance(node.rows, BankRows):
        return Content(prefixed("logits", gathered(logits, node.rows.peers)))
    partial = content.under("logits")
    total = logits + (spread(partial, node.rows.peers, node.count) if partial else 0.0)
    node.final[content.text("name")] = total
    return Content()


def _out_of_fold(node: ZooNode, names: list[str]) -> FloatArray:
    """Logits (learners, rows) of every training row by members that did not fit it."""
    return np.array([out_of_fold(node.final[name], node.inner) for name in names])


def blend(node: ZooNode, content: Content) -> Content:
    names = [str(name) for name in _list(content, "names")]
    rows = node.training
    logits = _out_of_fold(node, names)[:, rows]
    sums = BlendSums.of(np.asarray(content.arrays["weights"], float), logits, _labels(node)[rows])
    return Content({"gradient": sums.gradient, "hessian": sums.hessian, "loss": np.array([sums.loss])})


def _list(content: Content, key: str) -> list[Any]:
    value = content.config.get(key)
    return list(value) if isinstance(value, list) else []


def _labels(node: ZooNode) -> Any:
    if not isinstance(node.rows, BankRows):
        raise CorruptData(f"{node.rows.org_id} has no labels")
    return node.rows.labels


def calibrate(node: ZooNode, content: Content) -> Content:
    """A bank's own Platt scaling of one blend, from logits out of fold; its slope is held near 1 where rows are few.

    The two numbers stay at the bank.
    """
    names = [str(name) for name in _list(content, "names")]
    weights = np.asarray(content.arrays["weights"], dtype=np.float64)
    rows = node.training
    labels = _labels(node)[rows]
    logits = weights[:-1] @ _out_of_fold(node, names)[:, rows] + weights[-1]
    node.platt = best_weights(lambda w: BlendSums.of(w, logits[None, :], labels), 1)
    return Content()


def held_out(node: ZooNode, content: Content) -> Content:
    """Score histograms of blends of finished learners: `blend/<name>` holds weights, the constant last."""
    names = [str(name) for name in _list(content, "names")]
    if not isinstance(node.rows, BankRows):
        raise CorruptData(f"{node.rows.org_id} has no labels")
    rows = node.rows.held_out
    mean = np.array([node.final[name].mean(axis=0) for name in names])
    counted: Arrays = {}
    for blend, weights in content.under("blend").items():
        w = np.asarray(weights, dtype=np.float64)
        logits = w[:-1] @ mean + w[-1]
        if content.config.get("calibrated"):
            logits = node.platt[0] * logits + node.platt[1]
        counted |= prefixed(blend, ScoreHistogram.of(logits[rows], node.rows.labels[rows]).cells())
    return Content(counted)
