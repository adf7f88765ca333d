"""Functions of grid companies' columns made by hand and split, so that banks know the weights and nobody else."""

import numpy as np

from federated.models.encoding.binning import merge_bins
from federated.models.encoding.random_leaves import RandomLeaves, random_trees
from federated.models.encoding.sketch import sketch
from federated.models.served.scorer import BAND_RANKS
from federated.privacy.vertical.hidden_weights import split

FEATURES = 7


def basis_of(values, seed, trees=20, ramps=8, bins=32):
    """Random columns of a table of raw values (rows, features)."""
    names = [f"x{j}" for j in range(values.shape[1])]
    binning, encoder = merge_bins([sketch(values)], bins, ramps, names, "grid")
    ranks = np.nanquantile(values, np.linspace(0.05, 0.95, 19), axis=0).T
    return RandomLeaves(encoder, binning, random_trees(binning, ranks, trees, 2, seed))


def weights_of(basis, seed, size=0.25):
    """Weights (basis.width,) of a lively function, in logits."""
    return size * np.random.default_rng(seed).normal(size=basis.width)


def made_split(seed, sign=1.0, key=b"\x07" * 32, grids=("grid-g", "grid-h"), banks=("bank-a", "bank-b")):
    """A split function of `FEATURES` columns, its weights, and raw values (400, features) with some missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(400, FEATURES))
    values[rng.random(values.shape) < 0.05] = np.nan
    basis = basis_of(values, seed)
    gamma = sign * weights_of(basis, seed)
    bands = np.nanquantile(values, BAND_RANKS, axis=0).T
    return split(basis, gamma, basis.encoder.reference, bands, banks, grids, key), gamma, values
