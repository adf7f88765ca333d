"""Whose rows were these? What an operator can read off the gradients and sums that a bank hands over in the clear.

Three ways. `first_layer`: the gradient of a layer's weights over that of its biases is the layer's input, exactly for
one row (Phong, Aono, Hayashi, Wang, Moriai, IEEE TIFS 2018). Matching a whole gradient by optimisation (Zhu, Liu, Han,
"Deep leakage from gradients", NeurIPS 2019) needs torch: `federated.privacy.attacks.leakage`; `error_of` judges it.
`alone`: in sums by bins a customer who is the only one of its bin has its label in the open, which is all that a
curious operator has to do with a small bank's sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

FloatArray = NDArray[np.float64]
LEAST_SPREAD = 0.1


def first_layer(weight_gradient: FloatArray, bias_gradient: FloatArray) -> FloatArray:
    """Input (inputs,) behind gradients (units, inputs) and (units,) of one row; of several rows, a weighted mean.

    The unit with the largest bias gradient is read, which is the best conditioned. Raises `ValueError` if all are 0.
    """
    unit = int(np.abs(bias_gradient).argmax())
    if bias_gradient[unit] == 0.0:
        raise ValueError("no unit of the layer had a gradient")
    return np.asarray(weight_gradient[unit] / bias_gradient[unit], dtype=np.float64)


def error_of(rebuilt: FloatArray, true: FloatArray, spread: FloatArray) -> float:
    """Mean absolute error of `true` rows (rows, inputs) by the `rebuilt` ones nearest to them, in units of `spread`.

    Rows carry no order, so those, of which there may be more, are assigned to true ones at the least total error.
    Inputs that hardly vary (a spread below 0.1) are left out: their units would be all that is measured.
    """
    used = spread >= LEAST_SPREAD
    apart = np.abs(rebuilt[:, None, used] - true[None][:, :, used]) / spread[used]
    cost = apart.mean(axis=2)
    return float(cost[linear_sum_assignment(cost)].mean())


def alone(bins: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows of `bins` (rows, columns) are the only one in some bin of some column: their label is that bin's."""
    unique = np.zeros(len(bins), dtype=np.bool_)
    for column in bins.T:
        _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
        unique |= counts[inverse] == 1
    return unique
