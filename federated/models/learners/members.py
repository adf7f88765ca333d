"""Member networks as exported numbers, evaluated with numpy: no torch where a score is computed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from federated.models.encoding.ramps import Float32Array

Weights = dict[str, Float32Array]
N_LAYERS = 3


def forward(weights: Mapping[str, Float32Array], encoded: Float32Array) -> Float32Array:
    """Logits (rows, members) of `members` small networks on encoded rows (rows, width).

    Weights are `w0 (members, width, hidden)`, `b0 (members, 1, hidden)`, `w1`, `b1`, and `w2 (members, hidden, 1)`.
    """
    state: Float32Array = np.matmul(encoded, weights["w0"]) + weights["b0"]
    for layer in range(1, N_LAYERS):
        state = np.matmul(np.maximum(state, 0.0), weights[f"w{layer}"]) + weights[f"b{layer}"]
    return np.asarray(state[:, :, 0].T, dtype=np.float32)
