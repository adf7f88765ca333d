"""Columns of a function as arrays for a file: they are public, and chosen without labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.binning import Binning
from federated.models.encoding.ramps import FloatArray, RampEncoder
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.learners.boosting import Trees
from federated.models.served.functions import Arrays

NODE_ARRAYS = ("feature", "cut", "missing_left")


def basis_arrays(start: str, basis: RandomLeaves) -> Arrays:
    """Flat arrays under `start`, without the reference customer."""
    arrays: Arrays = {f"{start}/edges/{j:04d}": e for j, e in enumerate(basis.encoder.edges)}
    arrays |= {f"{start}/cuts/{j:04d}": c for j, c in enumerate(basis.binning.cuts)}
    return arrays | {f"{start}/trees/{name}": getattr(basis.trees, name) for name in NODE_ARRAYS}


def basis_of(start: str, arrays: Mapping[str, NDArray[np.generic]]) -> RandomLeaves:
    """Columns of the arrays whose names begin with `start`, the reference among them.

    Raises `KeyError` and `ValueError` if not all are there, or do not fit each other.
    """

    def numbered(folder: str) -> tuple[FloatArray, ...]:
        names = [name for name in sorted(arrays) if name.startswith(f"{start}{folder}/")]
        if names != [f"{start}{folder}/{j:04d}" for j in range(len(names))]:
            raise ValueError(f"{folder} are not all there")
        return tuple(np.asarray(arrays[name], np.float64) for name in names)

    reference = np.asarray(arrays[f"{start}reference"], np.float64)
    feature, at = (np.asarray(arrays[f"{start}trees/{name}"], np.int64) for name in NODE_ARRAYS[:2])
    missing_left = np.asarray(arrays[f"{start}trees/missing_left"], np.bool_)
    trees = Trees(feature, at, missing_left, np.zeros((len(feature), feature.shape[1] + 1)))
    basis = RandomLeaves(RampEncoder(numbered("edges"), reference), Binning(numbered("cuts")), trees)
    require_sound_basis(basis, reference)
    return basis


def require_sound_basis(basis: RandomLeaves, reference: FloatArray) -> None:
    """Raise `ValueError` unless columns fit each other and are finite."""
    p, trees = basis.encoder.n_features, basis.trees
    if not p or basis.binning.n_features != p or reference.shape != (p,) or not np.isfinite(reference).all():
        raise ValueError("edges, cuts and reference are of different features")
    for each in (*basis.encoder.edges, *basis.binning.cuts):
        if each.ndim != 1 or not np.isfinite(each).all() or not np.all(np.diff(each) > 0):
            raise ValueError("edges or cuts do not ascend")
    if min(len(e) for e in basis.encoder.edges) < 1:
        raise ValueError("a feature has no edge")
    shape = trees.feature.shape
    if trees.feature.ndim != 2 or trees.cut.shape != shape or trees.missing_left.shape != shape:
        raise ValueError("arrays of trees do not fit each other")
    if shape[1] + 1 not in (1, 2, 4) or trees.value.shape != (shape[0], shape[1] + 1):
        raise ValueError("trees are not of at most two levels")
    if not np.all((trees.feature >= -1) & (trees.feature < p) & (trees.cut >= 0)):
        raise ValueError("trees ask what no feature is")
