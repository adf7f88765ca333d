"""What a node answers about finished learners: their logits on its rows, sums for the blend, held-out counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from federated.errors import CorruptData
from federated.models.encoding.ramps import FloatArray
from federated.models.served.blend import BlendSums, best_weights
from federated.models.served.calibration import Calibration, own_of
from federated.models.served.functions import function_of
from federated.models.served.metrics import ScoreHistogram
from federated.protocols.core.messages import Arrays, Content, prefixed
from federated.protocols.core.rows import LEAST_AUDITED, BankRows, gathered, spread
from federated.protocols.core.rows import out_of_fold as mean_left_out
from federated.protocols.open.node import LearnerNode


def keep(node: LearnerNode, content: Content) -> Content:
    """Evaluate a finished function; a bank adds what grid companies' functions gave, and keeps the sum."""
    function = function_of(content.under("function"))
    logits = function.member_logits(node.values)
    if not isinstance(node.rows, BankRows):
        return Content(prefixed("logits", gathered(logits, node.rows.peers)))
    partial = content.under("logits")
    total = logits + (spread(partial, node.rows.peers, node.count) if partial else 0.0)
    node.final[content.text("name")] = total
    return Content()


def _out_of_fold(node: LearnerNode, names: list[str]) -> FloatArray:
    """Logits (learners, rows) of every training row by members that did not fit it."""
    return np.array([mean_left_out(node.final[name], node.inner) for name in names])


def blend(node: LearnerNode, content: Content) -> Content:
    names = content.texts("names")
    rows = node.training
    logits = _out_of_fold(node, names)[:, rows]
    sums = BlendSums.of(np.asarray(content.arrays["weights"], float), logits, _labels(node)[rows])
    return Content({"gradient": sums.gradient, "hessian": sums.hessian, "loss": np.array([sums.loss])})


def _labels(node: LearnerNode) -> Any:
    if not isinstance(node.rows, BankRows):
        raise CorruptData(f"{node.rows.org_id} has no labels")
    return node.rows.labels


def calibrate(node: LearnerNode, content: Content) -> Content:
    """A bank's own Platt scaling of one blend, from logits out of fold; its slope is held near 1 where rows are few.

    The two numbers stay at the bank.
    """
    names = content.texts("names")
    weights = np.asarray(content.arrays["weights"], dtype=np.float64)
    rows = node.training
    labels = _labels(node)[rows]
    logits = weights[:-1] @ _out_of_fold(node, names)[:, rows] + weights[-1]
    node.platt = best_weights(lambda w: BlendSums.of(w, logits[None, :], labels), 1)
    return Content()


def held_out(node: LearnerNode, content: Content) -> Content:
    """Score histograms of blends of finished learners: `blend/<name>` holds weights, the constant last."""
    names = content.texts("names")
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


def _blended_out_of_fold(node: LearnerNode, content: Content) -> FloatArray:
    names = content.texts("names")
    weights = np.asarray(content.arrays["weights"], dtype=np.float64)
    return np.asarray(weights[:-1] @ _out_of_fold(node, names) + weights[-1], dtype=np.float64)


def out_of_fold(node: LearnerNode, content: Content) -> Content:
    """Histograms of a blend's logits out of fold, by inner fold of the first partition."""
    logits, labels = _blended_out_of_fold(node, content), _labels(node)
    counted: Arrays = {}
    for k in range(int(node.inner[0].max()) + 1):
        rows = node.inner[0] == k
        counted |= prefixed(str(k), ScoreHistogram.of(logits[rows], labels[rows]).cells())
    return Content(counted)


def own(node: LearnerNode, content: Content) -> Content:
    """A bank's own calibration on top of the network's, if its customers differ significantly."""
    network = Calibration.from_arrays("network", content.arrays)
    rows = node.training
    logits = network(_blended_out_of_fold(node, content)[rows])
    return Content(own_of(ScoreHistogram.of(logits, _labels(node)[rows])).to_arrays("own"))


def groups(node: LearnerNode, content: Content) -> Content:
    """A bank marks its held-out rows; a grid company answers the groups of the marked rows, for an audit."""
    if isinstance(node.rows, BankRows):
        marks = gathered(node.rows.held_out[None, :].astype(np.float64), node.rows.peers)
        return Content(prefixed("marks", marks))
    told: Arrays = {}
    for bank, mark in content.under("marks").items():
        rows = node.rows.peers[bank]
        asked = (np.asarray(mark, dtype=np.float64)[0] > 0) & (rows >= 0)
        for segment, codes in node.rows.groups.items():
            told[f"{segment}/{bank}"] = np.where(asked, codes[rows] + 1, 0).astype(np.float32)[None, :]
    return Content(told)


def audit(node: LearnerNode, content: Content) -> Content:
    """Held-out histograms of a blend's calibrated logits: of all rows, and of every group that is large enough."""
    names = content.texts("names")
    labels = _labels(node)
    assert isinstance(node.rows, BankRows)
    weights = np.asarray(content.arrays["weights"], dtype=np.float64)
    mean = np.array([node.final[name].mean(axis=0) for name in names])
    logits = Calibration.from_arrays("network", content.arrays)(weights[:-1] @ mean + weights[-1])
    logits = Calibration.from_arrays("own", content.arrays)(logits)
    told = content.under("groups")
    codes = dict(node.rows.groups)
    for segment in sorted({name.split("/")[0] for name in told}):
        by_grid: Arrays = {name.split("/")[1]: a for name, a in told.items() if name.startswith(f"{segment}/")}
        codes[segment] = spread(by_grid, node.rows.peers, node.count)[0].astype(np.int64) - 1
    rows = node.rows.held_out
    counted = prefixed("all/0", ScoreHistogram.of(logits[rows], labels[rows]).cells())
    for segment, group_of in codes.items():
        for group in range(int(group_of.max(initial=-1)) + 1):
            own_rows = rows & (group_of == group)
            if own_rows.sum() >= LEAST_AUDITED:
                cells = ScoreHistogram.of(logits[own_rows], labels[own_rows]).cells()
                counted |= prefixed(f"{segment}/{group}", cells)
    return Content(counted)
