"""A function of a grid company's columns whose weights banks alone know: what everybody may know of it.

Public are the columns (`RandomLeaves`: chosen without labels), the reference customer and the bands of reasons, who
takes part, and for each grid company a commitment to its masked weights and one to the dealer's key (`Committed`).
Banks hold the weights and the key of all masks, a grid company its masked weights, which are uniform numbers, and the
third node its key of the mask (`privacy.vertical.hidden_weights`); how a score comes about is in
`privacy.vertical.hidden_function`. `function_id` is the hash of all that is public, so whoever keeps a secret under it
uses it with these columns and commitments and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from federated.errors import ModelCorrupt
from federated.models.encoding.binning import Binning
from federated.models.encoding.ramps import FloatArray, RampEncoder
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.learners.boosting import Trees
from federated.models.served.explanatory import ExplanatoryRow
from federated.models.served.functions import Arrays
from federated.models.served.scorer import BAND_RANKS, PartyScorer, band_of
from federated.models.served.tables import AdditiveTables

HASH_BYTES = 32
PART = "hidden"
NODE_ARRAYS = ("feature", "cut", "missing_left")


@dataclass(frozen=True, slots=True)
class Committed:
    """SHA-256 of a grid company's masked weights, and of the key that its dealers draw the mask from."""

    weights: bytes
    key: bytes


@dataclass(frozen=True)
class HiddenFunction:
    """`reference` (features,) is the typical customer, `bands` (features, 4) are quantiles of the training rows.

    `banks` know the weights; `committed` is by grid company. Raises `ModelCorrupt` for parts that do not fit each
    other.
    """

    basis: RandomLeaves
    reference: FloatArray
    bands: FloatArray
    banks: tuple[str, ...]
    committed: Mapping[str, Committed]

    def __post_init__(self) -> None:
        try:
            _require_sound(self)
            len(self.row)
        except (ValueError, IndexError, TypeError) as error:
            raise ModelCorrupt(f"a hidden function does not hold together: {error}", part=PART) from None

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return self.basis.encoder.n_features

    @property
    def exact(self) -> bool:
        """Contributions are closed-form Shapley values."""
        return True

    @property
    def parties(self) -> tuple[str, ...]:
        """All that deal to one another's pairs."""
        return (*self.banks, *self.committed)

    @cached_property
    def row(self) -> ExplanatoryRow:
        """What a customer's score and reasons are but for the weights."""
        return ExplanatoryRow(self.basis, self.reference)

    @cached_property
    def function_id(self) -> str:
        """SHA-256 (hex) of all that is public."""
        digest = hashlib.sha256()
        for name, array in sorted(self._public("").items()):
            digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def band(self, feature: int, value: float) -> tuple[int, int]:
        """As `PartyScorer.band`."""
        return band_of(self.bands[feature], value)

    def silent(self) -> PartyScorer:
        """A scorer of the same features, with nothing hidden, that says the same of everybody: a logit of 0."""
        p = self.n_features
        none = np.zeros((0, 2), dtype=np.int64)
        tables = AdditiveTables(
            0.0, np.full((p, 0), np.inf), np.zeros((p, 2)), np.zeros((p, 2)), np.zeros((p, 2), dtype=np.int64),
            none, np.zeros((0, 1, 1)), self.reference,
        )  # fmt: skip
        return PartyScorer(tables, self.bands)

    def to_arrays(self, prefix: str) -> Arrays:
        """Flat arrays under `prefix`, for an npz file."""
        own = np.frombuffer(bytes.fromhex(self.function_id), dtype=np.uint8)
        return self._public(f"{prefix}/{PART}") | {f"{prefix}/{PART}/id": own}

    def _public(self, start: str) -> Arrays:
        basis = self.basis
        arrays: Arrays = {f"{start}/edges/{j:04d}": e for j, e in enumerate(basis.encoder.edges)}
        arrays |= {f"{start}/cuts/{j:04d}": c for j, c in enumerate(basis.binning.cuts)}
        arrays |= {f"{start}/trees/{name}": getattr(basis.trees, name) for name in NODE_ARRAYS}
        arrays |= {f"{start}/reference": self.reference, f"{start}/bands": self.bands}
        arrays[f"{start}/banks"] = np.array(self.banks, dtype=np.str_)
        for grid, committed in self.committed.items():
            both = np.frombuffer(committed.weights + committed.key, dtype=np.uint8)
            arrays[f"{start}/committed/{grid}"] = both
        return arrays

    @staticmethod
    def is_in(prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> bool:
        """Whether the arrays under `prefix` are a hidden function."""
        return any(name.startswith(f"{prefix}/{PART}/") for name in arrays)

    @staticmethod
    def from_arrays(prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> HiddenFunction:
        """Read back what `to_arrays` wrote. Raises `ModelCorrupt` if something is missing, misshapen or not finite."""
        start = f"{prefix}/{PART}/"
        own = {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}

        def numbered(folder: str) -> tuple[FloatArray, ...]:
            names = [name for name in sorted(own) if name.startswith(f"{folder}/")]
            if names != [f"{folder}/{j:04d}" for j in range(len(names))]:
                raise ValueError(f"{folder} are not all there")
            return tuple(np.asarray(own[name], np.float64) for name in names)

        try:
            reference = np.asarray(own["reference"], np.float64)
            feature, cut = (np.asarray(own[f"trees/{name}"], np.int64) for name in NODE_ARRAYS[:2])
            missing_left = np.asarray(own["trees/missing_left"], np.bool_)
            trees = Trees(feature, cut, missing_left, np.zeros((len(feature), feature.shape[1] + 1)))
            basis = RandomLeaves(RampEncoder(numbered("edges"), reference), Binning(numbered("cuts")), trees)
            committed = {
                name.removeprefix("committed/"): _committed(np.asarray(array, np.uint8).tobytes())
                for name, array in sorted(own.items())
                if name.startswith("committed/")
            }
            banks = tuple(str(name) for name in np.asarray(own["banks"], np.str_).tolist())
            function = HiddenFunction(basis, reference, np.asarray(own["bands"], np.float64), banks, committed)
            if np.asarray(own["id"], np.uint8).tobytes().hex() != function.function_id:
                raise ValueError("it is not the one that was hashed")
            return function
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ModelCorrupt(f"a hidden function cannot be read: {error}", part=prefix) from None


def _committed(both: bytes) -> Committed:
    if len(both) != 2 * HASH_BYTES:
        raise ValueError(f"a commitment of {len(both)} bytes")
    return Committed(both[:HASH_BYTES], both[HASH_BYTES:])


def _require_sound(function: HiddenFunction) -> None:
    """Raise `ValueError` unless all parts fit each other and are finite."""
    basis, p = function.basis, function.basis.encoder.n_features
    trees = basis.trees
    if not p or basis.binning.n_features != p or function.reference.shape != (p,):
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
    bands = function.bands
    if (
        bands.shape != (p, len(BAND_RANKS))
        or not np.all(np.diff(bands) >= 0)
        or not np.isfinite(function.reference).all()
    ):
        raise ValueError("bands or reference do not fit")
    if not function.banks or not function.committed or len(set(function.parties)) != len(function.parties):
        raise ValueError("a party is missing or named twice")
