"""Products of components of two parties' columns, and functions of a customer that are sums of few such products.

What one party's columns say of a customer may depend on the other's. A function Σ W[k, l] · u_k(x) · v_l(z), of
components u of one party and v of the other, says so; of a W of rank r it is Σ_s p_s(x) · q_s(z), r products of a
function of either party's columns (factorization machines: Rendle, ICDM 2010). Components are cut at `FARTHEST`, so
that a product times `GAIN` lies in [−1, 1] and has the variance of a component itself.
"""

from __future__ import annotations

import numpy as np

from federated.models.encoding.ramps import FloatArray

# As a multiple of a component's standard deviation 1/8: 2.8.
GAIN = 8.0
FARTHEST = GAIN**-0.5
# How many times as tightly a product is held as a component: labels made it 1.6 to 4.8 times on six public sets, where
# all ridges were drawn together.
TIGHTER = 4.0


def cut(components: FloatArray) -> FloatArray:
    """Components (rows, k) as they are multiplied."""
    return np.asarray(np.minimum(np.maximum(components, -FARTHEST), FARTHEST))


def products(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Products (rows, k · l) in [−1, 1] of components (rows, k) of one party and (rows, l) of the other."""
    both = GAIN * np.einsum("nk,nl->nkl", cut(ours), cut(theirs))
    return np.asarray(both.reshape(len(both), -1), dtype=np.float64)


def prior(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Ridge (k · l,) of products where those of the components (k,) and (l,) are these: as many times that of the
    first product as theirs are those of the first components, which is `TIGHTER` times the wider of these."""
    both = np.outer(ours / ours.min(), theirs / theirs.min()).ravel()
    return np.asarray(TIGHTER * both * min(ours.min(), theirs.min()))


def factored(weights: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """P (r, k) and Q (r, l), r at the most `most`, of which PᵀQ is nearest to `weights` (k, l); rows of P are of
    length 1."""
    u, size, v = np.linalg.svd(weights, full_matrices=False)
    return np.asarray(u[:, :most].T), np.asarray(size[:most, None] * v[:most])
