"""A party's function as exported numbers, evaluated with numpy: what nodes serve from, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federated.errors import ModelCorrupt
from federated.models.encoding import Float32Array, FloatArray, RampEncoder

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


@dataclass(frozen=True, slots=True)
class PartyModel:
    """Encoder and weights of one party. Its logit is the mean over its member networks; parties' logits are summed."""

    encoder: RampEncoder
    weights: Weights

    def logits(self, values: FloatArray) -> FloatArray:
        """Logit of default per row, shape (rows,), of raw `values` (rows, features), NaN = missing."""
        return np.asarray(forward(self.weights, self.encoder.encode(values)).mean(axis=1), dtype=np.float64)

    def to_arrays(self, prefix: str) -> dict[str, FloatArray | Float32Array]:
        """Flat arrays under `prefix`, for an npz file."""
        arrays: dict[str, FloatArray | Float32Array] = {f"{prefix}/w/{name}": w for name, w in self.weights.items()}
        arrays.update({f"{prefix}/edges/{j:04d}": e for j, e in enumerate(self.encoder.edges)})
        arrays[f"{prefix}/reference"] = self.encoder.reference
        return arrays

    @staticmethod
    def from_arrays(prefix: str, arrays: Mapping[str, FloatArray | Float32Array]) -> PartyModel:
        """Read back what `to_arrays` wrote. Raises `ModelCorrupt` if shapes do not fit or a number is not finite."""
        edge_names = sorted(name for name in arrays if name.startswith(f"{prefix}/edges/"))
        try:
            encoder = RampEncoder(
                tuple(np.asarray(arrays[name], dtype=np.float64) for name in edge_names),
                np.asarray(arrays[f"{prefix}/reference"], dtype=np.float64),
            )
            weights = {
                f"{kind}{layer}": np.asarray(arrays[f"{prefix}/w/{kind}{layer}"], dtype=np.float32)
                for layer in range(N_LAYERS)
                for kind in "wb"
            }
        except KeyError as error:
            raise ModelCorrupt(f"array {error} is missing", part=prefix) from None
        if encoder.reference.shape != (encoder.n_features,) or weights["w0"].shape[1] != encoder.width:
            raise ModelCorrupt("encoder and weights do not fit each other", part=prefix)
        numbers: list[FloatArray | Float32Array] = [*encoder.edges, encoder.reference, *weights.values()]
        if not all(bool(np.isfinite(a).all()) for a in numbers):
            raise ModelCorrupt("a weight or edge is not finite", part=prefix)
        return PartyModel(encoder, weights)
